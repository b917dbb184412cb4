from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
from decimal import Decimal

import pytest

from chat.pricing import Rate
from chat.providers import Endpoint, ListedModel, ProviderError, failure_of, list_models
from chat.providers.listing import LIST_BYTES
from tests.support.asking import KEY
from tests.support.upstream import Script, Send, Stall, Upstream, document, error, head, html, raw_body

LIST = "GET /v1/models"


def names_of(base_url: str, key: str, seconds: float = 5.0) -> list[str]:
    listed = asyncio.run(list_models(Endpoint(base_url, api_key=key, private_network=True), seconds))
    return [model.name for model in listed if model.can_chat]


def ids(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "object": "model"} for name in names]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"object": "list", "data": ids("b", "a")}, ["b", "a"]),
        (ids("together/x"), ["together/x"]),
        ({"data": ids("models/gemini-2.5-flash", "models/text-embedding-004")}, ["gemini-2.5-flash"]),
        (
            {
                "data": ids(
                    "text-embedding-3-small", "whisper-1", "tts-1", "tts-1-hd", "dall-e-3", "omni-moderation-latest"
                )
                + ids("BAAI/bge-m3", "rerank-v3", "gpt-4o-mini-tts", "gpt-4o-transcribe", "gpt-4o", "qwen2.5-7b")
            },
            ["gpt-4o", "qwen2.5-7b"],
        ),
        ({"data": [None, 7, {}, {"id": 3}, {"id": " "}, {"id": "models/"}, {"id": "a"}, {"id": "a"}, "b"]}, ["a", "b"]),
        ({"data": []}, []),
    ],
)
def test_the_models_that_can_chat_are_listed(value, names, upstream: Upstream):
    upstream.play(LIST, document(value))
    assert names_of(f"{upstream.base_url}/", KEY) == names
    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_no_key_no_header(upstream: Upstream):
    names_of(upstream.base_url, "")
    assert "authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "upstream_auth"),
        (error(404), "upstream_not_found"),
        (html(404), "upstream_bad_response"),
        (html(200), "upstream_bad_response"),
        (error(500), "upstream_error"),
        (document({"error": "Unexpected endpoint or method. (GET /models)"}), "upstream_bad_response"),
        (document({"hello": "world"}), "upstream_bad_response"),
        (document("text"), "upstream_bad_response"),
        ((Send(head(302, {"Location": "http://169.254.169.254/", "Content-Length": "0"})),), "upstream_redirect"),
        ((Stall(),), "upstream_timeout"),
        ((Send(b"garbage\r\n\r\n"),), "upstream_bad_response"),
    ],
)
def test_a_list_that_cannot_be_had_says_why(script, code, upstream: Upstream):
    upstream.play(LIST, script)
    with pytest.raises(ProviderError) as caught:
        names_of(upstream.base_url, KEY, seconds=0.3)
    assert caught.value.code == code
    assert KEY[-4:] not in str(caught.value)


def test_addresses_without_a_server_say_why():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for address, code in (
            (f"http://127.0.0.1:{unused.getsockname()[1]}/v1", "upstream_unreachable"),
            ("http://no-such-host.invalid/v1", "upstream_dns"),
            ("no address", "upstream_bad_response"),
        ):
            with pytest.raises(ProviderError) as caught:
                names_of(address, "")
            assert caught.value.code == code


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"id": "a", "max_model_len": 8192}, ListedModel("a", 8192)),
        ({"id": "a", "context_length": 131072, "pricing": {"prompt": "0.00000015", "completion": "0.0000006"}},
         ListedModel("a", 131072, "", Rate(Decimal("0.15"), Decimal("0.6")))),
        ({"id": "a", "pricing": {"prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000125",
                                 "request": "0", "image": "0.0036"}},
         ListedModel("a", rate=Rate(Decimal("2.5"), Decimal(10), Decimal("1.25")))),
        ({"id": "a", "pricing": {"prompt": "0.000001", "completion": "0.000001", "request": "0.01"}}, ListedModel("a")),
        ({"id": "a", "pricing": {"prompt": "0.000001"}}, ListedModel("a")),
        ({"id": "a", "pricing": {"prompt": "-1", "completion": "-1"}}, ListedModel("a")),
        ({"id": "a", "context_window": 4096, "active": False}, ListedModel("a", 4096, can_chat=False)),
        ({"id": "a", "context_length": 512, "type": "embedding"}, ListedModel("a", 512, "embedding", can_chat=False)),
        ({"id": "a", "type": "chat"}, ListedModel("a", kind="chat")),
        ({"id": "a", "max_context_length": 32768, "capabilities": {"completion_chat": False}},
         ListedModel("a", 32768, can_chat=False)),
        ({"id": "a", "meta": {"n_ctx_train": 2048}}, ListedModel("a", 2048)),
        ({"id": "a", "context_length": -1, "context_window": True, "max_model_len": 10**12}, ListedModel("a")),
        ({"id": "a", "meta": []}, ListedModel("a")),
        ({"id": "a", "pricing": {"prompt": "NaN", "completion": "-1"}}, ListedModel("a")),
        ({"id": "a", "pricing": {"prompt": "free", "completion": 7}}, ListedModel("a")),
        ({"id": "a", "pricing": "0.1", "type": 3}, ListedModel("a")),
        ({"id": "a\ud83d", "type": "chat\udc69"}, ListedModel("a?", kind="chat?", can_chat=False)),
        ({"id": "a\x00b", "type": "ch\x00at"}, ListedModel("a?b", kind="ch?at", can_chat=False)),
        ({"id": "x" * 200 + "-embed", "type": "y" * 1000}, ListedModel("x" * 200, kind="y" * 40, can_chat=False)),
        ({"id": "x" * 3_000_000 + "-embed"}, ListedModel("x" * 200)),
        ({"id": f"about {KEY}", "type": KEY}, ListedModel("about […]", kind="[…]", can_chat=False)),
    ],
)  # fmt: skip
async def test_what_a_server_tells_of_a_model_is_read(entry, told, upstream: Upstream):
    upstream.play(LIST, raw_body(json.dumps({"data": [entry]}).encode()))
    assert await list_models(Endpoint(upstream.base_url, api_key=KEY, private_network=True)) == [told]


