"""The sentences of findings: there is one for everything, its figures are filled in, and nothing stored breaks it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from chat.codes import Code, Kind
from chat.diagnosis import CHECKS, RESULTS, Finding
from chat.texts import diagnosis as findings
from chat.texts.diagnosis import ADVICE, CODES, MEANINGS, card_of, changes_of, line_of

DETAILS = {
    "host": "example.org", "addresses": ["192.0.2.1", "2001:db8::1"], "count": 12, "context_window": 131072,
    "text": "1, 2, 3", "deltas": 58, "pieces": 57, "spread_seconds": 1.5, "whole_seconds": 2.25, "first_seconds": 0.25,
    "saved_seconds": 2.0, "percent": 89, "warnings": ["content_type"], "place": "own_chunk", "stop": "7",
    "prompt": {"ours": 15, "theirs": 39, "percent": -62}, "completion": {"ours": 58, "theirs": 58, "percent": 0},
    "encoding": "o200k_base", "field": "max_tokens", "asked": 16, "tokens": 16, "after_seconds": 0.03,
    "seen_by": "slots", "headers": {"x-ratelimit-limit-requests": "500"},
}  # fmt: skip


def test_the_tables_name_every_check_result_and_code():
    assert set(findings.CHECKS) == set(CHECKS)
    assert set(findings.MARKS) == set(RESULTS)
    assert set(CODES) == set(Code.of(Kind.UPSTREAM))


@pytest.mark.parametrize(("check", "case"), MEANINGS, ids=" ".join)
def test_every_case_is_said_in_a_sentence_with_its_figures(check: str, case: str):
    line = line_of(Finding(check, "odd", 0.1, {**DETAILS, "case": case}))
    assert line.meaning and line.meaning[0].isupper() | line.meaning[0].isalnum()
    assert "%(" not in line.meaning and "%%" not in line.meaning
    assert line.label and line.word == "peculiar" and line.mark == "!"


def test_advice_is_for_cases_that_there_are():
    assert set(ADVICE) <= set(MEANINGS) | {("models", "no_list")}


@pytest.mark.parametrize("code", Code.of(Kind.UPSTREAM))
def test_every_failure_is_said_with_the_servers_words_and_what_to_do(code: str):
    line = line_of(Finding("whole_answer", "bad", 1.0, {"code": code, "reason": "because of <this>"}))
    assert line.meaning.endswith("The server says: “because of <this>”")
    assert line.advice or code == "answer_too_long"
    assert "your admin" not in line.meaning, "this is read by the admin"


def test_a_skipped_check_says_why_and_took_no_time():
    line = line_of(Finding("stop", "skipped", 0.0, {"because": "no_answer"}))
    assert (line.word, line.meaning, line.advice, line.seconds) == (
        "not checked", "There is no answer to judge by.", "", "",
    )  # fmt: skip


def test_figures_are_written_as_people_read_them():
    window = line_of(Finding("models", "good", 0.016, {"case": "listed", "count": 1200, "context_window": 131072}))
    assert window.meaning == "This model is in the list, one of 1,200. Context window: 131,072 tokens."
    assert window.seconds == "0.02 s"
    untold = line_of(Finding("models", "good", 0, {"case": "listed", "count": 1, "context_window": None}))
    assert untold.meaning.endswith("Context window: not told.")
    saved = line_of(Finding("time_saved", "good", 0, {**DETAILS, "case": "saved"}))
    assert saved.meaning == (
        "The first words after 0.25 s, the whole answer after 2.25 s: 2.00 s less to wait (89 %)."
    )  # fmt: skip


def test_text_with_a_percent_sign_stays_as_it_is():
    line = line_of(Finding("whole_answer", "good", 0, {"case": "came", "text": "100 %(host)s %d %"}))
    assert line.meaning == "It came: “100 %(host)s %d %”"


def test_changes_are_named_as_on_the_providers_page():
    present = {"usage_mode": "auto", "whole_answers": False, "refused_fields": {}, "context_window": None}
    then = {"usage_mode": "never", "whole_answers": True, "refused_fields": {"": ["a"], "m": ["b"]}}
    changes = changes_of({**then, "context_window": 8192}, present)
    assert [(change.label, change.now, change.then) for change in changes] == [
        ("Usage", "ask, and stop asking when it is refused", "never ask"),
        ("Whole answers", "no", "yes"),
        ("Fields that are not sent any more", "none", "a, b (m)"),
        ("Context window", "unknown", "8,192"),
    ]


def test_a_card_counts_its_results():
    found = [Finding("address", "good"), Finding("tls", "good"), Finding("auth", "bad"), Finding("models", "skipped")]
    assert card_of(found, timezone.now(), "m", {}, {}).counts == "2 good, 1 bad, 1 not checked"
