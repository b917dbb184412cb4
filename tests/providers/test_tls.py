"""Upstreams that speak TLS, or should: certificates, handshakes, and a stop that is as quick."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from chat.providers import TimeLimits
from chat.providers.transport import ssl_context
from tests.support.asking import PLACES, STOP_SECONDS, ask_once
from tests.support.certificates import self_signed
from tests.support.upstream import Upstream


async def test_81_plain_http_where_tls_is_expected_is_a_tls_error(upstream: Upstream):
    outcome = await ask_once(upstream.base_url.replace("http:", "https:"))
    assert (outcome.code, outcome.max_tries) == ("upstream_tls", 1)
    assert upstream.requests == []


async def test_81_a_certificate_that_nobody_vouches_for_is_a_tls_error(tmp_path: Path):
    with Upstream.start(self_signed(tmp_path)) as upstream:
        outcome = await ask_once(upstream.base_url)
        assert (outcome.code, outcome.max_tries) == ("upstream_tls", 1)
        assert upstream.requests == []


async def test_a_team_may_vouch_for_its_own_certificate_and_stop_is_as_quick_under_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", files[0])
    ssl_context.cache_clear()
    try:
        with Upstream.start(files) as upstream:
            assert (await ask_once(upstream.base_url)).text == "This is a short answer."
            upstream.play("m", PLACES["mid-answer"])
            asking = asyncio.create_task(ask_once(upstream.base_url, "m"))
            request = await asyncio.to_thread(upstream.wait_for_gate, "here")
            cancelled_at = time.monotonic()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            closed_at = await asyncio.to_thread(upstream.wait_for_close, request)
            print(f"closed after {(closed_at - cancelled_at) * 1000:.1f} ms")
            assert closed_at - cancelled_at < STOP_SECONDS
    finally:
        ssl_context.cache_clear()


async def test_81_a_stalled_handshake_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        outcome = await ask_once(f"https://127.0.0.1:{deaf.getsockname()[1]}/v1", limits=TimeLimits(connect=0.2))
    assert (outcome.code, outcome.max_tries) == ("upstream_timeout", 3)
