"""Connections to a model server: kept, replaced when they broke, left at once when nobody listens any more."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import aclosing

import pytest

from chat.providers import (
    TextDelta,
    TimeLimits,
    build,
)
from chat.providers.http import STALE_SECONDS
from tests.support.asking import PLACES, STOP_SECONDS, Witness, ask, ask_once, endpoint, question
from tests.support.upstream import (
    DONE,
    Fin,
    Gate,
    Pause,
    Repeat,
    Rst,
    Stall,
    Upstream,
    answer,
    chunk,
    document,
    stream,
)


async def test_a_kept_connection_that_died_is_replaced_without_anybody_noticing(upstream: Upstream):
    # llama.cpp announces keep-alive and closes; the next request finds out when it is too late.
    whole = document({"choices": [{"index": 0, "message": {"content": "One."}, "finish_reason": "stop"}]})
    upstream.play("m", whole, (Fin(),), answer("Two."), (Fin(),))
    adapter = build(endpoint(upstream.base_url))
    first, second = await ask(adapter, "m"), await ask(adapter, "m")
    assert (first.text, second.text, second.error) == ("One.", "Two.", None)
    one, again, other = (request.connection for request in upstream.requests)
    assert one == again != other
    assert len(second.calls.started) == 2
    third = await ask(adapter, "m")
    await adapter.aclose()
    assert (third.code, third.max_tries) == ("upstream_cut", 3)
    assert upstream.count() == 4  # a new connection that gives no answer is not tried again here


@pytest.mark.parametrize("end", [Fin(), Rst()], ids=["fin", "rst"])
async def test_a_kept_connection_that_breaks_while_the_model_works_is_not_asked_for_again(end, upstream: Upstream):
    whole = document({"choices": [{"index": 0, "message": {"content": "One."}, "finish_reason": "stop"}]})
    upstream.play("m", whole, (Pause(STALE_SECONDS + 0.3), end), answer("billed twice"))
    adapter = build(endpoint(upstream.base_url))
    await ask(adapter, "m")
    second = await ask(adapter, "m")
    await adapter.aclose()
    assert (second.code, second.max_tries, len(second.calls.sent)) == ("upstream_cut", 3, 1)
    one, again = (request.connection for request in upstream.requests)
    assert one == again


async def test_an_answer_that_began_is_never_asked_for_again(upstream: Upstream):
    whole = document({"choices": [{"index": 0, "message": {"content": "One."}, "finish_reason": "stop"}]})
    upstream.play("m", whole, (*stream("Two", whole=False), Fin()))
    adapter = build(endpoint(upstream.base_url))
    await ask(adapter, "m")
    outcome = await ask(adapter, "m")
    await adapter.aclose()
    assert (outcome.text, outcome.code) == ("Two", "upstream_cut")
    assert len(upstream.connections) == 1
    assert upstream.count() == 2


@pytest.mark.parametrize("place", PLACES)
async def test_cancelling_closes_the_connection_to_upstream_at_once(place, upstream: Upstream):
    upstream.play("m", PLACES[place])
    adapter = build(endpoint(upstream.base_url, TimeLimits(after_finish=60)))
    asking = asyncio.create_task(ask(adapter, "m"))
    request = await asyncio.to_thread(upstream.wait_for_gate, "here")
    await asyncio.sleep(0)
    cancelled_at = time.monotonic()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    closed_at = await asyncio.to_thread(upstream.wait_for_close, request)
    print(f"closed after {(closed_at - cancelled_at) * 1000:.1f} ms")
    assert request.closed_how in ("fin", "rst")
    assert closed_at - cancelled_at < STOP_SECONDS
    await adapter.aclose()


async def test_closing_the_generator_closes_the_connection_and_the_next_answer_is_unharmed(upstream: Upstream):
    upstream.play("m", stream("Hello", "more", Stall()), answer("Again"))
    adapter = build(endpoint(upstream.base_url))
    async with aclosing(adapter.stream(question("m"), Witness())) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    left_at = time.monotonic()
    (request,) = upstream.requests
    assert await asyncio.to_thread(upstream.wait_for_close, request) - left_at < STOP_SECONDS
    assert (await ask(adapter, "m")).text == "Again"
    await adapter.aclose()


async def test_many_answers_at_once_share_an_adapter(upstream: Upstream):
    upstream.play("m", answer(*("many", "words", "at", "once")))
    adapter = build(endpoint(upstream.base_url))
    outcomes = await asyncio.gather(*(ask(adapter, "m") for _ in range(50)))
    await adapter.aclose()
    assert {outcome.text for outcome in outcomes} == {"manywordsatonce"}
    assert upstream.count("m") == 50


async def test_time_that_our_own_side_takes_is_not_held_against_upstream(upstream: Upstream):
    upstream.play("m", stream("one", "two", Gate("rest"), "three", b"data: [DONE]\n\n"))
    adapter, texts = build(endpoint(upstream.base_url, TimeLimits(idle=0.2, idle_content=0.2))), []
    async for event in adapter.stream(question("m"), Witness()):
        if isinstance(event, TextDelta):
            texts.append(event.text)
            await asyncio.sleep(0.3)
            upstream.open("rest")
    await adapter.aclose()
    assert texts == ["one", "two", "three"]


async def test_79_a_refused_or_reset_connection_is_unreachable(upstream: Upstream):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = await ask_once(f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
    assert (outcome.code, outcome.max_tries) == ("upstream_unreachable", 3)
    assert outcome.calls.sent == []
    upstream.turn_away(1)
    outcome = await ask_once(upstream.base_url)
    assert (outcome.code, outcome.max_tries) == ("upstream_unreachable", 3)
    assert upstream.requests == []


async def test_80_an_unknown_name_is_told_from_a_refused_connection():
    outcome = await ask_once("http://no-such-host.invalid/v1")
    assert (outcome.code, outcome.max_tries) == ("upstream_dns", 2)


async def test_a_full_pool_is_a_timeout_that_may_be_tried_again(upstream: Upstream):
    upstream.play("m", stream("Hello", Gate("here"), b"data: [DONE]\n\n"))
    adapter = build(endpoint(upstream.base_url, TimeLimits(connect=0.2), max_parallel=1))  # three connections
    asking = [asyncio.create_task(ask(adapter, "m")) for _ in range(3)]
    await asyncio.to_thread(upstream.wait_for_gate, "here", 3)
    outcome = await ask(adapter, "m")
    upstream.open("here")
    assert (outcome.code, outcome.max_tries) == ("upstream_timeout", 3)
    assert {done.text for done in await asyncio.gather(*asking)} == {"Hello"}
    await adapter.aclose()


def test_the_environment_is_never_asked_for_a_proxy(upstream: Upstream, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert asyncio.run(ask_once(upstream.base_url)).error is None


async def test_one_connection_serves_one_streamed_answer_after_the_other(upstream: Upstream):
    adapter = build(endpoint(upstream.base_url))
    for _ in range(5):
        assert (await ask(adapter, "m")).text == "This is a short answer."
    await adapter.aclose()
    assert len(upstream.connections) == 1


@pytest.mark.parametrize("after", [(Stall(),), (Repeat(b": more\n\n", every=0.001),)], ids=["silent", "talking"])
async def test_a_server_that_does_not_end_after_the_end_mark_loses_its_connection(after, upstream: Upstream):
    upstream.play("m", (*stream("Hello", chunk(finish="stop"), DONE, whole=False), *after), answer("again"))
    adapter = build(endpoint(upstream.base_url))
    outcome = await ask(adapter, "m")
    assert (outcome.text, outcome.error) == ("Hello", None)
    assert (await ask(adapter, "m")).text == "again"
    await adapter.aclose()
    first = upstream.requests[0]
    assert len(upstream.connections) == 2
    assert first.closed_how in ("fin", "rst")  # a reset where it still talked
