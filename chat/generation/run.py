"""One run: from a queued generation to its stored end. The only translator of upstream's events into our log, and the
only place that catches ProviderError. Owned and cancelled by the runner.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Container
from contextlib import aclosing
from typing import Any, Protocol

from django.db import InterfaceError, OperationalError
from msgspec import structs

from chat import ledger
from chat.codes import Code
from chat.finish_reasons import meaning_of
from chat.generation import inputs, store
from chat.generation.accept import Admitted
from chat.generation.failpoint import reach
from chat.generation.log import Log
from chat.limits import ANSWER_BYTES
from chat.models import CredentialsUnreadable, State
from chat.protocol import UNSET, Status
from chat.providers import retry
from chat.providers.base import (
    Adapter,
    Endpoint,
    Event,
    FinishReported,
    ModelNamed,
    ProviderError,
    ResponseStarted,
    TextDelta,
    UsageReported,
    Warned,
)
from chat.timing import Clock, Curve, Stopwatch

logger = logging.getLogger(__name__)

WRITE_WAIT = (0.1, 2.0)
"""Seconds between tries to write: the first wait, doubled up to the second."""

ENDS_WITHOUT_TEXT = ("length", "window", "content_filter", "tool_calls")
"""Meanings of finish_reason for which an answer without any text is no failure: asking again would bring the same."""


class Gone(Exception):
    """The generation was deleted before it began."""


class House(Protocol):
    """What a run needs of the runner."""

    clock: Clock

    async def write(self, work: Callable[[], Any]) -> Any:
        """Run in the writer's transaction."""

    async def read(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run in a reader thread."""

    async def adapter(self, provider: int, endpoint: Endpoint) -> Adapter:
        """The adapter of a provider."""

    def checkpoint_soon(self) -> None:
        """Store what there is without waiting for the next round."""

    def tell_begun(self, log: Log) -> None:
        """It isn't queued any more."""


class Run:
    """Writes one answer. `stop_requested` tells why its task is cancelled: by its owner, or because the portal ends."""

    def __init__(self, house: House, admitted: Admitted, log: Log) -> None:
        self.admitted = admitted
        self.log = log
        self.stop_requested = self.cancelled = self.begun = False
        self.over = False
        """Nothing more comes from upstream: from here on a cancel would hit the storing of the end."""
        self.finish_reason: str | None = None
        self.watch = Stopwatch(house.clock)
        self._curve = Curve()
        self._length = 0
        self._house = house
        self._inputs: inputs.Inputs | None = None
        self._reported: UsageReported | None = None
        self._started = self._sent = False
        self._tries = 0
        self._request_id = self._response_model = ""
        self._first_words = True
        self._refused = False

    async def write_answer(self) -> store.End:
        """Ask, retry, append what comes; returns how it ended. Only a second cancel makes it raise."""
        self.begun = True
        state, code, parameters = State.COMPLETED, None, {}
        try:
            # guard: a stop before the first step is kept
            if self.cancelled:  # before its task took the first step
                raise asyncio.CancelledError
            await self._answer()
        except asyncio.CancelledError:
            state, code = (State.STOPPED, None) if self.stop_requested else (State.INTERRUPTED, Code.SERVER_SHUTDOWN)
        except Gone:
            state = State.STOPPED
        except ProviderError as error:
            state, code, parameters = State.FAILED, error.code, _parameters(error)
            self._request_id = error.request_id or self._request_id
            # Without upstream's own words: some repeat the prompt in them.
            logger.info("generation %s failed: %s", self.log.generation, error.code)
        except Exception:
            state, code = State.FAILED, Code.INTERNAL
            logger.exception("generation %s failed", self.log.generation)
        self.over = True
        usage = await self._usage(state)
        if state == State.COMPLETED:
            parameters = self._noted(usage)
        return store.End(
            generation=self.log.generation,
            usage_record=self.admitted.usage_record,
            state=state,
            text=self.log.text,
            reasoning=self.log.reasoning,
            kept_characters=len(self.log.kept.text),
            rate=self.admitted.rate,
            deltas=self.log.seq,
            finish_reason=self.finish_reason,
            code=code,
            parameters=parameters,
            usage=usage,
            timing=self.watch.timing(),
            attempts=self._tries,
            response_model=self._response_model,
            upstream_request_id=self._request_id,
            turns_left_out=self._turns_left_out,
            curve=self._curve.points(),
        )

    def progress(self, told: Container[uuid.UUID]) -> store.Progress | None:
        """What a checkpoint has to store now; None when nothing. `told`: whose finish_reason is stored already."""
        if self.log.closing:
            return None
        unsaved = self.log.unsaved(self.watch.elapsed_ms())
        if unsaved is None and (self.finish_reason is None or self.log.generation in told):
            return None
        return store.Progress(
            self.log.generation,
            self.admitted.usage_record,
            unsaved,
            self.watch.timing(),
            self._tries,
            self.finish_reason,
        )

    async def _answer(self) -> None:
        self.log.restart_clock()
        self._tell("connecting")
        if not await persistently(self._house.write, lambda: store.begin(self.log.generation)):
            raise Gone
        self._house.tell_begun(self.log)
        try:
            self._inputs = await self._house.read(inputs.read, self.log.generation)
        except inputs.Unusable:
            raise ProviderError(Code.UPSTREAM_NOT_FOUND) from None
        except CredentialsUnreadable as error:
            logger.error("no key of PORTAL_KEYRING opens the credentials of provider %s", error)
            raise ProviderError(Code.UPSTREAM_AUTH) from error
        self._tell("connecting")
        total = self._inputs.endpoint.limits.total
        try:
            async with asyncio.timeout(total) as limit:
                await self._attempts(self._inputs)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ProviderError(Code.ANSWER_TOO_LONG, f"{total:g} s") from None

    async def _attempts(self, told: inputs.Inputs) -> None:
        """Send, and send again while nothing was delivered and it may help."""
        began = self._house.clock()
        while True:
            self._tries += 1
            try:
                await self._attempt(told)
                return
            except ProviderError as error:
                if not self.log.seq:
                    self._started = self._sent = False  # that attempt cost nothing; the next one may not come
                spent = self._house.clock() - began
                # guard: nothing is asked again once text has come
                wait = None if self.log.seq else retry.delay(error, self._tries, spent, random.random)
                if wait is None or self._tries > told.max_retries:
                    raise
                logger.info("generation %s: %s, again in %.2f s", self.log.generation, error.code, wait)
                self.log.restart_clock()
                self._tell(
                    "retrying",
                    attempt=self._tries + 1,
                    wait_ms=round(wait * 1000),
                    code=error.code,
                    parameters=_parameters(error),
                )
                await asyncio.sleep(wait)
                self.log.restart_clock()
                self._tell("connecting", attempt=self._tries + 1)

    async def _attempt(self, told: inputs.Inputs) -> None:
        self.watch = Stopwatch(self._house.clock)
        self._reported = self.finish_reason = None
        adapter = await self._house.adapter(told.provider, told.endpoint)
        async with aclosing(adapter.stream(told.asked.request, self)) as events:
            async for event in events:
                self._take(event)
        if not self.log.seq and meaning_of(self.finish_reason) not in ENDS_WITHOUT_TEXT:
            raise ProviderError(Code.ANSWER_EMPTY)

    # The adapter's probe ──────────────────────────────────────────────────────────────────────────────────────────

    def started(self) -> None:
        """The request is handed to the HTTP client."""
        self._started, self._sent = True, False
        self.watch.started()
        self.log.restart_clock()

    def sent(self) -> None:
        """The whole request has left."""
        self._sent = True
        if not self.log.seq:
            self._tell("waiting", **self._attempt_number())

    def received(self) -> None:
        """Bytes of the answer were read."""
        self.watch.received()

    # Events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta(text, reasoning):
                self._append(text, reasoning)
            case FinishReported(reason):
                first = self.finish_reason is None
                self.finish_reason = reason
                if first:
                    self._house.checkpoint_soon()
            case UsageReported():
                self._reported = event
            case ResponseStarted(request_id):
                self._request_id = request_id
            case ModelNamed(model):
                self._response_model = model
            case Warned(what):
                self._refused = self._refused or what == "refusal"
                logger.warning("generation %s: upstream sent something odd: %s", self.log.generation, what)

    def _append(self, text: str, reasoning: str) -> None:
        """Add a delta; of the one that crosses 2 MiB as much as fits. Raises ProviderError `answer_too_long` then."""
        room = ANSWER_BYTES - self.log.bytes
        is_full = False
        if (len(text) + len(reasoning)) * 4 > room:  # near the limit: look closely
            is_full = len(text.encode()) + len(reasoning.encode()) > room
            if is_full:
                reasoning = _cut(reasoning, room)
                text = _cut(text, room - len(reasoning.encode()))
        if text or reasoning:
            for _ in range(self.log.append(text, reasoning)):
                self.watch.delta()
            self._length += len(text) + len(reasoning)
            self._curve.add(self.watch.elapsed_ms(), self._length)
            if self._first_words:
                self._first_words = False
                ttft_ms = self.watch.timing().ttft_ms
                self._tell("writing", **({} if ttft_ms is None else {"ttft_ms": ttft_ms}))
        if is_full:
            raise ProviderError(Code.ANSWER_TOO_LONG, f"{ANSWER_BYTES // 1024} KiB")

    @property
    def _turns_left_out(self) -> int:
        return self._inputs.asked.turns_left_out if self._inputs else 0

    def _attempt_number(self) -> dict[str, int]:
        return {"attempt": self._tries} if self._tries > 1 else {}

    def _tell(self, phase: str, **details: Any) -> None:
        state = "stopping" if self.stop_requested else "running"
        left_out = self._turns_left_out or UNSET
        self.log.tell(Status(str(self.log.generation), state, phase, turns_left_out=left_out, **details))

    def tell_stopping(self) -> None:
        """Show that the owner's stop is under way."""
        self.log.tell(structs.replace(self.log.status, state="stopping"))

    # The end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _noted(self, usage: ledger.Usage) -> dict[str, Any]:
        """What is to be said below a complete answer: at how many tokens it was cut, or that it is none.

        The tokens are as upstream counts them, else what was asked for; perhaps they are unknown.
        """
        if meaning_of(self.finish_reason) != "length":
            note = "refusal" if self._refused else "" if self.log.text else "answer_empty"
            return {"note": note} if note else {}
        if usage.source == "reported" and usage.completion_tokens:
            return {"limit": usage.completion_tokens}
        asked = self._inputs.asked.request.options.get("max_tokens") if self._inputs else None
        return {"limit": asked} if isinstance(asked, int) else {}

    async def _usage(self, state: State) -> ledger.Usage:
        """Reported by upstream, else counted; zeros when nothing reached the model; unknown when we cannot tell."""
        if self._reported is not None:
            return ledger.Usage(
                self._reported.prompt_tokens,
                self._reported.completion_tokens,
                self._reported.total_tokens,
                self._reported.reasoning_tokens,
                self._reported.cached_tokens,
                source="reported",
            )
        if self._inputs is None or not self._started:
            return ledger.NOTHING_SENT
        if not self.log.seq and state != State.COMPLETED:
            if state == State.FAILED:
                return ledger.NOTHING_SENT
            if not self._sent:
                return ledger.Usage()  # cut before we know whether it was sent
        try:
            counted: ledger.Usage = await self._house.read(
                inputs.count_usage, self._inputs.asked, self.log.new_text, self.log.new_reasoning
            )
        except Exception:
            logger.exception("the tokens of generation %s could not be counted", self.log.generation)
            return ledger.Usage()
        return counted


def _cut(text: str, size: int) -> str:
    """As much of the text as fits into `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _parameters(error: ProviderError) -> dict[str, Any]:
    """What the sentence for a code may name."""
    parameters: dict[str, Any] = {}
    if error.reason:
        parameters["limit" if error.code == Code.ANSWER_TOO_LONG else "reason"] = error.reason
    if error.retry_after is not None and error.retry_after < float("inf"):
        parameters["retry_after"] = round(error.retry_after, 1)
    return parameters


async def persistently(write: Callable[[Callable[[], Any]], Awaitable[Any]], work: Callable[[], Any]) -> Any:
    """Write, again and again until the database takes it: locked or full, it will be free one day.

    Raises what no waiting mends, such as a violated constraint.
    """
    wait, longest = WRITE_WAIT
    while True:
        try:
            return await write(work)
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database does not write yet: %s", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)


async def store_end(write: Callable[[Callable[[], Any]], Awaitable[Any]], end: store.End) -> None:
    """Store an end, however long that takes; the text is on people's screens already."""
    await persistently(write, lambda: store.finish(end))
    reach("after_finish_commit")
