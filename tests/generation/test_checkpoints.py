"""When checkpoints are written: every 250 ms, however long the last one took."""

import asyncio
import uuid

from chat.generation import runner as runner_module
from chat.generation.runner import Runner
from chat.generation.store import Progress
from chat.timing import Timing


class AlwaysNew:
    """A run that has something to store at every checkpoint."""

    def progress(self, told):
        return Progress(uuid.uuid4(), 1, None, Timing(None, None), 1, None)


async def test_the_time_that_a_write_takes_is_not_waited_once_more(monkeypatch):
    monkeypatch.setattr(runner_module, "CHECKPOINT_SECONDS", 3600.0)
    now, written, third = [0.0], [], asyncio.Event()

    async def write_for_an_hour(work, first):
        written.append(work)
        now[0] += 3600.0
        if len(written) == 3:
            third.set()
            await asyncio.Event().wait()
        return set()

    runner = Runner(clock=lambda: now[0])
    runner._runs[uuid.uuid4()] = (AlwaysNew(), None)
    monkeypatch.setattr(runner._writer, "write", write_for_an_hour)
    runner.checkpoint_soon()
    writing = asyncio.create_task(runner._write_checkpoints())
    try:
        async with asyncio.timeout(10):
            await third.wait()
    finally:
        writing.cancel()
