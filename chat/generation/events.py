"""What happens to a generation, as its followers are told: plain facts, without the words of any language.

The text itself comes as Snapshot and Delta, which every wire carries as they are. chat/texts/frames.py turns the others
into frames of the socket.
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
    """Where a generation stands; None = does not apply.

    state           queued · running · stopping
    phase           queued · connecting · waiting · writing · retrying
    attempt         the number of the attempt, from the second one on
    wait_ms         until the next attempt, or about how long it stays in the queue
    position        its place in the queue, from 1
    turns_left_out  so many of the oldest turns did not fit into the context window
    elapsed_ms      since it was queued, since this attempt was sent, or since the wait for the next one began
    ttft_ms         milliseconds to the first delta, once it came
    code            why it is tried again; `parameters` fill the sentence
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
    """How a generation ended, and what it took: the last event.

    seq         how many deltas there were
    length      code points of the whole text, also of what was there before; `sha256` is of its UTF-8
    characters  code points that this generation wrote
    code        a Code, or one that an earlier version stored; `parameters` fill the sentence
    rate        the prices at which it was asked; None = no price was set
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
