"""The runner: one per process. Owns every task, every log and every adapter; says who may run next.

A generation belongs to the process, never to a socket. All methods run on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from msgspec import structs

from chat import integrity, providers
from chat.codes import Code
from chat.conversations import Conversations, NotFound
from chat.database import Readers, Writer
from chat.generation import store
from chat.generation.accept import Admitted, Refusal, accept, queued_admissions
from chat.generation.failpoint import reach
from chat.generation.log import Log
from chat.generation.queue import Entry, Queue
from chat.generation.run import Run, store_end
from chat.health.model_stats import ModelStatsCache
from chat.health.provider_outages import Health
from chat.live.subscriptions import Subscription
from chat.models import State
from chat.protocol import UNSET, Accepted, Frame, PromptCommand, Refused, Status
from chat.providers.base import Adapter, Endpoint, UnsupportedField
from chat.timing import Clock
from chat.tokens import load_tables

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.25
ACCEPT_SECONDS = 5.0
QUEUE_SECONDS = 600.0
LOOK_SECONDS = 2.0
LOG_SECONDS = 60.0
FIRST_CHECK_SECONDS, CHECK_SECONDS = 60.0, 3600.0
FOLLOW_AGAIN_SECONDS = 0.05
FOLLOW_TRIES = 100
CLOSE_SECONDS = 1.5


def _warm_up() -> None:
    """What the first answers would have to wait for otherwise.

    Reading a token table takes half a second, and for 0.2 s of it tiktoken holds Python's one lock: no thread moves
    then, neither the event loop nor the writer.
    """
    providers.load_backend()
    try:
        load_tables()
    except (OSError, ValueError):
        logger.exception("tokens cannot be counted")


class Runner:
    """Accepts prompts, runs and stops generations, and lets anybody of their owner's sockets follow them."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.boot = uuid.uuid4().hex
        self.draining = asyncio.Event()
        self.drain_seconds = 0.0
        self._hurry = asyncio.Event()
        self._writer = Writer()
        self._readers = Readers()
        self.conversations = Conversations(self._writer, self._readers)
        self.health = Health(clock)
        self.model_stats = ModelStatsCache(self.health)
        self._queue = Queue(settings.PORTAL_USER_RUNNING)
        self._logs: dict[uuid.UUID, Log] = {}
        self._runs: dict[uuid.UUID, tuple[Run, asyncio.Task[None]]] = {}
        self._adapters: dict[int, tuple[Endpoint, Adapter]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._checkpoint_now = asyncio.Event()
        self._left_behind: list[tuple[int, Admitted]] = []

    # Life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Warm up, read what is queued and start the writer's thread, before any port is open.

        The caller holds the lock of the data directory and has swept.
        """
        _warm_up()
        self.model_stats.observe()
        self._left_behind = queued_admissions()
        self._writer.open()

    async def start(self) -> None:
        """Take up what was queued, and begin to write checkpoints."""
        self._own(self._write_checkpoints(), "checkpoints")
        self._own(self._look_after(), "look-out")
        self._own(self._check_books(), "self-check")
        self._own(self.health.watch(self.read), "health")
        self._own(self.model_stats.watch(self.read), "model stats")
        while self._left_behind:
            self._enqueue(*self._left_behind.pop(0))

    async def drain(self, seconds: float) -> None:
        """Take nothing new, let running answers end for `seconds`, then cancel them; all are stored, queued stay."""
        self.drain_seconds = seconds
        self.draining.set()
        running = [task for _, task in self._runs.values()]
        if running:
            hurried = asyncio.ensure_future(self._hurry.wait())
            everything = asyncio.gather(*running, return_exceptions=True)
            await asyncio.wait((hurried, everything), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            for run, task in list(self._runs.values()):
                self._cancel(run, task)
            await asyncio.wait((everything,), timeout=CLOSE_SECONDS)

    def hurry(self) -> None:
        """End the waiting of `drain`."""
        self._hurry.set()

    async def close(self) -> None:
        """Close all connections and threads."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        closing = (adapter.aclose() for _, adapter in self._adapters.values())
        await asyncio.gather(*closing, return_exceptions=True)
        self._adapters.clear()
        await asyncio.get_running_loop().run_in_executor(None, self.close_now)

    def close_now(self) -> None:
        """End the threads without a loop. Harmless after `close`."""
        self._writer.close()
        self._readers.close()

    def _own(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._disown)
        return task

    def _disown(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended", task.get_name(), exc_info=error)

    # What a run needs ─────────────────────────────────────────────────────────────────────────────────────────────

    async def write(self, work: Callable[[], Any]) -> Any:
        """Run `work` in the writer's transaction."""
        return await self._writer.write(work)

    async def read(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run `work(*args)` in a reader thread."""
        return await self._readers.read(work, *args)

    async def adapter(self, provider: int, endpoint: Endpoint) -> Adapter:
        """The provider's adapter; a new one when its row has changed (the old one ends with its last answer)."""
        known = self._adapters.get(provider)
        if known is not None and known[0] == endpoint:
            return known[1]
        adapter = providers.build(replace(endpoint, remember=lambda refused: self._remember(provider, refused)))
        self._adapters[provider] = (endpoint, adapter)
        if known is not None:
            self._own(self._close_when_idle(provider, known[1]), "closing an adapter")
        return adapter

    def checkpoint_soon(self) -> None:
        """Store what there is without waiting for the next round."""
        self._checkpoint_now.set()

    def tell_begun(self, log: Log) -> None:
        """It isn't queued any more: the list of conversations shows that."""
        if log.conversation is not None:
            self.conversations.news.tell(log.owner_id, log.conversation)

    def _remember(self, provider: int, refused: UnsupportedField) -> None:
        """Upstream refused a field of the request: don't send it again."""
        logger.info("provider %d does not take %s; it is not sent any more", provider, refused.field)
        self._own(self._writer.write(lambda: store.remember(provider, refused)), "remembering")

    async def _close_when_idle(self, provider: int, adapter: Adapter) -> None:
        running = [task for run, task in self._runs.values() if run.admitted.provider == provider]
        if running:
            await asyncio.wait(running)
        await adapter.aclose()

    # Accepting ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, user_id: int, command: PromptCommand, by: Subscription | None = None) -> Accepted | Refused:
        """Store a prompt and queue its answer; the answer to the command. `by`: the watch of the tab that sends it.

        The work goes on when the caller is cancelled: a prompt that is committed is answered.
        """
        key = str(command.key)
        # guard: a portal that ends takes no prompt
        if self.draining.is_set():
            return Refused(key, Code.SERVER_RESTARTING)
        task = self._own(self._accept(user_id, command, by), "accept")
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                admitted = await asyncio.shield(task)
        except TimeoutError:
            return Refused(key, Code.BUSY_TRY_AGAIN, retry_after_ms=1000)
        if isinstance(admitted, Refused):
            return admitted
        log = self._logs.get(admitted.generation)
        state = admitted.state if log is None else log.final.state if log.final else log.status.state
        return Accepted(
            key,
            str(admitted.conversation),
            str(admitted.user_message),
            str(admitted.assistant_message),
            str(admitted.generation),
            state,
            admitted.duplicate,
        )

    async def _accept(self, user_id: int, command: PromptCommand, by: Subscription | None) -> Admitted | Refused:
        key = str(command.key)
        try:
            admitted = await self._writer.write(lambda: accept(user_id, command))
        except Refusal as refusal:
            wait_ms = refusal.retry_after_ms or UNSET
            return Refused(key, refusal.code, retry_after_ms=wait_ms, parameters=refusal.parameters)
        except DatabaseError as error:
            logger.warning("a prompt was not stored: %s", error)
            full = "full" in str(error)
            code = Code.STORAGE_FULL if full else Code.BUSY_TRY_AGAIN
            return Refused(key, code, retry_after_ms=5000 if full else 1000)
        reach("after_accept_commit")
        if not admitted.duplicate:
            self._enqueue(user_id, admitted)
            added = (admitted.user_message, admitted.assistant_message)
            self.conversations.news.tell(user_id, admitted.conversation, added, by)
        return admitted

    def _enqueue(self, user_id: int, admitted: Admitted) -> None:
        """Give it a log and a place in the queue; it may start at once."""
        log = Log(admitted.generation, user_id, self.boot, admitted.conversation, self.clock, admitted.kept)
        self._logs[admitted.generation] = log
        self._queue.add(Entry(user_id, admitted, self.clock() + QUEUE_SECONDS))
        self._start_what_may()

    def _start_what_may(self) -> None:
        if self.draining.is_set():
            return
        while (entry := self._queue.take(self._runs)) is not None:
            run = Run(self, entry.admitted, self._logs[entry.admitted.generation])
            task = self._own(self._run(run), f"generation {entry.admitted.generation}")
            self._runs[entry.admitted.generation] = (run, task)
        for generation, position, wait_ms in self._queue.positions():
            status = Status(str(generation), "queued", "queued", position=position)
            self._logs[generation].tell(status if wait_ms is None else structs.replace(status, wait_ms=wait_ms))

    async def _run(self, run: Run) -> None:
        """The task of one generation: write the answer, store its end, tell its followers, make room."""
        try:
            end = await run.write_answer()
            if end.state == State.COMPLETED and end.timing.duration_ms:
                self._queue.took(end.timing.duration_ms / 1000)
            await self._finish(run.log, end)
            self.health.heard(run.admitted.provider, end.state, end.deltas, end.code)
        finally:
            self._runs.pop(run.log.generation, None)
            self._queue.done(run.admitted.generation)
            self._start_what_may()

    async def _finish(self, log: Log, end: store.End) -> None:
        log.closing = True
        news = self.conversations.news
        # guard: only an answer that a tab shows is stored as seen
        end = replace(end, seen=news.is_watched(log.owner_id, log.conversation))
        try:
            await store_end(self._writer.write, end)
        except Exception:
            logger.exception("the end of generation %s cannot be stored as it is", log.generation)
            # guard: an end that cannot be stored is stored without its figures
            end = replace(store.bare(end), state=State.FAILED, code=Code.INTERNAL)
            try:
                await store_end(self._writer.write, end)
            except Exception:
                logger.exception("not even the text of generation %s can be stored", log.generation)
        log.end(store.finished_frame(end))
        if log.conversation is not None:
            news.tell(log.owner_id, log.conversation)
        asyncio.get_running_loop().call_later(LOG_SECONDS, self._logs.pop, log.generation, None)

    async def _look_after(self) -> None:
        """End what waits in vain: prompts that nobody could start in QUEUE_SECONDS, and what was deleted meanwhile."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for entry in self._queue.overdue(self.clock()):
                self._end_queued(entry, State.FAILED, Code.QUEUE_TIMEOUT)
            try:
                await self.conversations.purge()
                for generation in await self._readers.read(store.missing, list(self._runs)):
                    self._let_go(generation)
            except Exception:
                logger.exception("the look-out goes on")

    async def _check_books(self) -> None:
        """Every hour: does the database hold what it promises? The administration shows it, the log a breach."""
        await asyncio.sleep(FIRST_CHECK_SECONDS)
        while True:
            try:
                result = await self._readers.read(integrity.check, set(self._logs))
                await self._writer.write(lambda result=result: integrity.record(result))  # type: ignore[misc]
                if not result.is_well:
                    logger.error("self-check: the stored data is not as it should be: %s", result.breaches)
            except Exception:
                logger.exception("the self-check failed")
            await asyncio.sleep(CHECK_SECONDS)

    def _end_queued(self, entry: Entry, state: State, code: Code | None = None) -> None:
        self._queue.remove(entry.admitted.generation)
        log = self._logs[entry.admitted.generation]
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
        self._own(self._finish(log, end), "end of a queued generation")
        self._start_what_may()

    # Stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def stop(self, user_id: int, generation: uuid.UUID) -> None:
        """End an answer at its owner's wish. Raises NotFound; one that has ended stays as it is."""
        log = self._logs.get(generation)
        # guard: a running answer is stopped by its owner
        if log is None or log.owner_id != user_id:
            if not await self._readers.read(store.is_owned, user_id, generation):
                raise NotFound
            return
        entry = self._queue.find(generation)
        if entry is not None:
            self._end_queued(entry, State.STOPPED)
            return
        running = self._runs.get(generation)
        if running is not None:
            run, task = running
            if not (run.stop_requested or run.over):
                run.stop_requested = True
                run.tell_stopping()
                self._own(self._writer.write(lambda: store.request_stop(generation)), "stop")
                self._cancel(run, task)

    def _cancel(self, run: Run, task: asyncio.Task[None]) -> None:
        """Cancel once: a second time would hit the storing of the end. A task that has not begun finds the flag."""
        # guard: no cancel hits the storing of an end
        if not run.cancelled and not run.over:
            run.cancelled = True
            if run.begun:
                task.cancel()

    # Following ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def follow(
        self, user_id: int, generation: uuid.UUID, epoch: str | None, after: int
    ) -> AsyncGenerator[Frame, None]:
        """The frames of one following, until its end. Raises NotFound."""
        for _ in range(FOLLOW_TRIES):
            log = self._logs.get(generation)
            if log is not None:
                # guard: a running answer is followed by its owner
                if log.owner_id != user_id:
                    raise NotFound
                async with aclosing(log.follow(epoch, after)) as frames:
                    async for frame in frames:
                        yield frame
                return
            try:
                stored = await self._readers.read(store.stored, user_id, generation)
            except store.Unfinished:  # accepted this very moment: its log is not here yet
                await asyncio.sleep(FOLLOW_AGAIN_SECONDS)
                continue
            if stored is None:
                raise NotFound
            snapshot, finished = stored
            if (epoch, after) != (store.STORED, snapshot.seq):
                yield snapshot
            yield finished
            return
        raise RuntimeError(f"generation {generation} has neither a log nor an end")

    def head(self, generation: uuid.UUID) -> int | None:
        """The last seq of a generation in memory."""
        log = self._logs.get(generation)
        return None if log is None else log.seq

    # Checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write_checkpoints(self) -> None:
        """All dirty logs together, one at a time, 250 ms after the last one began (after its end, a kill could take the
        text of two writes); at once when a finish_reason came."""
        told: set[uuid.UUID] = set()
        last = self.clock()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, last + CHECKPOINT_SECONDS - self.clock())):
                    await self._checkpoint_now.wait()
            self._checkpoint_now.clear()
            last = self.clock()
            told &= self._runs.keys()
            progress = [one for run, _ in self._runs.values() if (one := run.progress(told)) is not None]
            if not progress:
                continue
            try:
                gone = await self._writer.write(lambda batch=progress: store.checkpoint(batch), first=True)  # type: ignore[misc]
            except DatabaseError as error:
                logger.warning("a checkpoint waits for the database: %s", error)
                continue
            except Exception:
                logger.exception("a checkpoint failed; the next one tries again")
                continue
            for one in progress:
                if one.finish_reason is not None:
                    told.add(one.generation)
                if one.unsaved is not None and (log := self._logs.get(one.generation)) is not None:
                    log.saved = one.unsaved.seq
            for generation in gone:
                self._let_go(generation)

    def _let_go(self, generation: uuid.UUID) -> None:
        """It was deleted under its run: nobody waits for it any more."""
        running = self._runs.get(generation)
        if running is not None:
            running[0].stop_requested = True
            self._cancel(*running)
