"""Evolution's keys: one exchange however many ask, renewed in time, once more after a 401, and seen by nobody."""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import Any

import httpx
import pytest

from chat.providers import Adapter, build
from chat.providers.evolution import EARLY, EvolutionAuth, Token, token_of
from chat.providers.transport import ssl_context
from tests.support.asking import ask, endpoint
from tests.support.upstream import Gate, Rst, Script, Stall, Upstream, answer, document, error, html

KEY_ID, SECRET = "key-id-0123456789", "evolution-secret-abcdef"
TOKEN = "POST /token"


def token(text: str = "token-one-0123456789", **more: Any) -> Script:
    return document({"access_token": text, "id_token": "x", "refresh_token": "", "token_type": "Bearer", **more})


def adapter_of(upstream: Upstream, **settings: Any) -> Adapter:
    origin = upstream.base_url.removesuffix("/v1")
    usual = {"api_key": SECRET, "key_id": KEY_ID, "token_url": f"{origin}/token", "extra_headers": {"X-Ours": "1"}}
    return build(endpoint(upstream.base_url, auth="evolution", **usual | settings))


def exchanges(upstream: Upstream) -> list[Any]:
    return [request for request in upstream.requests if request.path == "/token"]


def asked_with(upstream: Upstream) -> list[str | None]:
    return [request.headers.get("authorization") for request in upstream.requests if request.path != "/token"]


async def test_twenty_prompts_at_once_exchange_the_key_once(upstream: Upstream):
    upstream.play(TOKEN, (Gate("token"), *token(expires_in=3600)))
    adapter = adapter_of(upstream)
    asking = [asyncio.create_task(ask(adapter, "m")) for _ in range(20)]
    await asyncio.to_thread(upstream.wait_for_gate, "token")
    upstream.open("token")
    assert [outcome.error for outcome in await asyncio.gather(*asking)] == [None] * 20
    await adapter.aclose()
    (exchange,) = exchanges(upstream)
    assert exchange.body == {"keyId": KEY_ID, "secret": SECRET}
    assert exchange.headers["content-type"] == "application/json"
    assert "authorization" not in exchange.headers and "x-ours" not in exchange.headers
    assert asked_with(upstream) == ["Bearer token-one-0123456789"] * 20


async def test_whoever_asked_first_may_leave_without_taking_the_token_from_the_others(upstream: Upstream):
    upstream.play(TOKEN, (Gate("token"), *token()))
    adapter = adapter_of(upstream)
    first, second = asyncio.create_task(ask(adapter, "m")), asyncio.create_task(ask(adapter, "m"))
    await asyncio.to_thread(upstream.wait_for_gate, "token")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    upstream.open("token")
    assert (await second).error is None
    await adapter.aclose()
    assert len(exchanges(upstream)) == 1


async def test_a_token_is_renewed_before_it_ends(upstream: Upstream):
    upstream.play(TOKEN, token("first-token", expires_in=0.5), token("second-token", expires_in=3600))
    adapter = adapter_of(upstream)
    assert (await ask(adapter, "m")).error is None
    assert (await ask(adapter, "m")).error is None
    await asyncio.sleep(0.45)  # not over yet, but nearly
    assert (await ask(adapter, "m")).error is None
    await adapter.aclose()
    assert asked_with(upstream) == ["Bearer first-token", "Bearer first-token", "Bearer second-token"]


async def test_an_hour_is_used_up_to_its_last_minute():
    now, fetched = [0.0], []

    async def fetch() -> Token:
        fetched.append(now[0])
        return Token(f"token {len(fetched)}")

    auth = EvolutionAuth(fetch, clock=lambda: now[0])
    for moment in (0, 1, 3600 - EARLY - 1, 3600 - EARLY, 3600):
        now[0] = moment
        await auth.token()
    assert fetched == [0, 3600 - EARLY]


async def test_a_refused_token_is_renewed_once(upstream: Upstream):
    upstream.play(TOKEN, token("first-token"), token("second-token"))
    upstream.play("m", error(401, "jwt expired"), answer("Hello"))
    adapter = adapter_of(upstream)
    outcome = await ask(adapter, "m")
    await adapter.aclose()
    assert (outcome.error, outcome.text) == (None, "Hello")
    assert asked_with(upstream) == ["Bearer first-token", "Bearer second-token"]
    assert len(outcome.calls.started) == 2, "what was refused is not measured"


async def test_a_second_refusal_is_the_end(upstream: Upstream):
    upstream.play(TOKEN, token("first-token"), token("second-token"))
    upstream.play("m", error(401, "second-token is no good"))
    adapter = adapter_of(upstream)
    outcome = await ask(adapter, "m")
    await adapter.aclose()
    assert (outcome.code, outcome.max_tries) == ("upstream_auth", 1)
    assert len(exchanges(upstream)) == 2
    assert "second-token" not in repr(outcome.error)


