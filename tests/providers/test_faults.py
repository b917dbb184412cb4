"""Faults of upstreams, row by row, over raw sockets on loopback; the numbers are the table's.

What is decided by the generation and not by an adapter (retries, counting, the whole answer's limits) is tested there.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import resource
import zlib
from email.utils import formatdate

import pytest

from chat.providers import TimeLimits
from tests.support.adapter_faults import (
    ROWS,
    SSE,
    Row,
    body,
)
from tests.support.asking import KEY, Outcome, ask_once
from tests.support.upstream import (
    LAST_CHUNK,
    Gate,
    Send,
    Upstream,
    answer,
    bytewise,
    error,
    head,
    raw_body,
    stream,
)

PATIENT = TimeLimits(first_byte=60, first_body=60, first_content=60, idle=60, idle_content=60, after_finish=60)


# Not those that are dribbled already, that are long, or whose reset would discard bytes that are still on their way.
DRIBBLED = [name for name in ROWS if name[0].isdigit() and name.split()[0] not in ("8", "9", "50", "82", "83")]


def check(outcome: Outcome, row: Row) -> None:
    assert outcome.code == row.code
    assert outcome.text == row.text
    assert outcome.finish == row.finish
    assert outcome.counts == row.counts
    assert tuple(outcome.warnings) == row.warnings
    assert outcome.max_tries == row.tries
    assert KEY[:8] not in repr(outcome.error) and KEY[-4:] not in repr(outcome.error)


@pytest.mark.parametrize("name", ROWS)
async def test_a_fault_becomes_what_the_table_says(name, upstream: Upstream):
    row = ROWS[name]
    upstream.play("scripted", row.script)
    asking = asyncio.create_task(ask_once(upstream.base_url, limits=PATIENT))
    if any(isinstance(step, Gate) for step in row.script):
        await asyncio.to_thread(upstream.wait_for_gate, "seen")
        await asyncio.sleep(0.05)  # the bytes before the reset are to be read before it
        upstream.open("seen")
    check(await asking, row)
    assert upstream.count() == 1


@pytest.mark.parametrize("name", DRIBBLED)
async def test_a_fault_becomes_the_same_when_its_bytes_come_one_by_one(name, upstream: Upstream):
    row = ROWS[name]
    upstream.play("scripted", bytewise(row.script))
    check(await ask_once(upstream.base_url, limits=PATIENT), row)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "1"}, 1.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "700"}, 0.7),
        ({"Retry-After": formatdate(5, usegmt=True), "Date": formatdate(3, usegmt=True)}, 2.0),
        ({"Retry-After": "3600"}, 3600.0),
        ({"Retry-After": "inf"}, math.inf),
        ({"Retry-After": "abc"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": formatdate(5, usegmt=True)}, None),
    ],
)
async def test_73_74_a_busy_upstream_says_how_long_to_wait(headers, seconds, upstream: Upstream):
    upstream.play("scripted", error(429, headers=headers))
    outcome = await ask_once(upstream.base_url)
    assert outcome.error is not None
    assert (outcome.code, outcome.max_tries, outcome.error.retry_after) == ("upstream_rate_limited", 3, seconds)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_78_a_redirect_is_not_followed(status, upstream: Upstream):
    for target in (f"{upstream.base_url}/elsewhere", "http://169.254.169.254/", "/v1/chat/completions"):
        upstream.play("scripted", (Send(head(status, {"Location": target, "Content-Length": "0"})),))
        outcome = await ask_once(upstream.base_url)
        assert (outcome.code, outcome.max_tries) == ("upstream_redirect", 1)
    assert {request.path for request in upstream.requests} == {"/v1/chat/completions"}


async def test_58_thousands_of_tiny_deltas_come_out_one_by_one(upstream: Upstream):
    texts = [f"{number} " for number in range(5000)]
    upstream.play("scripted", answer(*texts))
    outcome = await ask_once(upstream.base_url)
    assert [delta.text for delta in outcome.deltas] == texts
    assert outcome.counts == (7, 5, 12)


async def test_60_a_gzip_bomb_costs_no_memory(upstream: Upstream):
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(compressor.compress(bytes(1_000_000)) for _ in range(200)) + compressor.flush()
    upstream.play("scripted", raw_body(bomb, headers={**SSE, "Content-Encoding": "gzip"}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = await ask_once(upstream.base_url)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{outcome.seconds:.3f} s, {grown:.1f} MB")
    assert outcome.code == "upstream_encoding"
    assert grown < 10


async def test_nothing_of_an_answer_is_lost_in_gzip_that_comes_in_small_pieces(upstream: Upstream):
    packed = gzip.compress(body())
    headers = {**SSE, "Content-Encoding": "gzip"}
    upstream.play("scripted", bytewise((*stream(packed, headers=headers, whole=False), Send(LAST_CHUNK))))
    outcome = await ask_once(upstream.base_url)
    assert (outcome.text, outcome.counts) == ("Hello, world", (7, 5, 12))
