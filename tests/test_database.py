"""Group commit: who was told that it is stored finds it stored."""

import asyncio
import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, OperationalError, connection

from chat.database import Writer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def writer():
    writer = Writer()
    writer.open()
    yield writer
    await asyncio.to_thread(writer.close, 5)


def add(name):
    return lambda: get_user_model().objects.create_user(name).username


def names():
    try:
        return set(get_user_model().objects.values_list("username", flat=True))
    finally:
        connection.close()


async def test_what_waits_together_is_stored_and_a_failing_job_takes_nobody_along(writer):
    def fail():
        get_user_model().objects.create_user("never")
        raise ValueError("no")

    results = await asyncio.gather(
        writer.write(add("one")), writer.write(fail), writer.write(add("two")), return_exceptions=True
    )
    assert results[0] == "one" and results[2] == "two"
    assert isinstance(results[1], ValueError)
    assert await asyncio.to_thread(names) == {"one", "two"}


async def test_a_violated_constraint_takes_nobody_along(writer):
    results = await asyncio.gather(
        writer.write(add("one")), writer.write(add("one")), writer.write(add("two")), return_exceptions=True
    )
    assert isinstance(results[1], DatabaseError)
    assert await asyncio.to_thread(names) == {"one", "two"}


async def test_what_is_on_the_screens_already_is_stored_before_all_that_waits(writer):
    busy, done = threading.Event(), []
    jobs = [asyncio.ensure_future(writer.write(lambda: busy.wait(5)))]
    jobs += [asyncio.ensure_future(writer.write(lambda n=n: done.append(n))) for n in range(3)]
    jobs.append(asyncio.ensure_future(writer.write(lambda: done.append("checkpoint"), first=True)))
    await asyncio.sleep(0.05)
    busy.set()
    await asyncio.gather(*jobs)
    assert done == ["checkpoint", 0, 1, 2]


async def test_nobody_is_told_of_a_commit_when_the_whole_transaction_is_lost(writer, monkeypatch):
    monkeypatch.setattr("chat.database.BATCH_SECONDS", 60)
    both_wait = threading.Event()

    def first():
        both_wait.wait(5)
        return add("one")()

    def lose():
        connection.cursor().execute("ROLLBACK")  # as SQLite does by itself when the disk is full
        raise ValueError("no")

    told = [asyncio.ensure_future(writer.write(work)) for work in (first, lose)]
    await asyncio.sleep(0)
    both_wait.set()
    results = await asyncio.gather(*told, return_exceptions=True)
    assert [type(one) for one in results] == [OperationalError, OperationalError]
    assert await asyncio.to_thread(names) == set()


async def test_the_thread_survives_whatever_a_job_raises(writer):
    def end():
        raise StopIteration

    with pytest.raises(RuntimeError):
        await writer.write(end)
    assert await writer.write(add("alive")) == "alive"


async def test_a_cancelled_caller_does_not_undo_its_job(writer):
    task = asyncio.ensure_future(writer.write(add("stays")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await writer.write(add("next")) == "next"
    assert await asyncio.to_thread(names) == {"stays", "next"}


async def test_a_closed_writer_says_so():
    with pytest.raises(RuntimeError):
        await Writer().write(add("one"))
