"""Every code has a sentence, and every sentence stands whatever it is given."""

from __future__ import annotations

import pytest
from django.utils import translation

from chat.codes import Code
from chat.finish_reasons import SPELLINGS
from chat.health.model_stats import ModelStats
from chat.texts.errors import DETAILED, SENTENCES, sentence
from chat.texts.figures import roughly
from chat.texts.finish_reasons import FINISH_REASONS, finish_reason_in_words, why_not_whole
from chat.texts.model_stats import stats_in_words

ALL = list(Code)


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
    assert finish_reason_in_words("boredom", "completed") == "ended with “boredom”"
    assert set(FINISH_REASONS) == set(SPELLINGS)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("stop", "finished"),
        ("eos_token", "finished"),
        ("STOP", "finished"),
        ("max_tokens", "cut at the length limit"),
        ("MAX_TOKENS", "cut at the length limit"),
        ("model_context_window_exceeded", "cut, the context window is full"),
        ("SAFETY", "cut by the provider's content filter"),
        ("tool_use", "ended by asking for a tool"),
        ("insufficient_system_resource", "cut for lack of capacity"),
    ],
)
def test_a_finish_reason_is_understood_in_every_spelling(reason, words):
    assert finish_reason_in_words(reason, "completed") == words


@pytest.mark.parametrize(
    ("end", "parameters", "said"),
    [
        (("completed", "", "stop"), {}, ""),
        (("completed", "", "something new"), {}, ""),
        (("completed", "", "stop"), {"note": "refusal"}, "The model declined to answer."),
        (("completed", "", "stop"), {"note": "answer_empty"}, "The model thought, and wrote no answer."),
        (("completed", "", "content_filter"), {"note": "refusal"}, "The provider's content filter cut this answer."),
        (("completed", "", "stop"), {"note": ["x"]}, ""),
        (("completed", "", "length"), {"limit": 193}, "Cut at the limit of 193 tokens."),
        (("completed", "", "length"), {"limit": 1}, "Cut at the limit of 1 token."),
        (("completed", "", "max_tokens"), {}, "Cut at the length limit."),
        (("completed", "", "length"), {"limit": "many"}, "Cut at the length limit."),
        (("completed", "", "content_filter"), {}, "The provider's content filter cut this answer."),
        (("completed", "", None), {}, "The model's answer ended without an end mark; it may be cut."),
        (("stopped", "", None), {}, "You stopped this answer."),
        (("interrupted", "", None), {}, "The server restarted while this was being written. What came is kept."),
        (("failed", "upstream_stalled", None), {}, "The answer stopped arriving. What came is kept."),
        (("failed", "answer_too_long", "length"), {"limit": "9 s"}, "Stopped at the limit of 9 s. What came is kept."),
    ],
)
def test_below_an_answer_stands_why_it_is_not_whole(end, parameters, said):
    assert why_not_whole(*end, parameters) == said


def test_sentences_are_made_in_the_language_of_the_moment():
    with translation.override("en"):
        assert sentence("no_model") == "No model is set up yet. Please tell your admin."


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ((412, 52.3, 0), "0.4 s · 52 tokens/s"),
        ((412, 52.3, 8), "0.4 s · 52 tokens/s · 8 % failed"),
        ((None, None, 100), "100 % failed"),
        ((42, 3.27, None), "0.04 s · 3.3 tokens/s"),
        ((12_600, 1234.5, 0), "13 s · 1,234 tokens/s"),
        ((None, 9.96, 0), "10 tokens/s"),
        ((0, None, 0), "0.00 s"),
        ((None, None, None), ""),
        ((None, None, 0), ""),
    ],
)
def test_how_a_model_does_is_said_in_few_words(figures, words):
    assert stats_in_words(ModelStats(*figures)) == words
    assert stats_in_words(ModelStats(*figures, failing=True)) == "not answering now"


@pytest.mark.parametrize(
    ("number", "words"), [(0.97, "1.0"), (0.949, "0.9"), (9.94, "9.9"), (9.95, "10"), (0.094, "0.09")]
)
def test_a_rough_number_is_rounded_and_not_cut(number, words):
    assert roughly(number) == words