@pytest.mark.parametrize(
    ("script", "code", "permanent"),
    [
        (error(401, f"{KEY_ID} and {SECRET} don't fit"), "upstream_auth", True),
        (error(403, SECRET), "upstream_auth", True),
        (error(400), "upstream_auth", True),
        (error(500), "upstream_error", False),
        (error(429, headers={"Retry-After": "2"}), "upstream_rate_limited", False),
        (html(), "upstream_bad_response", True),
        (document({"token": "x"}), "upstream_bad_response", True),
        (document({"access_token": "a\r\nX-Evil: 1"}), "upstream_bad_response", True),
        (document({"access_token": 7}), "upstream_bad_response", True),
        (document(["x"]), "upstream_bad_response", True),
        (document("x" * 100_000), "upstream_bad_response", True),
    ],
)
async def test_an_exchange_that_fails_says_so_and_shows_nothing(script, code, permanent, upstream: Upstream):
    upstream.play(TOKEN, script)
    adapter = adapter_of(upstream)
    outcome = await ask(adapter, "m")
    await adapter.aclose()
    assert outcome.error is not None
    assert (outcome.code, outcome.error.permanent) == (code, permanent)
    assert SECRET not in repr(outcome.error) and KEY_ID not in repr(outcome.error)
    assert asked_with(upstream) == []


@pytest.mark.parametrize(
    ("address", "script", "code", "reason"),
    [
        ("http://127.0.0.1:9/token", None, "upstream_unreachable", "the token address: "),
        ("http://no-such-host.invalid/token", None, "upstream_dns", "the token address: "),
        ("no address", None, "upstream_bad_response", "the token address: "),
        ("", (Rst(),), "upstream_cut", "the token address"),
        ("", error(500, "Sorry."), "upstream_error", "the token address: Sorry."),
        ("", error(404, "Not Found"), "upstream_not_found", "the token address: Not Found"),
        ("", document({"token": "x"}), "upstream_bad_response", "the token address: no token"),
        ("", error(401), "upstream_auth", "the key id or its secret was refused"),
    ],
)
async def test_the_reason_names_the_address_that_failed(address, script, code, reason, upstream: Upstream):
    if script is not None:
        upstream.play(TOKEN, script)
    adapter = adapter_of(upstream, **({"token_url": address} if address else {}))
    outcome = await ask(adapter, "m")
    await adapter.aclose()
    assert outcome.error is not None and outcome.code == code
    assert outcome.error.reason.startswith(reason)


async def test_an_extra_header_that_is_no_text_is_refused_before_the_exchange(upstream: Upstream):
    upstream.play(TOKEN, token())
    adapter = adapter_of(upstream, extra_headers={"X-Version": 5})
    assert (await ask(adapter, "m")).code == "upstream_rejected"
    await adapter.aclose()
    assert upstream.requests == []


async def test_a_token_server_that_says_when_to_come_back_is_heard(upstream: Upstream):
    upstream.play(TOKEN, error(429, headers={"Retry-After": "7", "X-Request-Id": "r-1"}))
    adapter = adapter_of(upstream)
    failed = (await ask(adapter, "m")).error
    await adapter.aclose()
    assert failed is not None
    assert (failed.retry_after, failed.max_tries, failed.request_id) == (7, 3, "r-1")


async def test_a_failed_exchange_is_tried_again_by_the_next_prompt(upstream: Upstream):
    upstream.play(TOKEN, error(500), token())
    adapter = adapter_of(upstream)
    assert (await ask(adapter, "m")).code == "upstream_error"
    assert (await ask(adapter, "m")).error is None
    await adapter.aclose()


async def test_closing_ends_an_exchange_that_hangs(upstream: Upstream):
    upstream.play(TOKEN, (Stall(),))
    adapter = adapter_of(upstream)
    asking = asyncio.create_task(ask(adapter, "m"))
    while not exchanges(upstream):
        await asyncio.sleep(0.01)
    await adapter.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("lifetime", [60, 0.5, 31_536_000, 10**9 - 1])
def test_a_token_lives_as_long_as_it_says(lifetime):
    assert token_of({"access_token": "t", "expires_in": lifetime}) == Token("t", lifetime)


@pytest.mark.parametrize(
    "lifetime",
    [None, "soon", 0, -5, True, 10**9, 10**400, float("inf"), float("nan"), -float("inf"), [60]],
    ids=lambda lifetime: repr(lifetime)[:20],
)
def test_a_token_that_says_nothing_of_use_lives_an_hour(lifetime):
    assert token_of({"access_token": "t", "expires_in": lifetime}) == Token("t", 3600)


@pytest.mark.parametrize("status", [200, 201, 202, 203])
async def test_any_good_status_brings_a_token(status, upstream: Upstream):
    upstream.play(TOKEN, document({"access_token": "good-token"}, status))
    adapter = adapter_of(upstream)
    assert (await ask(adapter, "m")).error is None
    await adapter.aclose()
    assert asked_with(upstream) == ["Bearer good-token"]


async def test_certificates_for_the_token_address_are_read_beside_the_event_loop(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
):
    threads, create = [], httpx.create_ssl_context

    def noted(**more: Any) -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return create(**more)

    monkeypatch.setattr(httpx, "create_ssl_context", noted)
    ssl_context.cache_clear()
    adapter = build(
        endpoint(upstream.base_url, auth="evolution", api_key=SECRET, key_id=KEY_ID, token_url="https://127.0.0.1:1/t")
    )
    assert (await ask(adapter, "m")).code == "upstream_unreachable"
    await adapter.aclose()
    assert len(threads) == 1 and threads[0] is not threading.current_thread()
