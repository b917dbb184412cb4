"""Both sides write a receipt the same way: here the server's, in tests/js/figures.test.mjs the page's."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from chat.texts.figures import money_in_words
from chat.texts.finish_reasons import finish_reason_in_words
from chat.texts.page import page_strings
from chat.views.receipt import count, milliseconds, rate, seconds, source_word, tokens

FOLDER = Path(settings.BASE_DIR) / "tests" / "js"
CASES = json.loads((FOLDER / "receipt_cases.json").read_text())


@pytest.mark.parametrize(("milliseconds", "shown"), CASES["seconds"])
def test_milliseconds(milliseconds, shown):
    assert seconds(milliseconds) == shown


@pytest.mark.parametrize(("per_second", "shown"), CASES["rate"])
def test_rates(per_second, shown):
    assert rate(None if per_second is None else Decimal(per_second)) == shown


@pytest.mark.parametrize(("value", "shown"), CASES["milliseconds"])
def test_short_times(value, shown):
    assert milliseconds(None if value is None else Decimal(value)) == shown


@pytest.mark.parametrize(("number", "shown"), CASES["count"])
def test_counts(number, shown):
    assert count(number) == shown


@pytest.mark.parametrize(("prompt", "completion", "shown"), CASES["tokens"])
def test_tokens(prompt, completion, shown):
    assert tokens(prompt, completion) == shown


@pytest.mark.parametrize(("amount", "currency", "shown"), CASES["money"])
def test_money(amount, currency, shown):
    assert money_in_words(Decimal(amount), currency) == shown


@pytest.mark.parametrize(("source", "shown"), CASES["source"])
def test_sources(source, shown):
    assert source_word(source) == shown


@pytest.mark.parametrize(("reason", "state", "shown"), CASES["finish"])
def test_finish_reasons(reason, state, shown):
    assert finish_reason_in_words(reason, state) == shown


def test_the_page_is_tested_with_the_texts_it_gets():
    """To write the file anew: json.dump(page_strings(), …, indent=2, ensure_ascii=False) and a newline."""
    with translation.override("en"):
        assert json.loads((FOLDER / "strings_en.json").read_text()) == page_strings()
