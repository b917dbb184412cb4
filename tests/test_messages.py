"""Every code has a sentence, and every sentence stands whatever it is given."""

from __future__ import annotations

import pytest
from django.utils import translation

from chat import protocol
from chat.messages import DETAILED, FINISH_REASONS, SENTENCES, finish_reason_in_words, sentence
from chat.providers.base import PROVIDER_CODES

OF_THE_PORTAL = {"queue_timeout", "internal", "server_shutdown", "server_restarted"}
OF_CLOSING = {code.name.lower() for code in protocol.CloseCode}
ALL = sorted(PROVIDER_CODES | set(protocol.REFUSALS) | set(protocol.ERRORS) | OF_THE_PORTAL | OF_CLOSING)


@pytest.mark.parametrize("code", ALL)
def test_every_code_has_a_sentence(code):
    assert code in SENTENCES
    assert sentence(code).endswith(".")


def test_no_sentence_is_left_over():
    assert set(SENTENCES) == set(ALL) and set(DETAILED) <= set(ALL)


def test_parameters_are_filled_in():
    assert sentence("upstream_rejected", {"reason": "no such tool"}).endswith("the request: no such tool")
    assert sentence("upstream_rate_limited", {"retry_after": 1}).endswith("in 1 second.")
    assert sentence("upstream_rate_limited", {"retry_after": 2.1}).endswith("in 3 seconds.")


@pytest.mark.parametrize("parameters", [None, {}, {"reason": ""}, {"retry_after": None}, {"limit": 0}, {"other": 1}])
@pytest.mark.parametrize("code", sorted(DETAILED))
def test_without_its_parameter_a_sentence_is_plain(code, parameters):
    assert sentence(code, parameters) == str(SENTENCES[code])


@pytest.mark.parametrize("value", ["soon", [], {}, float("inf"), float("nan"), object(), "%(other)s", "100 %"])
@pytest.mark.parametrize("code", sorted(DETAILED))
def test_nothing_that_was_stored_can_break_it(code, value):
    assert sentence(code, {DETAILED[code][0]: value})


def test_an_unknown_code_is_named():
    assert sentence("no_such_code") == "Something went wrong (no_such_code)."


def test_an_unknown_finish_reason_is_quoted():
    assert finish_reason_in_words("eos", "completed") == "ended with “eos”"
    assert set(FINISH_REASONS) == {"stop", "length", "content_filter", "tool_calls"}


def test_sentences_are_made_in_the_language_of_the_moment():
    with translation.override("en"):
        assert sentence("no_model") == "No model is set up yet. Please tell your admin."