def packed(body: bytes, status: int = 200, encoding: str = "gzip") -> Script:
    return raw_body(body, status, {"Content-Type": "application/json", "Content-Encoding": encoding})


def test_a_list_that_was_packed_unasked_is_read(upstream: Upstream):
    names = [f"model-{number}" for number in range(1000)]
    for script in (packed(gzip.compress(json.dumps(ids(*names)).encode())), document(ids(*names))):
        upstream.play(LIST, script)
        assert names_of(upstream.base_url, KEY) == names


COMPLAINT = json.dumps({"error": {"message": "No such account."}}).encode()
LONG = json.dumps(ids("x" * LIST_BYTES)).encode()
HALF_AS_LONG = gzip.compress(random.Random(1).randbytes(LIST_BYTES * 5 // 8).hex().encode())
assert len(HALF_AS_LONG) < LIST_BYTES


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        (packed(HALF_AS_LONG), "upstream_bad_response", "more than "),
        (packed(gzip.compress(LONG)), "upstream_encoding", "a gzip bomb"),
        (packed(gzip.compress(b"[]")[:-4]), "upstream_encoding", "gzip without its end"),
        (packed(b"[]"), "upstream_encoding", "broken gzip"),
        (packed(b"[]", encoding="br"), "upstream_encoding", "br"),
        (packed(gzip.compress(COMPLAINT), 403), "upstream_forbidden", "No such account."),
        (packed(gzip.compress(COMPLAINT)[:-4], 403), "upstream_forbidden", "No such account."),
        (packed(b"who knows", 401, "br"), "upstream_auth", "HTTP 401"),
        (raw_body(b"x" * (LIST_BYTES + 1), 401), "upstream_auth", "x"),
    ],
)
def test_a_packed_answer_that_cannot_be_read_says_why(script, code, reason, upstream: Upstream):
    upstream.play(LIST, script)
    with pytest.raises(ProviderError) as caught:
        names_of(upstream.base_url, KEY)
    assert caught.value.code == code
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (document({"data": []}), None),
        (document({"hello": "world"}), None),
        (document({"data": ids(*(f"model-{number}" for number in range(5000)))}), "upstream_bad_response"),
        (html(200), "upstream_bad_response"),
        (error(401), "upstream_auth"),
        (error(404), "upstream_not_found"),
        (error(429), "upstream_rate_limited"),
        (error(500), "upstream_error"),
        (error(503), "upstream_overloaded"),
        ((Stall(),), "upstream_timeout"),
    ],
)
async def test_a_server_is_asked_whether_it_is_there_without_reading_much(script, code, upstream: Upstream):
    upstream.play(LIST, script)
    assert await failure_of(Endpoint(upstream.base_url, private_network=True), 0.3) == code


async def test_where_no_server_is_none_is_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert (
            await failure_of(Endpoint(f"http://127.0.0.1:{unused.getsockname()[1]}/v1", private_network=True))
            == "upstream_unreachable"
        )
