"""Stop really stops: the upstream sees its connection closed, and what came is kept."""

import asyncio
import time

import pytest

from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, Pause, Stall, answer, error, stream


@pytest.mark.parametrize(
    ("script", "phase", "text", "source"),
    [
        (answer("some text", Gate("never")), "writing", "some text", "counted"),
        ((Stall(),), "waiting", "", "counted"),
        (stream(Stall()), "waiting", "", "counted"),
        (answer(*(step for n in range(500) for step in (f"w{n} ", Pause(0.002)))), "writing", None, "counted"),
    ],
    ids=["while-it-pauses", "before-headers", "after-headers", "while-it-writes"],
)
async def test_stop_closes_the_upstream_and_keeps_the_text(
    portal: Portal, upstream: Upstream, script, phase, text, source, capsys
):
    upstream.play("fake", script)
    socket = await portal.connect()
    generation = (await socket.prompt("go on for ever"))["generation"]
    await socket.next("status", phase=phase)
    if phase == "writing":
        await socket.next("delta")
    (request,) = await asyncio.to_thread(upstream.wait_for_requests)  # `waiting` is said when it is on its way
    sent_at = time.monotonic()
    await socket.command("stop", generation=generation)
    finished = await socket.next("finished")
    closed_at = await asyncio.to_thread(upstream.wait_for_close, request)
    assert (finished["state"], finished["code"], finished["finish_reason"]) == ("stopped", None, None)
    assert finished["usage"]["source"] == source
    got = socket.texts[generation].text
    if text is not None:
        assert got == text
    row = portal.generation(generation)
    assert (row["state"], row["usage_state"], row["content"]) == ("stopped", "stopped", got)
    with capsys.disabled():
        print(f"\n    stop: upstream saw its connection closed after {(closed_at - sent_at) * 1000:.1f} ms")


async def test_stopping_is_said_while_the_end_is_stored(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("text", Gate("never")))
    socket = await portal.connect()
    generation = (await socket.prompt("hi"))["generation"]
    await socket.next("delta")
    await socket.command("stop", generation=generation)
    await socket.command("stop", generation=generation)
    await socket.next("finished")
    states = [frame["state"] for frame in socket.frames if frame["type"] == "status"]
    assert states[-1] == "stopping"
    await socket.command("stop", generation=generation)
    await socket.command("hb")
    assert (await socket.frame())["type"] == "hb", "stopping what has ended changes nothing and is no error"
    assert portal.generation(generation)["state"] == "stopped"


async def test_a_queued_prompt_is_stopped_without_a_request(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("a", Gate("go")))
    socket = await portal.connect()
    for number in range(3):
        await socket.prompt(f"running {number}")
    queued = (await socket.prompt("queued"))["generation"]
    status = await socket.next("status", generation=queued)
    assert (status["phase"], status["position"]) == ("queued", 1)
    await socket.command("stop", generation=queued)
    finished = await socket.next("finished", generation=queued)
    assert (finished["state"], finished["usage"]) == (
        "stopped",
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "source": "counted"},
    )
    upstream.open("go")
    assert upstream.count(prompt="queued") == 0


async def test_stop_ends_the_wait_before_another_try(portal: Portal, upstream: Upstream):
    upstream.play("fake", error(429, headers={"Retry-After": "25"}))
    socket = await portal.connect()
    generation = (await socket.prompt("hi"))["generation"]
    status = await socket.next("status", phase="retrying")
    assert status["attempt"] == 2
    assert 24_000 < status["wait_ms"] <= 25_000
    await socket.command("stop", generation=generation)
    finished = await socket.next("finished")
    assert (finished["state"], finished["usage"]["source"], finished["usage"]["total_tokens"]) == (
        "stopped",
        "counted",
        0,
    )
    assert upstream.count() == 1


async def test_a_browser_that_does_not_read_is_heard_all_the_same(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream(*(["x" * 60_000] * 20), Stall()))
    socket = await portal.connect()
    generation = (await socket.prompt("hi"))["generation"]
    await socket.next("delta")
    socket.connection.transport.pause_reading()
    again = await portal.connect()
    await again.command("follow", generation=generation, after=0)
    await again.until(lambda frame: generation in again.texts and again.texts[generation].seq == 20)
    for _ in range(5):
        await socket.command("follow", generation=generation, after=0)
        await socket.command("hb")
    await socket.command("stop", generation=generation)
    assert (await again.next("finished"))["state"] == "stopped"
    socket.connection.transport.abort()


async def test_another_users_answer_cannot_be_stopped(portal: Portal, upstream: Upstream):
    import uuid

    socket = await portal.connect()
    foreign = str(uuid.uuid4())
    await socket.command("stop", generation=foreign)
    frame = await socket.next("error")
    assert (frame["code"], frame["ref"]) == ("not_found", foreign)
