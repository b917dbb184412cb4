"""Outages of providers, and the last hour's statistics of models."""
