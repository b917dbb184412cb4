"""Store the text of running generations a few times a second, so that little is lost if the process is killed."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress

from django.db import DatabaseError

from chat.database import Database
from chat.generation import store
from chat.generation.run import Run
from chat.timing import Clock

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.25


class Checkpoints:
    """Stores the text of all `runs`. The owner of that mapping keeps it up to date."""

    def __init__(self, database: Database, runs: Mapping[uuid.UUID, Run], clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._clock = clock
        self._soon = asyncio.Event()

    def soon(self) -> None:
        """Write the next checkpoint now instead of after the interval."""
        self._soon.set()

    async def write(self) -> None:
        """Write checkpoints in an endless loop, all runs together, every 250 ms, and at once after `soon`.

        The interval counts from the start of the last checkpoint. If it counted from its end, a kill could lose the
        text of two writes.
        """
        with_finish_reason: set[uuid.UUID] = set()
        last = self._clock()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, last + CHECKPOINT_SECONDS - self._clock())):
                    await self._soon.wait()
            self._soon.clear()
            last = self._clock()
            with_finish_reason &= self._runs.keys()
            runs = dict(self._runs)
            progress = [one for run in runs.values() if (one := run.progress(with_finish_reason)) is not None]
            if not progress:
                continue
            try:
                gone = await self._database.write(lambda batch=progress: store.checkpoint(batch), first=True)  # type: ignore[misc]
            except DatabaseError as error:
                logger.warning("a checkpoint waits for the database: %s", error)
                continue
            except Exception:
                logger.exception("a checkpoint failed; the next one tries again")
                continue
            for one in progress:
                if one.finish_reason is not None:
                    with_finish_reason.add(one.generation)
                if one.unsaved is not None:
                    runs[one.generation].log.saved = one.unsaved.seq
            for generation in gone:
                runs[generation].abandon()
