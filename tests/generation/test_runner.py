"""The runner by itself: moments that no clock hits from outside."""

import asyncio
import threading
import uuid

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.backends.signals import connection_created

from chat import tokens
from chat.generation import store
from chat.generation.accept import Refusal
from chat.generation.events import AnswerEnded
from chat.generation.run import Run
from chat.generation.runner import Runner
from chat.models import Generation, LanguageModel, Provider, UsageRecord
from chat.protocol import Accepted, Delta, Send
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def runner(db_with_owner):
    runner = Runner()
    await asyncio.to_thread(runner.open)
    await runner.start()
    yield runner
    await runner.drain(0)
    await runner.close()


@pytest.fixture
def db_with_owner(transactional_db):
    owner = get_user_model().objects.create_user("owner")
    provider = Provider.objects.create(name="nobody", base_url="http://127.0.0.1:1/v1", private_network=True)
    LanguageModel.objects.create(provider=provider, name="fake")
    return owner


async def test_the_token_tables_are_read_before_anybody_could_wait_for_them(db_with_owner):
    tokens.table_of.cache_clear()
    runner = Runner()
    await asyncio.to_thread(runner.open)
    assert tokens.table_of.cache_info().currsize == 2
    await runner.close()


async def test_a_portal_that_cannot_count_tokens_starts_all_the_same(db_with_owner, monkeypatch, caplog):
    def differ():
        raise ValueError("its sha256 is not the one that tiktoken expects")

    monkeypatch.setattr("chat.generation.runner.load_tables", differ)
    runner = Runner()
    await asyncio.to_thread(runner.open)
    assert "tokens cannot be counted" in caplog.text
    await runner.close()


async def test_a_stop_before_the_task_took_its_first_step_ends_the_generation(runner, db_with_owner, monkeypatch):
    owner = db_with_owner.pk
    start = Run.start
    stops = []

    def start_and_stop(run, tasks, work):
        start(run, tasks, work)
        generation = run.log.generation
        stops.append(asyncio.ensure_future(runner.stop(owner, generation)))
        coroutine = runner.stop(owner, generation)
        with pytest.raises(StopIteration):
            coroutine.send(None)  # the whole stop, before the loop turns

    monkeypatch.setattr(Run, "start", start_and_stop)
    accepted = await runner.send(owner, Send(uuid.uuid4(), None, "hi"))
    assert isinstance(accepted, Accepted)
    frames = [frame async for frame in runner.follow(owner, uuid.UUID(accepted.generation), None, 0)]
    assert frames[-1].state == "stopped"
    assert not runner.runs
    await asyncio.gather(*stops)

    def stored():
        generation = Generation.objects.get(pk=accepted.generation)
        return generation.state, UsageRecord.objects.get(generation=generation).state

    assert await runner.database.read(stored) == ("stopped", "stopped")
    again = await runner.send(owner, Send(uuid.uuid4(), None, "the slot is free"))
    assert isinstance(again, Accepted)


async def test_an_end_that_cannot_be_stored_as_it_is_is_stored_without_its_figures(runner, db_with_owner, monkeypatch):
    owner = db_with_owner.pk
    finish = store.finish
    failed = []

    def fail_once(end):
        if not failed:
            failed.append(end)
            raise OverflowError("a figure that no database takes")
        return finish(end)

    monkeypatch.setattr(store, "finish", fail_once)
    accepted = await runner.send(owner, Send(uuid.uuid4(), None, "hi"))
    frames = [frame async for frame in runner.follow(owner, uuid.UUID(accepted.generation), None, 0)]
    assert (frames[-1].state, frames[-1].code, frames[-1].usage.source) == ("failed", "internal", "unknown")
    assert await runner.database.read(lambda: Generation.objects.get(pk=accepted.generation).state) == "failed"


async def test_the_end_of_the_portal_waits_for_an_end_that_is_being_stored(runner, db_with_owner, monkeypatch):
    owner = db_with_owner.pk
    finish, reached, go_on = store.finish, threading.Event(), threading.Event()

    def finish_slowly(end):
        reached.set()
        go_on.wait(5)
        return finish(end)

    monkeypatch.setattr(store, "finish", finish_slowly)
    await runner.database.write(lambda: Provider.objects.update(max_retries=0))
    accepted = await runner.send(owner, Send(uuid.uuid4(), None, "hi"))
    generation = uuid.UUID(accepted.generation)
    log = runner.logs[generation]
    try:
        assert await asyncio.to_thread(reached.wait, 5)
        await runner.stop(owner, generation)  # too late
        draining = asyncio.ensure_future(runner.drain(0))
        await asyncio.sleep(0.05)
    finally:
        go_on.set()
    await draining
    assert log.final is not None and log.final.code == "upstream_unreachable"
    assert await runner.database.read(lambda: Generation.objects.get(pk=generation).state) == "failed"


@pytest.fixture
def disk(transactional_db):
    """How many pages the database may have, also on a connection that is opened later; 0 = as many as it likes."""
    room = {"pages": 0}
    connection.cursor().execute("vacuum")  # what earlier tests deleted would be room on the full disk

    def limit(connection, **_):
        connection.cursor().execute(f"pragma max_page_count = {room['pages'] or 1_000_000}")

    def change(is_full):
        (room["pages"],) = connection.cursor().execute("pragma page_count").fetchone() if is_full else (0,)
        limit(connection)

    connection_created.connect(limit)
    yield change
    connection_created.disconnect(limit)


async def test_a_full_disk_refuses_prompts_and_loses_nothing_of_an_answer(
    disk, runner, db_with_owner, upstream: Upstream, caplog
):
    owner, long = db_with_owner.pk, "long " * 40_000
    upstream.play("fake", answer("short ", Gate("full"), *["long " * 4_000] * 10))
    await runner.database.write(lambda: Provider.objects.update(base_url=upstream.base_url))
    accepted = await runner.send(owner, Send(uuid.uuid4(), None, "hi"))
    frames = runner.follow(owner, uuid.UUID(accepted.generation), None, 0)
    text = ""
    while not text:
        frame = await anext(frames)
        text += frame.text or "" if isinstance(frame, Delta) else ""
    await runner.database.write(lambda: disk(True))

    with pytest.raises(Refusal) as refused:
        await runner.send(owner, Send(uuid.uuid4(), None, long))
    assert refused.value.code == "storage_full"
    upstream.open("full")
    while len(text) < len("short " + long):
        frame = await anext(frames)
        assert not isinstance(frame, AnswerEnded)
        text += frame.text or "" if isinstance(frame, Delta) else ""
    async with asyncio.timeout(10):
        while "does not write yet" not in caplog.text:
            await asyncio.sleep(0.02)

    await runner.database.write(lambda: disk(False))
    finished = [frame async for frame in frames][-1]
    assert isinstance(finished, AnswerEnded) and finished.state == "completed"
    stored = await runner.database.read(lambda: Generation.objects.get(pk=accepted.generation).message.content)
    assert stored == text == "short " + long
    assert isinstance(await runner.send(owner, Send(uuid.uuid4(), None, long)), Accepted)
