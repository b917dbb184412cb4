"""A call of a model that appends its answer to a log and updates the status that followers see."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chat.codes import Code
from chat.generation.events import StatusChanged
from chat.generation.log import Log
from chat.limits import ANSWER_BYTES
from chat.providers.base import ProviderError, TextDelta
from chat.providers.call import Call
from chat.timing import Clock, Curve

logger = logging.getLogger(__name__)


class AnswerCall(Call):
    """A Call that writes its answer into `log`.

    curve           the number of characters over time
    turns_left_out  how many of the oldest turns did not fit into the context window; part of every status
    is_stopping     whether the owner has asked for a stop; part of every status
    finish_soon     is called at the first finish_reason, so that it is stored soon
    """

    def __init__(self, log: Log, clock: Clock, finish_soon: Callable[[], None]) -> None:
        super().__init__(clock)
        self.curve = Curve()
        self.turns_left_out = 0
        self.is_stopping = False
        self._log = log
        self._finish_soon = finish_soon
        self._length = 0

    @property
    def is_refusal(self) -> bool:
        """Whether the model declined to answer."""
        return "refusal" in self.warnings

    def connecting(self) -> None:
        """Set the phase to `connecting`."""
        self._tell("connecting", **self._attempt_number())

    def stopping(self) -> None:
        """Set the state to `stopping`: the owner has asked for a stop."""
        self.is_stopping = True
        self._log.tell(replace(self._log.status, state="stopping"))

    def on_started(self) -> None:
        self._log.restart_clock()

    def on_sent(self) -> None:
        if not self.deltas:
            self._tell("waiting", **self._attempt_number())

    def on_delta(self, delta: TextDelta) -> None:
        """Append the delta. Beyond 2 MiB, append what fits and raise ProviderError `answer_too_long`."""
        text, reasoning = delta.text, delta.reasoning
        room = ANSWER_BYTES - self._log.bytes
        is_full = False
        if (len(text) + len(reasoning)) * 4 > room:  # near the limit: count the bytes
            is_full = len(text.encode()) + len(reasoning.encode()) > room
            if is_full:
                reasoning = _cut(reasoning, room)
                text = _cut(text, room - len(reasoning.encode()))
        if text or reasoning:
            is_first = not self.deltas
            self.count_deltas(self._log.append(text, reasoning))
            self._length += len(text) + len(reasoning)
            self.curve.add(self.stopwatch.elapsed_ms(), self._length)
            if is_first:
                self._tell("writing", ttft_ms=self.stopwatch.timing().ttft_ms)
        if is_full:
            raise ProviderError(Code.ANSWER_TOO_LONG, f"{ANSWER_BYTES // 1024} KiB")

    def on_finish_reason(self) -> None:
        self._finish_soon()

    def on_warning(self, what: str) -> None:
        logger.warning("generation %s: upstream sent something odd: %s", self._log.generation, what)

    def on_retry(self, error: ProviderError, wait: float) -> None:
        logger.info("generation %s: %s, again in %.2f s", self._log.generation, error.code, wait)
        self._log.restart_clock()
        self._tell(
            "retrying",
            attempt=self.attempts + 1,
            wait_ms=round(wait * 1000),
            code=error.code,
            parameters=parameters_of(error),
        )

    def on_next_attempt(self) -> None:
        self._log.restart_clock()
        self._tell("connecting", attempt=self.attempts + 1)

    def _attempt_number(self) -> dict[str, int]:
        return {"attempt": self.attempts} if self.attempts > 1 else {}

    def _tell(self, phase: str, **details: Any) -> None:
        state = "stopping" if self.is_stopping else "running"
        left_out = self.turns_left_out or None
        self._log.tell(StatusChanged(self._log.generation, state, phase, turns_left_out=left_out, **details))


def parameters_of(error: ProviderError) -> dict[str, Any]:
    """Return the parameters for the sentence of the error's code."""
    parameters: dict[str, Any] = {}
    if error.reason:
        parameters["limit" if error.code == Code.ANSWER_TOO_LONG else "reason"] = error.reason
    if error.retry_after is not None and error.retry_after < float("inf"):
        parameters["retry_after"] = round(error.retry_after, 1)
    return parameters


def _cut(text: str, size: int) -> str:
    """Cut the text to at most `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")
