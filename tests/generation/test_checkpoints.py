"""When checkpoints are written: every 250 ms, however long the last one took."""

import asyncio
import uuid
from types import SimpleNamespace

from chat.generation import checkpoints
from chat.generation.checkpoints import Checkpoints
from chat.generation.store import Progress
from chat.timing import Timing


class AlwaysNew:
    """A run that has something to store at every checkpoint."""

    def progress(self, with_finish_reason):
        return Progress(uuid.uuid4(), 1, None, Timing(None, None), 1, None)


async def test_the_time_that_a_write_takes_is_not_waited_once_more(monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 3600.0)
    now, written, third = [0.0], [], asyncio.Event()

    async def write_for_an_hour(work, first):
        written.append(work)
        now[0] += 3600.0
        if len(written) == 3:
            third.set()
            await asyncio.Event().wait()
        return set()

    database = SimpleNamespace(write=write_for_an_hour)
    writer = Checkpoints(database, {uuid.uuid4(): AlwaysNew()}, clock=lambda: now[0])
    writer.soon()
    writing = asyncio.create_task(writer.write())
    try:
        async with asyncio.timeout(10):
            await third.wait()
    finally:
        writing.cancel()
