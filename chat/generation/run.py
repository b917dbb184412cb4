"""Run one generation from the queue to its end, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Container, Coroutine
from typing import Any

from chat import ledger
from chat.codes import Code
from chat.database import Database
from chat.finish_reasons import meaning_of
from chat.generation import inputs, store
from chat.generation.accept import Admitted
from chat.generation.adapter_pool import AdapterPool
from chat.generation.answer_call import AnswerCall, parameters_of
from chat.generation.log import Log
from chat.models import CredentialsUnreadable, State
from chat.providers.base import ProviderError
from chat.tasks import TaskSet
from chat.timing import Clock

logger = logging.getLogger(__name__)


class Gone(Exception):
    """The generation was deleted before it began."""


class Run:
    """Writes one answer in a task of its own, which is cancelled at most once.

    database         reads the inputs and stores that the generation runs
    adapters         lends the adapter of the provider
    checkpoint_soon  is called when something should be stored at once, without waiting for the next checkpoint
    on_begun         is called when the generation has left the queue
    """

    def __init__(
        self,
        admitted: Admitted,
        log: Log,
        *,
        database: Database,
        adapters: AdapterPool,
        clock: Clock,
        checkpoint_soon: Callable[[], None],
        on_begun: Callable[[Log], None],
    ) -> None:
        self.admitted = admitted
        self.log = log
        self.call = AnswerCall(log, clock, checkpoint_soon)
        self._database = database
        self._adapters = adapters
        self._on_begun = on_begun
        self._task: asyncio.Task[None] | None = None
        self._is_begun = self._is_cancelled = self._is_stopped = self._is_over = False
        self._inputs: inputs.Inputs | None = None

    # Its task ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, tasks: TaskSet, work: Coroutine[Any, Any, None]) -> None:
        """Start `work`, which awaits `write_answer`, as the task of this run."""
        self._task = tasks.start(work, f"generation {self.log.generation}")

    async def wait(self) -> None:
        """Wait until the task has ended. Does not raise its exception."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def stop(self) -> bool:
        """Stop at the owner's request and keep the text so far. Return False if it is stopping already or over."""
        if self._is_stopped or self._is_over:
            return False
        self.call.stopping()
        self.abandon()
        return True

    def abandon(self) -> None:
        """End the run as stopped without a status for followers, because its conversation was deleted."""
        self._is_stopped = True
        self.interrupt()

    def interrupt(self) -> None:
        """Cancel the task when the portal shuts down. Only once: a second cancel would hit the storing of the end."""
        # guard: no cancel hits the storing of an end
        if not self._is_cancelled and not self._is_over:
            self._is_cancelled = True
            if self._is_begun and self._task is not None:  # a task that has not begun checks the flag
                self._task.cancel()

    # The answer ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def write_answer(self) -> store.End:
        """Call the model, append its answer to the log and return the end. Raises only if it is cancelled twice."""
        self._is_begun = True
        state, code, parameters = State.COMPLETED, None, {}
        try:
            # guard: a stop before the first step is kept
            if self._is_cancelled:  # before its task took the first step
                raise asyncio.CancelledError
            await self._answer()
        except asyncio.CancelledError:
            state, code = (State.STOPPED, None) if self._is_stopped else (State.INTERRUPTED, Code.SERVER_SHUTDOWN)
        except Gone:
            state = State.STOPPED
        except ProviderError as error:
            state, code, parameters = State.FAILED, error.code, parameters_of(error)
            # Without the upstream's message: some upstreams repeat the prompt in it.
            logger.info("generation %s failed: %s", self.log.generation, error.code)
        except Exception:
            state, code = State.FAILED, Code.INTERNAL
            logger.exception("generation %s failed", self.log.generation)
        self._is_over = True  # from here on a cancel would hit the storing of the end
        usage = await self._usage(state)
        if state == State.COMPLETED:
            parameters = self._noted(usage)
        call = self.call
        return store.End(
            generation=self.log.generation,
            usage_record=self.admitted.usage_record,
            state=state,
            text=self.log.text,
            reasoning=self.log.reasoning,
            kept_characters=len(self.log.kept.text),
            rate=self.admitted.rate,
            deltas=self.log.seq,
            finish_reason=call.finish_reason,
            code=code,
            parameters=parameters,
            usage=usage,
            timing=call.stopwatch.timing(),
            attempts=call.attempts,
            response_model=call.response_model,
            upstream_request_id=call.request_id,
            turns_left_out=call.turns_left_out,
            curve=call.curve.points(),
        )

    def progress(self, with_finish_reason: Container[uuid.UUID]) -> store.Progress | None:
        """Return what the next checkpoint has to store, or None.

        with_finish_reason  the generations whose finish_reason is stored already
        """
        if self.log.closing:
            return None
        reason = self.call.finish_reason
        unsaved = self.log.unsaved(self.call.stopwatch.elapsed_ms())
        if unsaved is None and (reason is None or self.log.generation in with_finish_reason):
            return None
        return store.Progress(
            self.log.generation,
            self.admitted.usage_record,
            unsaved,
            self.call.stopwatch.timing(),
            self.call.attempts,
            reason,
        )

    async def _answer(self) -> None:
        self.log.restart_clock()
        self.call.connecting()
        if not await self._database.write_persistently(lambda: store.begin(self.log.generation)):
            raise Gone
        self._on_begun(self.log)
        try:
            self._inputs = asked = await self._database.read(inputs.read, self.log.generation)
        except inputs.Unusable:
            raise ProviderError(Code.UPSTREAM_NOT_FOUND) from None
        except CredentialsUnreadable as error:
            logger.error("no key of PORTAL_KEYRING opens the credentials of provider %s", error)
            raise ProviderError(Code.UPSTREAM_AUTH) from error
        self.call.turns_left_out = asked.asked.turns_left_out
        self.call.connecting()
        await self.call.run(
            asked.asked.request,
            lambda: self._adapters.lend(asked.provider, asked.endpoint),
            asked.endpoint.limits.total,
            max_retries=asked.max_retries,
            needs_text=True,
        )

    def _noted(self, usage: ledger.Usage) -> dict[str, Any]:
        """Return the parameters of the note below a complete answer: its token limit if it was cut, or why it is none.

        The limit is the upstream's token count, or else the requested `max_tokens`; it may be unknown.
        """
        if meaning_of(self.call.finish_reason) != "length":
            note = "refusal" if self.call.is_refusal else "" if self.log.text else "answer_empty"
            return {"note": note} if note else {}
        if usage.source == "reported" and usage.completion_tokens:
            return {"limit": usage.completion_tokens}
        asked = self._inputs.asked.request.options.get("max_tokens") if self._inputs else None
        return {"limit": asked} if isinstance(asked, int) else {}

    async def _usage(self, state: State) -> ledger.Usage:
        """Return the usage that upstream reported, or else our count.

        It is zero if nothing reached the model, and unknown if the run was cut before that was certain.
        """
        if self.call.usage is not None:
            return ledger.reported(self.call.usage)
        if self._inputs is None or not self.call.is_started:
            return ledger.NOTHING_SENT
        if not self.log.seq and state != State.COMPLETED:
            if state == State.FAILED:
                return ledger.NOTHING_SENT
            if not self.call.is_sent:
                return ledger.Usage()  # cut before we know whether it was sent
        try:
            counted: ledger.Usage = await self._database.read(
                inputs.count_usage, self._inputs.asked, self.log.new_text, self.log.new_reasoning
            )
        except Exception:
            logger.exception("the tokens of generation %s could not be counted", self.log.generation)
            return ledger.Usage()
        return counted
