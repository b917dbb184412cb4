"""Access to the database from the event loop: one writer thread with group commit, and a few reader threads.

The event loop never uses the ORM. `database_sync_to_async` of Channels is not used, because all its calls share one
thread.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_JOBS = 200
BATCH_SECONDS = 0.02
READERS = 4
WRITE_WAIT = (0.1, 2.0)
"""Seconds between attempts to write: the first wait, which doubles up to the second value."""
FIRST, IN_TURN, LAST = range(3)
"""Priorities of jobs. Text that users see already comes first, because a kill would lose it."""


class Database:
    """The database access of one process: one writer and a few readers."""

    def __init__(self) -> None:
        self._writer = Writer()
        self._readers = Readers()

    def open(self) -> None:
        """Start the writer's thread."""
        self._writer.open()

    def close(self) -> None:
        """Stop all threads. Needs no event loop; does nothing if they have ended."""
        self._writer.close()
        self._readers.close()

    async def write(self, work: Callable[[], T], *, first: bool = False) -> T:
        """Run `work` in the writer's transaction; see Writer.write."""
        return await self._writer.write(work, first=first)

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """Run `work(*args)` in a reader thread."""
        return await self._readers.read(work, *args)

    async def write_persistently(self, work: Callable[[], T]) -> T:
        """Write, and retry as long as the database is locked or full.

        Raises errors that waiting cannot fix, such as a violated constraint.
        """
        wait, longest = WRITE_WAIT
        while True:
            try:
                return await self.write(work)
            except (OperationalError, InterfaceError) as error:
                logger.warning("the database does not write yet: %s", error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, longest)


class _Job:
    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs jobs one after the other. Queued jobs are committed together, each in its own savepoint."""

    def __init__(self) -> None:
        self._jobs: queue.PriorityQueue[tuple[int, int, _Job | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._open = False

    def open(self) -> None:
        """Start the thread."""
        self._open = True
        self._thread.start()

    async def write(self, work: Callable[[], T], *, first: bool = False) -> T:
        """Run `work` in the writer's transaction and return its result after the commit. `first`: before queued jobs.

        Raises what `work` raised (only its savepoint is rolled back), or the DatabaseError of the commit. Cancelling
        the caller does not cancel the job.
        """
        if not self._open:
            raise RuntimeError("the writer is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(FIRST if first else IN_TURN, _Job(work, future))
        return await future

    def close(self, timeout: float = 0.3) -> None:
        """Run the queued jobs, then stop the thread. Waits at most `timeout` seconds. Does nothing if not open."""
        if self._open:
            self._open = False
            self._put(LAST, None)
            self._thread.join(timeout)

    def _put(self, turn: int, job: _Job | None) -> None:
        self._jobs.put((turn, next(self._numbers), job))

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            *_, job = self._jobs.get()
            if job is None:
                break
            goes_on = self._commit(job)
        connection.close()

    def _commit(self, job: _Job) -> bool:
        """Commit all queued jobs in one transaction. Return False at the end of the queue."""
        done: list[_Job] = []
        goes_on = True
        try:
            with transaction.atomic():
                started = time.monotonic()
                while True:
                    done.append(job)
                    # guard: no caller hears of a write before its commit
                    self._do(job)
                    if len(done) >= BATCH_JOBS or time.monotonic() - started > BATCH_SECONDS:
                        break
                    try:
                        *_, following = self._jobs.get_nowait()
                    except queue.Empty:
                        break
                    if following is None:
                        goes_on = False
                        break
                    job = following
        except Exception as error:  # the thread must survive every error
            if not isinstance(error, DatabaseError):
                logger.exception("a transaction failed")
            connection.close()  # the next transaction uses a new connection
            done = done or [job]
            for one in done:
                one.error = error
        _resolve(done)
        return goes_on

    def _do(self, job: _Job) -> None:
        try:
            with transaction.atomic():
                job.result = job.work()
        except Exception as error:
            if connection.needs_rollback:  # the whole transaction is lost, not only this savepoint
                # The other jobs did not cause the error and may be tried again: a full disk fails all of them.
                # guard: what is lost with a whole transaction is tried again
                raise OperationalError(f"the transaction was lost: {error}") from error
            job.error = error if not isinstance(error, StopIteration) else RuntimeError("StopIteration")


def _resolve(jobs: list[_Job]) -> None:
    loop = jobs[0].future.get_loop()
    try:
        loop.call_soon_threadsafe(_set_all, jobs)
    except RuntimeError:  # the loop has ended; the jobs are done anyway
        logger.debug("%d jobs ended after the loop", len(jobs))


def _set_all(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():  # its caller was cancelled
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


class Readers:
    """A small pool of threads for reading and for counting tokens."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """Run `work(*args)` in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(_with_connection, work, *args))

    def close(self) -> None:
        """Stop the threads without waiting for running work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _with_connection(work: Callable[..., T], *args: Any) -> T:
    """Run `work` on the thread's connection, which stays open because opening costs more than a query.

    After an error the connection is replaced.
    """
    try:
        return work(*args)
    except DatabaseError:
        connection.close()
        raise
