"""Models in a list: each is told apart from the others."""

from __future__ import annotations

import pytest

from chat.models import LanguageModel, Provider, told_apart


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        ([], []),
        ([("one", "gpt", "")], ["gpt"]),
        ([("one", "gpt", ""), ("one", "mini", "")], ["gpt", "mini"]),
        ([("one", "gpt", ""), ("two", "gpt", "")], ["gpt · one", "gpt · two"]),
        (
            [("one", "gpt", "Ours"), ("one", "mini", "Ours"), ("two", "x", "")],
            ["Ours · one · gpt", "Ours · one · mini", "x"],
        ),
        (
            [("one", "gpt", "Ours"), ("one", "mini", "Ours"), ("two", "x", "Ours")],
            ["Ours · one · gpt", "Ours · one · mini", "Ours · two"],
        ),
    ],
)
def test_a_label_that_stands_for_several_says_more(models: list[tuple[str, str, str]], labels: list[str]):
    shown = [
        LanguageModel(provider=Provider(name=provider), name=name, label=label) for provider, name, label in models
    ]
    assert told_apart(shown) == labels
