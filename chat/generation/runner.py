"""The runner, one per process. It owns all generation tasks, logs and adapters, and starts queued generations.

A generation belongs to the process, never to a socket. All methods run on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from django.conf import settings
from django.db import DatabaseError

from chat import providers
from chat.codes import Code
from chat.conversations import Conversations, NotFound
from chat.database import Database
from chat.generation import store
from chat.generation.accept import Admitted, Refusal, accept, queued_admissions
from chat.generation.adapter_pool import AdapterPool
from chat.generation.checkpoints import Checkpoints
from chat.generation.events import Event, StatusChanged
from chat.generation.failpoint import reach
from chat.generation.log import Log
from chat.generation.maintenance import check_integrity, clean_up
from chat.generation.queue import Entry, Queue
from chat.generation.run import Run
from chat.health.model_stats import ModelStatsCache
from chat.health.provider_outages import ProviderOutages
from chat.live.subscriptions import Subscription
from chat.models import State
from chat.protocol import Accepted, PromptCommand
from chat.tasks import TaskSet
from chat.timing import Clock
from chat.tokens import load_tables

logger = logging.getLogger(__name__)

ACCEPT_SECONDS = 5.0
QUEUE_SECONDS = 600.0
LOG_SECONDS = 60.0
FOLLOW_AGAIN_SECONDS = 0.05
FOLLOW_TRIES = 100
CLOSE_SECONDS = 1.5


def _warm_up() -> None:
    """Load what the first answers would otherwise have to wait for.

    Reading a token table takes half a second. For 0.2 s of it tiktoken holds the GIL, which stops every thread,
    the event loop and the writer included.
    """
    providers.load_backend()
    try:
        load_tables()
    except (OSError, ValueError):
        logger.exception("tokens cannot be counted")


class Runner:
    """Accepts prompts, runs and stops generations, and yields their events to the sockets of their owner."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.boot = uuid.uuid4().hex
        self.draining = asyncio.Event()
        self.drain_seconds = 0.0
        self._hurry = asyncio.Event()
        self.database = Database()
        self.conversations = Conversations(self.database)
        self.outages = ProviderOutages(clock)
        self.model_stats = ModelStatsCache(self.outages)
        self._queue = Queue(settings.PORTAL_USER_RUNNING)
        self.logs: dict[uuid.UUID, Log] = {}
        self.runs: dict[uuid.UUID, Run] = {}
        self._tasks = TaskSet("runner")
        self._adapters = AdapterPool(self.database, self._tasks)
        self._checkpoints = Checkpoints(self.database, self.runs, clock)
        self._left_behind: list[tuple[int, Admitted]] = []

    # Life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Warm up, read the queued generations and start the writer's thread, before a port is open.

        The caller must hold the lock of the data directory and have called `recovery.sweep`.
        """
        _warm_up()
        self.model_stats.refresh()
        self._left_behind = queued_admissions()
        self.database.open()

    async def start(self) -> None:
        """Start the background tasks and the queued generations."""
        read = self.database.read
        for work, name in (
            (self._checkpoints.write(), "checkpoints"),
            (clean_up(self.database, self.conversations, self.runs, self._end_overdue), "cleaning up"),
            (check_integrity(self.database, lambda: self.logs), "self-check"),
            (self.outages.probe_forever(read), "probing providers"),
            (self.model_stats.refresh_forever(read), "model stats"),
        ):
            self._tasks.start(work, name)
        while self._left_behind:
            self._enqueue(*self._left_behind.pop(0))

    async def drain(self, seconds: float) -> None:
        """Refuse new prompts, give running answers `seconds` to end, then cancel them.

        Every answer is stored. Queued generations stay queued.
        """
        self.drain_seconds = seconds
        self.draining.set()
        if self.runs:
            hurried = asyncio.ensure_future(self._hurry.wait())
            everything = asyncio.gather(*(run.wait() for run in self.runs.values()))
            await asyncio.wait((hurried, everything), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            for run in list(self.runs.values()):
                run.interrupt()
            await asyncio.wait((everything,), timeout=CLOSE_SECONDS)
            everything.cancel()

    def hurry(self) -> None:
        """Make `drain` stop waiting."""
        self._hurry.set()

    async def close(self) -> None:
        """Close all connections and threads."""
        await self._tasks.close()
        await self._adapters.close()
        await asyncio.get_running_loop().run_in_executor(None, self.close_now)

    def close_now(self) -> None:
        """Stop the threads without an event loop. Does nothing after `close`."""
        self.database.close()

    # Accepting ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, user_id: int, command: PromptCommand, by: Subscription | None = None) -> Accepted:
        """Store a prompt and queue its answer. `by`: the subscription of the sending tab. Raises Refusal.

        Cancelling the caller does not cancel the work: every committed prompt is answered.
        """
        # guard: a portal that ends takes no prompt
        if self.draining.is_set():
            raise Refusal(Code.SERVER_RESTARTING)
        task = self._tasks.start(self._accept(user_id, command, by), "accept")
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                admitted = await asyncio.shield(task)
        except TimeoutError:
            raise Refusal(Code.BUSY_TRY_AGAIN, retry_after_ms=1000) from None
        if isinstance(admitted, Refusal):
            raise admitted
        log = self.logs.get(admitted.generation)
        state = admitted.state if log is None else log.final.state if log.final else log.status.state
        return Accepted(
            str(command.key),
            str(admitted.conversation),
            str(admitted.user_message),
            str(admitted.assistant_message),
            str(admitted.generation),
            state,
            admitted.duplicate,
        )

    async def _accept(self, user_id: int, command: PromptCommand, by: Subscription | None) -> Admitted | Refusal:
        """Store the prompt. A refusal is returned, not raised, because the exception of a task is logged."""
        try:
            admitted = await self.database.write(lambda: accept(user_id, command))
        except Refusal as refusal:
            return refusal
        except DatabaseError as error:
            logger.warning("a prompt was not stored: %s", error)
            full = "full" in str(error)
            return Refusal(Code.STORAGE_FULL, 5000) if full else Refusal(Code.BUSY_TRY_AGAIN, 1000)
        reach("after_accept_commit")
        if not admitted.duplicate:
            self._enqueue(user_id, admitted)
            added = (admitted.user_message, admitted.assistant_message)
            self.conversations.subscriptions.publish(user_id, admitted.conversation, added, by)
        return admitted

    def _enqueue(self, user_id: int, admitted: Admitted) -> None:
        """Create the log, append the generation to the queue, and start what may start."""
        log = Log(admitted.generation, user_id, self.boot, admitted.conversation, self.clock, admitted.kept)
        self.logs[admitted.generation] = log
        self._queue.add(Entry(user_id, admitted, self.clock() + QUEUE_SECONDS))
        self._start_what_may()

    def _start_what_may(self) -> None:
        if self.draining.is_set():
            return
        while (entry := self._queue.take(self.runs)) is not None:
            generation = entry.admitted.generation
            run = self.runs[generation] = Run(
                entry.admitted,
                self.logs[generation],
                database=self.database,
                adapters=self._adapters,
                clock=self.clock,
                checkpoint_soon=self._checkpoints.soon,
                on_begun=self._publish,
            )
            run.start(self._tasks, self._run(run))
        for generation, position, wait_ms in self._queue.positions():
            status = StatusChanged(generation, "queued", "queued", position=position, wait_ms=wait_ms)
            self.logs[generation].tell(status)

    async def _run(self, run: Run) -> None:
        """The task of one generation: write the answer, store its end, notify its followers, start what may start."""
        try:
            end = await run.write_answer()
            if end.state == State.COMPLETED and end.timing.duration_ms:
                self._queue.took(end.timing.duration_ms / 1000)
            await self._finish(run.log, end)
            self.outages.record_end(run.admitted.provider, end.state, end.deltas, end.code)
        finally:
            self.runs.pop(run.log.generation, None)
            self._queue.done(run.admitted.generation)
            self._start_what_may()

    async def _finish(self, log: Log, end: store.End) -> None:
        log.closing = True
        # guard: only an answer that a tab shows is stored as seen
        end = replace(end, seen=self.conversations.subscriptions.is_watched(log.owner_id, log.conversation))
        try:
            await self._store(end)
        except Exception:
            logger.exception("the end of generation %s cannot be stored as it is", log.generation)
            # guard: an end that cannot be stored is stored without its figures
            end = replace(store.bare(end), state=State.FAILED, code=Code.INTERNAL)
            try:
                await self._store(end)
            except Exception:
                logger.exception("not even the text of generation %s can be stored", log.generation)
        log.end(store.ended(end))
        self._publish(log)
        asyncio.get_running_loop().call_later(LOG_SECONDS, self.logs.pop, log.generation, None)

    async def _store(self, end: store.End) -> None:
        """Store an end and retry until that succeeds, because users have seen the text already."""
        await self.database.write_persistently(lambda: store.finish(end))
        reach("after_finish_commit")

    def _publish(self, log: Log) -> None:
        """Notify the owner's tabs that the state of the conversation has changed."""
        if log.conversation is not None:
            self.conversations.subscriptions.publish(log.owner_id, log.conversation)

    def _end_overdue(self) -> None:
        """Fail the generations that have been queued for QUEUE_SECONDS."""
        for entry in self._queue.overdue(self.clock()):
            self._end_queued(entry, State.FAILED, Code.QUEUE_TIMEOUT)

    def _end_queued(self, entry: Entry, state: State, code: Code | None = None) -> None:
        self._queue.remove(entry.admitted.generation)
        log = self.logs[entry.admitted.generation]
        end = store.End(
            entry.admitted.generation,
            entry.admitted.usage_record,
            state,
            # guard: a continued answer that never ran keeps its text
            log.text,
            # guard: a continued answer that never ran keeps its reasoning
            log.reasoning,
            kept_characters=len(log.text),
            rate=entry.admitted.rate,
            code=code,
        )
        self._tasks.start(self._finish(log, end), "end of a queued generation")
        self._start_what_may()

    # Stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def stop(self, user_id: int, generation: uuid.UUID) -> None:
        """Stop an answer at its owner's request. An answer that has ended stays as it is. Raises NotFound."""
        log = self.logs.get(generation)
        # guard: a running answer is stopped by its owner
        if log is None or log.owner_id != user_id:
            if not await self.database.read(store.is_owned, user_id, generation):
                raise NotFound
            return
        entry = self._queue.find(generation)
        if entry is not None:
            self._end_queued(entry, State.STOPPED)
            return
        run = self.runs.get(generation)
        if run is not None and run.stop():
            self._tasks.start(self.database.write(lambda: store.request_stop(generation)), "stop")

    # Following ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def follow(
        self, user_id: int, generation: uuid.UUID, epoch: str | None, after: int
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a generation for one follower, until its end. Raises NotFound."""
        for _ in range(FOLLOW_TRIES):
            log = self.logs.get(generation)
            if log is not None:
                # guard: a running answer is followed by its owner
                if log.owner_id != user_id:
                    raise NotFound
                async with aclosing(log.follow(epoch, after)) as events:
                    async for event in events:
                        yield event
                return
            try:
                stored = await self.database.read(store.stored, user_id, generation)
            except store.Unfinished:  # just committed: its log does not exist yet
                await asyncio.sleep(FOLLOW_AGAIN_SECONDS)
                continue
            if stored is None:
                raise NotFound
            snapshot, ended = stored
            if (epoch, after) != (store.STORED, snapshot.seq):
                yield snapshot
            yield ended
            return
        raise RuntimeError(f"generation {generation} has neither a log nor an end")

    def head(self, generation: uuid.UUID) -> int | None:
        """Return the last seq of a generation in memory, or None."""
        log = self.logs.get(generation)
        return None if log is None else log.seq
