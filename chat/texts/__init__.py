"""Texts for people: error sentences, words for figures, the texts of the diagnosis and of the page."""
