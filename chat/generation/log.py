"""One append-only log in memory per running generation: the authoritative copy of its text.

A follower holds one integer, its `seq`, and reads everything after it whenever its socket has room. So a slow
follower costs no memory, a fast one gets each delta by itself, and only back-pressure joins deltas.
All methods run on the event loop. Except `follow` they don't await, so a snapshot and its `seq` always match.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from chat.generation.events import AnswerEnded, Event, StatusChanged
from chat.protocol import DELTA_BYTES, Delta, Snapshot
from chat.timing import Clock

PIECE_CHARACTERS = DELTA_BYTES // 4
"""The number of characters that fit into the 64 KiB of a frame in any encoding. A longer upstream delta is stored as
several deltas of this length, each with its own seq."""


@dataclass(frozen=True)
class Unsaved:
    """The part of a log that the next checkpoint stores: the deltas (prev, seq]."""

    generation: uuid.UUID
    prev: int
    seq: int
    text: str
    reasoning: str
    at_ms: int
    """Milliseconds since the request was sent."""


@dataclass(frozen=True)
class KeptText:
    """The text of a cut answer, with which its continuation starts. It belongs to no delta."""

    text: str = ""
    reasoning: str = ""


class Log:
    """The text and the status of one running generation."""

    def __init__(
        self,
        generation: uuid.UUID,
        owner_id: int,
        epoch: str,
        conversation: uuid.UUID | None = None,
        clock: Clock = time.monotonic,
        kept: KeptText = KeptText(),
    ) -> None:
        self.generation = generation
        self.owner_id = owner_id
        self.epoch = epoch
        self.conversation = conversation
        self._clock = clock
        self._began = clock()
        self.saved = 0
        self.closing = False
        """Whether the end is being stored. From then on no checkpoint may be written."""
        self.final: AnswerEnded | None = None
        self.status = StatusChanged(generation, "queued", "queued")
        self._status_version = 0
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._listeners: set[asyncio.Event] = set()
        self.kept = kept
        self.bytes = _utf8_length(kept.text) + _utf8_length(kept.reasoning)

    @property
    def followers(self) -> int:
        """The number of current followers."""
        return len(self._listeners)

    @property
    def seq(self) -> int:
        """The number of deltas so far."""
        return len(self._texts)

    @property
    def text(self) -> str:
        """The whole content so far."""
        return self.kept.text + self.new_text

    @property
    def reasoning(self) -> str:
        """The whole reasoning so far."""
        return self.kept.reasoning + self.new_reasoning

    @property
    def new_text(self) -> str:
        """The content that this generation wrote."""
        return "".join(self._texts)

    @property
    def new_reasoning(self) -> str:
        """The reasoning that this generation wrote."""
        return "".join(self._reasonings)

    def append(self, text: str, reasoning: str) -> int:
        """Add one upstream delta and return as how many it counts. `text` or `reasoning` must be non-empty."""
        before, size = self.seq, _utf8_length(text) + _utf8_length(reasoning)
        self.bytes += size
        if size <= DELTA_BYTES:
            self._add(text, reasoning)
        else:
            for at in range(0, len(reasoning), PIECE_CHARACTERS):
                self._add("", reasoning[at : at + PIECE_CHARACTERS])
            for at in range(0, len(text), PIECE_CHARACTERS):
                self._add(text[at : at + PIECE_CHARACTERS], "")
        self._wake()
        return self.seq - before

    def _add(self, text: str, reasoning: str) -> None:
        self._texts.append(text)
        self._reasonings.append(reasoning)

    def tell(self, status: StatusChanged) -> None:
        """Set the status. Followers get it if it differs from the last one."""
        if status != self.status:
            self.status = status
            self._status_version += 1
            self._wake()

    def restart_clock(self) -> None:
        """Set `elapsed_ms` to 0, because the request is sent or the wait for the next attempt begins."""
        self._began = self._clock()

    def _status_now(self) -> StatusChanged:
        return replace(self.status, elapsed_ms=round((self._clock() - self._began) * 1000))

    def end(self, ended: AnswerEnded) -> None:
        """Set the last event. Called once, after the end is stored."""
        self.final = ended
        self._wake()

    def snapshot(self) -> Snapshot:
        """Return the whole text so far."""
        state = self.final.state if self.final else self.status.state
        return Snapshot(str(self.generation), self.epoch, self.seq, self.text, self.reasoning, state)

    def since(self, prev: int) -> Delta:
        """Return the deltas after `prev` as one, up to 64 KiB. `prev` must be less than `seq`."""
        upto, size = prev, 0
        while upto < self.seq:
            size += _utf8_length(self._texts[upto]) + _utf8_length(self._reasonings[upto])
            # guard: a delta frame is bounded
            if size > DELTA_BYTES and upto > prev:
                break
            upto += 1
        text = "".join(self._texts[prev:upto])
        reasoning = "".join(self._reasonings[prev:upto])
        absent: dict[str, str] = {}
        if text:
            absent["text"] = text
        if reasoning:
            absent["reasoning"] = reasoning
        return Delta(str(self.generation), prev, upto, **absent)

    def unsaved(self, at_ms: int) -> Unsaved | None:
        """Return the deltas that no checkpoint has stored; None if there are none or the end is being stored."""
        # guard: no checkpoint follows the end of its log
        if self.closing or self.saved == self.seq:
            return None
        return Unsaved(
            self.generation,
            self.saved,
            self.seq,
            "".join(self._texts[self.saved :]),
            "".join(self._reasonings[self.saved :]),
            at_ms,
        )

    async def follow(self, epoch: str | None, after: int) -> AsyncGenerator[Event, None]:
        """Yield the events for one follower: a snapshot unless `epoch` and `after` match, status, deltas, the end."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            sent_version = -1
            # guard: a place counts in its own log only
            # guard: a place beyond the log is none
            if epoch == self.epoch and 0 <= after <= self.seq:
                place = after
            else:
                # guard: a snapshot and its place are one moment
                place = self.seq
                yield self.snapshot()
            while True:
                if self.final is None and sent_version != self._status_version:
                    sent_version = self._status_version
                    yield self._status_now()
                elif self.seq > place:
                    delta = self.since(place)
                    place = delta.seq
                    yield delta
                elif self.final is not None:
                    yield self.final
                    return
                else:
                    event.clear()
                    await event.wait()
        finally:
            self._listeners.discard(event)

    def _wake(self) -> None:
        for event in self._listeners:
            event.set()


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
