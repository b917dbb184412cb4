"""The events of a generation for its followers, without text in any language.

The text of the answer comes as Snapshot and Delta, which are frames already. chat/texts/frames.py turns the other
events into frames of the socket.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chat.codes import Code
from chat.ledger import Usage
from chat.pricing import Rate
from chat.protocol import Delta, Snapshot
from chat.timing import Timing


@dataclass(frozen=True)
class StatusChanged:
    """The status of a generation; None = does not apply.

    state           queued · running · stopping
    phase           queued · connecting · waiting · writing · retrying
    attempt         the number of the attempt, from the second one on
    wait_ms         milliseconds until the next attempt, or the expected time in the queue
    position        the position in the queue, from 1
    turns_left_out  how many of the oldest turns did not fit into the context window
    elapsed_ms      milliseconds since it was queued, the attempt was sent, or the wait for the next attempt began
    ttft_ms         milliseconds to the first delta; None before it
    code            the error that caused the retry; `parameters` fill in its sentence
    """

    generation: uuid.UUID
    state: str
    phase: str
    attempt: int | None = None
    wait_ms: int | None = None
    position: int | None = None
    turns_left_out: int | None = None
    elapsed_ms: int | None = None
    ttft_ms: int | None = None
    code: Code | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AnswerEnded:
    """The last event of a generation: how it ended, with its usage and timing.

    seq         the number of deltas
    length      code points of the whole text, including the kept beginning; `sha256` is of its UTF-8
    characters  code points that this generation wrote
    code        a Code, or a code that an earlier version stored; `parameters` fill in its sentence
    rate        the prices when the prompt was accepted; None = no price was set
    """

    generation: uuid.UUID
    seq: int
    state: str
    finish_reason: str | None
    usage: Usage
    timing: Timing
    length: int
    sha256: str
    characters: int
    code: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rate: Rate | None = None


Event = Snapshot | Delta | StatusChanged | AnswerEnded
