"""Upstreams that fall silent, at every place: left when their time is up."""

from __future__ import annotations

import asyncio

import pytest

from chat.providers import TimeLimits
from tests.support.adapter_faults import END
from tests.support.asking import ask_once
from tests.support.upstream import Repeat, Send, Stall, Upstream, answer, head, stream

TIMES = {
    "19 finish, then silence": (
        stream("Hello", *END[:2], Stall()),
        TimeLimits(after_finish=0.3),
        (None, "Hello", 1),
    ),
    "19 finish, then only comments": (
        stream("Hello", *END[:2], Repeat(b": still here\n\n", every=0.05)),
        TimeLimits(after_finish=0.3),
        (None, "Hello", 1),
    ),
    "52 comments without end, first": (
        stream(Repeat(b": keep-alive\n\n", every=0.05)),
        TimeLimits(first_byte=0.3, first_content=0.3),
        ("upstream_timeout", "", 1),
    ),
    "53 comments without end, mid": (
        stream("Hello", Repeat(b": keep-alive\n\n", every=0.05)),
        TimeLimits(idle=0.3, idle_content=0.3),
        ("upstream_stalled", "Hello", 1),
    ),
    "54 no headers": ((Stall(),), TimeLimits(first_byte=0.3), ("upstream_timeout", "", 1)),
    "55 headers, then silence": (stream(Stall()), TimeLimits(first_body=0.3), ("upstream_timeout", "", 1)),
    "56 silence, mid": (stream("Hello", Stall()), TimeLimits(idle=0.3), ("upstream_stalled", "Hello", 1)),
    "56 silence after a comment": (
        stream(b": hi\n\n", Stall()),
        TimeLimits(idle=0.3),
        ("upstream_timeout", "", 1),
    ),
    "error whose body stalls": (
        (Send(head(401, {"Content-Length": "100"})), Stall()),
        TimeLimits(first_body=0.3),
        ("upstream_auth", "", 1),
    ),
}


@pytest.mark.parametrize("name", TIMES)
async def test_a_silent_upstream_is_left_when_its_time_is_up(name, upstream: Upstream):
    script, limits, (code, text, tries) = TIMES[name]
    upstream.play("scripted", script)
    outcome = await ask_once(upstream.base_url, limits=limits)
    assert (outcome.code, outcome.text, outcome.max_tries) == (code, text, tries)
    assert outcome.seconds > 0.25
    print(f"{outcome.seconds:.3f} s")
    (request,) = upstream.requests
    closed_at = await asyncio.to_thread(upstream.wait_for_close, request)
    assert request.closed_how != "upstream"
    assert closed_at > request.received_at


async def test_17_19_at_the_end_mark_the_connection_is_closed_by_us(upstream: Upstream):
    upstream.play("scripted", (*answer("Hello"), Stall()), stream("Hello", *END, Stall()))
    for _ in range(2):
        assert (await ask_once(upstream.base_url)).text == "Hello"
    for request in upstream.requests:
        await asyncio.to_thread(upstream.wait_for_close, request)
        assert request.closed_how != "upstream"
