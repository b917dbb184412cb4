"""From events to frames: the sentence is in the reader's language, and what only fills it is not sent."""

from __future__ import annotations

import json
import uuid

from chat.codes import Code
from chat.generation.accept import Refusal
from chat.generation.events import AnswerEnded, StatusChanged
from chat.ledger import Usage
from chat.protocol import encode
from chat.texts import frames
from chat.timing import Timing

GENERATION = uuid.UUID(int=1)


def sent(frame):
    return json.loads(encode(frame))


def test_a_refusal_says_why_and_when_to_come_back():
    refusal = Refusal(Code.RATE_LIMITED, 1500, retry_after=1.5)
    assert sent(frames.refused(GENERATION, refusal, "en")) == {
        "type": "refused",
        "key": str(GENERATION),
        "code": "rate_limited",
        "message": "You sent many prompts in a short time. Try again in 2 seconds.",
        "retry_after_ms": 1500,
    }


def test_a_status_holds_what_applies():
    assert sent(frames.frame_of(StatusChanged(GENERATION, "queued", "queued", position=2), "en")) == {
        "type": "status",
        "generation": str(GENERATION),
        "state": "queued",
        "phase": "queued",
        "position": 2,
    }
    retrying = StatusChanged(GENERATION, "running", "retrying", attempt=2, wait_ms=500, code=Code.UPSTREAM_CUT)
    assert (
        sent(frames.frame_of(retrying, "en"))["message"] == "The connection to the model broke off. What came is kept."
    )


def test_an_end_says_why_with_the_words_that_fill_the_sentence():
    ended = AnswerEnded(
        GENERATION, 0, "failed", None, Usage(), Timing(), 0, "", 0, "upstream_rejected", {"reason": "no such tool"}
    )
    frame = sent(frames.frame_of(ended, "en"))
    assert frame["message"] == "The model server rejected the request: no such tool"
    assert "parameters" not in frame


def test_a_whole_answer_has_no_message():
    whole = AnswerEnded(GENERATION, 1, "completed", "stop", Usage(1, 1, 2, source="reported"), Timing(), 2, "", 2)
    assert "message" not in sent(frames.frame_of(whole, "en"))
