"""What the checks say of the way to a server: its address, its certificate, the key, and the list of its models."""

from __future__ import annotations

import socket
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chat.diagnosis import CHECKS, examine
from chat.providers import Endpoint, TimeLimits
from tests.support.asking import KEY
from tests.support.certificates import self_signed
from tests.support.examining import LIST, WELL, detail_of, examined, in_words, listed
from tests.support.upstream import Stall, Upstream, document, error, html
from tests.support.upstream.script import Rst


async def test_a_provider_without_a_key_needs_none(upstream: Upstream):
    upstream.play(LIST, listed({"id": "behaving"}))
    findings = await examined(upstream.base_url, api_key="", auth="none")
    assert in_words(findings) == WELL | {"auth": "good no_key"}


@pytest.mark.parametrize(
    ("script", "differs"),
    [
        (error(404), {"models": "odd upstream_not_found"}),
        (html(200), {"models": "odd upstream_bad_response"}),
        (error(500), {"models": "odd upstream_error"}),
        (listed({"id": "another"}), {"models": "odd not_listed"}),
        (error(401), {"auth": "bad upstream_auth", **dict.fromkeys(CHECKS[3:], "skipped key_refused")}),
        (error(403), {"models": "odd upstream_forbidden"}),
    ],
)
async def test_lists_of_models(script: Any, differs: dict[str, str], upstream: Upstream):
    upstream.play(LIST, script)
    findings = await examined(upstream.base_url)
    assert in_words(findings) == WELL | differs
    assert detail_of(findings, "models")["model"] == "behaving"


async def test_a_model_that_the_server_does_not_know(upstream: Upstream):
    upstream.play(LIST, listed({"id": "another"}))
    upstream.play("gone", error(404, "The model `gone` does not exist.", code="model_not_found"))
    found = in_words(await examined(upstream.base_url, "gone"))
    assert (found["auth"], found["models"], found["whole_answer"]) == (
        "good accepted", "bad missing", "bad upstream_not_found",
    )  # fmt: skip


HERE, NOWHERE = listed({"id": "m"}), error(404)


@pytest.mark.parametrize(
    ("list_", "script", "found"),
    [
        (HERE, error(404, "The model is not there."), "good accepted"),
        (NOWHERE, error(404, "There is nothing here."), "skipped unclear"),
        (NOWHERE, error(400), "good accepted"),
        (NOWHERE, error(413), "good accepted"),
        (NOWHERE, error(402), "good accepted"),
        (NOWHERE, error(429), "good accepted"),
        (NOWHERE, document({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}), "good accepted"),
        (HERE, error(401), "bad upstream_auth"),
        (HERE, error(403), "odd upstream_forbidden"),
        (HERE, error(503), "skipped unclear"),
        (HERE, error(500), "skipped unclear"),
        (HERE, html(200), "skipped unclear"),
        (HERE, html(404), "skipped unclear"),
        (HERE, (Stall(),), "skipped unclear"),
        (HERE, (Rst(),), "skipped unclear"),
    ],
)
async def test_a_key_is_accepted_where_an_answer_proves_it(list_: Any, script: Any, found: str, upstream: Upstream):
    upstream.play(LIST, list_)
    upstream.play("m", script)
    findings = await examined(upstream.base_url, "m", seconds=0.5)
    assert in_words(findings)["auth"] == found


async def test_a_whole_website_in_the_place_of_the_server(upstream: Upstream):
    upstream.play(LIST, html(200))
    found = in_words(await examined(upstream.base_url, "behaving:html"))
    assert found["auth"] == "skipped unclear"
    assert found["models"] == "odd upstream_bad_response"
    assert found["whole_answer"] == "bad upstream_bad_response"
    assert found["stop"] == "skipped no_answer"


async def test_nobody_is_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        findings = await examined(f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
    assert in_words(findings) == {
        "address": "bad upstream_unreachable", **dict.fromkeys(CHECKS[1:], "skipped no_connection"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "code"),
    [("http://no-such-host.invalid/v1", "upstream_dns"), ("no address", "upstream_bad_response")],
)
async def test_addresses_that_lead_nowhere(address: str, code: str):
    findings = await examined(address)
    assert in_words(findings)["address"] == f"bad {code}"
    assert {finding.result for finding in findings[1:]} == {"skipped"}


async def test_who_never_takes_up_the_line_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        findings = await examined(f"https://127.0.0.1:{deaf.getsockname()[1]}/v1", limits=TimeLimits(connect=0.2))
    assert in_words(findings)["address"] == "bad upstream_timeout"
    assert {finding.result for finding in findings[1:]} == {"skipped"}


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path):
    with Upstream.start(self_signed(tmp_path)) as upstream:
        findings = await examined(upstream.base_url)
        assert upstream.requests == []
    assert in_words(findings) == {
        "address": "good found", "tls": "bad upstream_tls", **dict.fromkeys(CHECKS[2:], "skipped no_connection"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("base_url", "token_url", "differs"),
    [
        ("", "http://127.0.0.1:9/token", {"auth": "bad upstream_unreachable"}),
        ("", "http://no-such-host.invalid/token", {"auth": "bad upstream_dns"}),
        ("https://127.0.0.1:9/v1", "http://127.0.0.1:9/token",
         {"tls": "skipped unclear", "auth": "bad upstream_unreachable"}),
        ("http://no-such-host.invalid/v1", "http://127.0.0.1:9/token",
         {"address": "bad upstream_dns", **dict.fromkeys(CHECKS[1:3], "skipped no_connection")}),
    ],
)  # fmt: skip
async def test_a_token_address_that_leads_nowhere_is_no_fault_of_the_servers(
    base_url: str, token_url: str, differs: dict[str, str], upstream: Upstream
):
    settings: dict[str, Any] = {"auth": "evolution", "key_id": "key-id-0123456789", "token_url": token_url}
    findings = await examined(base_url or upstream.base_url, **settings)
    assert in_words(findings) == {
        "address": "good found",
        "tls": "good private_http",
        **dict.fromkeys(CHECKS[3:], "skipped no_connection"),
        **differs,
    }
    if in_words(findings)["auth"].startswith("bad"):
        assert detail_of(findings, "auth")["reason"].startswith("the token address: ")


async def test_a_token_that_came_at_the_second_try_is_a_token(upstream: Upstream):
    upstream.play("POST /token", error(500), document({"access_token": "token-0123456789"}))
    upstream.play(LIST, listed({"id": "behaving"}))
    token_url = upstream.base_url.removesuffix("/v1") + "/token"
    findings = await examined(upstream.base_url, auth="evolution", key_id="key-id-0123456789", token_url=token_url)
    assert in_words(findings) == WELL | {"models": "odd upstream_error"}


async def test_plain_http_to_a_public_address_is_bad_but_no_obstacle(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
):
    def elsewhere(host: Any, port: Any, **more: Any) -> Any:
        assert host == "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))]

    upstream.play(LIST, listed({"id": "behaving"}))
    endpoint = Endpoint(upstream.base_url, private_network=True, api_key=KEY)
    findings = []
    async with aclosing(examine(endpoint, "behaving")) as checks:
        monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
        findings.append(await anext(checks))
        monkeypatch.undo()
        findings += [finding async for finding in checks]
    assert in_words(findings) == WELL | {"tls": "bad plain_http"}
