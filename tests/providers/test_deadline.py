from __future__ import annotations

import asyncio
import socket
import time

import pytest

from chat.providers.deadline import Deadline


async def test_a_wait_that_lasts_too_long_is_a_timeout_and_no_cancellation():
    loop, deadline = asyncio.get_running_loop(), Deadline()
    with pytest.raises(TimeoutError), deadline.until(loop.time() + 0.02):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    with deadline.until(loop.time() + 5):
        await asyncio.sleep(0)
    deadline.close()


async def test_a_cancellation_from_outside_stays_one_even_when_both_come_at_once():
    loop = asyncio.get_running_loop()

    async def wait() -> None:
        with Deadline().until(loop.time() + 0.02):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task.cancel()
                raise

    task = loop.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task

    async def wait_long() -> None:
        with Deadline().until(loop.time() + 60):
            await asyncio.Event().wait()

    task = loop.create_task(wait_long())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_limit_can_be_moved_while_it_is_waited():
    loop, deadline = asyncio.get_running_loop(), Deadline()
    begin = loop.time()
    loop.call_soon(lambda: deadline.until(begin + 0.03))
    with pytest.raises(TimeoutError), deadline.until(begin + 60):
        await asyncio.Event().wait()
    with deadline.until(loop.time() + 0.01):
        deadline.until(loop.time() + 60)
        await asyncio.sleep(0.05)
    deadline.close()


async def test_waits_in_a_row_share_one_timer():
    loop, deadline, made = asyncio.get_running_loop(), Deadline(), 0
    call_at = loop.call_at

    def counted(*arguments, **keywords):
        nonlocal made
        made += 1
        return call_at(*arguments, **keywords)

    loop.call_at = counted  # type: ignore[method-assign]
    try:
        for _ in range(1000):
            with deadline.until(loop.time() + 60):
                await asyncio.sleep(0)
    finally:
        loop.call_at = call_at  # type: ignore[method-assign]
    deadline.close()
    assert made == 1


async def test_a_loop_that_stood_still_gets_one_more_look_before_it_gives_up():
    loop, deadline, arrived = asyncio.get_running_loop(), Deadline(), asyncio.Event()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        theirs.send(b"x")
        loop.call_soon(time.sleep, 0.3)  # longer than the limit; the byte lies in the socket all the while
        with deadline.until(loop.time() + 0.05):
            assert await loop.sock_recv(ours, 1) == b"x"
        with pytest.raises(TimeoutError):
            loop.call_soon(time.sleep, 0.3)
            with deadline.until(loop.time() + 0.05):
                await arrived.wait()
    finally:
        ours.close()
        theirs.close()
        deadline.close()


async def test_it_gives_up_also_when_something_comes_all_the_time():
    loop, deadline = asyncio.get_running_loop(), Deadline()
    limit = loop.time() + 0.05
    loop.call_soon(time.sleep, 0.3)
    with pytest.raises(TimeoutError):
        for _ in range(200):  # keep-alives, faster than the second look lasts
            with deadline.until(limit):
                await asyncio.sleep(0.01)
    loop.call_soon(time.sleep, 0.3)
    with deadline.until(loop.time() + 0.05):  # another limit gets a second look of its own
        await asyncio.sleep(0.31)
    deadline.close()


async def test_nothing_happens_to_a_task_that_is_not_waiting():
    loop, deadline = asyncio.get_running_loop(), Deadline()
    with deadline.until(loop.time() + 0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    with deadline.until(loop.time() + 5):
        await asyncio.sleep(0)
    deadline.close()
