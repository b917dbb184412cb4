"""What the adapter sends, and when it sends again by itself: over raw sockets on loopback."""

from __future__ import annotations

import asyncio

import pytest

from chat.providers import (
    PRESETS,
    CompletionRequest,
    Endpoint,
    ProviderError,
    ResponseStarted,
    build,
    clean_base_url,
)
from chat.providers.base import UnsupportedField
from tests.support.asking import KEY, Witness, ask, ask_once, endpoint
from tests.support.upstream import (
    Gate,
    Upstream,
    answer,
    chunk,
    document,
    error,
    raw_body,
    stream,
)
from tests.support.upstream.recordings import index, record, text

PLAIN_KEY = "Correct-Horse-Battery-Staple"
"""Known by its value only."""


async def test_only_what_somebody_set_is_sent(upstream: Upstream):
    await ask_once(upstream.base_url, "some-model")
    (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.body == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Hello?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["accept-encoding"] == "identity"
    assert "cookie" not in request.headers


async def test_options_and_the_admins_additions_are_passed_on(upstream: Upstream):
    adapter = build(
        endpoint(
            upstream.base_url,
            max_tokens_field="max_completion_tokens",
            extra_headers={"X-Title": "Our portal"},
            extra_query={"api-version": "2024-10-21"},
            extra_body={"top_k": 5, "temperature": 0.1, "stream": False, "stream_options": {"x": 1}, "model": "no"},
        )
    )
    await ask(adapter, "m", temperature=0.7, max_tokens=5, stop=["END"], seed=None)
    await adapter.aclose()
    (request,) = upstream.requests
    assert request.path == "/v1/chat/completions?api-version=2024-10-21"
    assert request.headers["x-title"] == "Our portal"
    assert request.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello?"}],
        "stream": True,
        "stream_options": {"include_usage": True, "x": 1},
        "top_k": 5,
        "temperature": 0.7,
        "max_completion_tokens": 5,
        "stop": ["END"],
    }


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"api_key": " "}, "authorization", None),
        ({"api_key": ""}, "authorization", None),
        ({"auth": "none"}, "authorization", None),
        ({"api_key": f" {KEY}\n"}, "authorization", f"Bearer {KEY}"),
        ({"auth": "api_key_header"}, "api-key", KEY),
        ({"auth": "api_key_header"}, "authorization", None),
    ],
)
async def test_credentials_go_where_they_belong(settings, header, value, upstream: Upstream):
    await ask_once(upstream.base_url, **settings)
    assert upstream.requests[0].headers.get(header) == value


async def test_an_untidy_address_reaches_the_same_endpoint(upstream: Upstream):
    for address in (f" {upstream.base_url}/ ", f"{upstream.base_url}/chat/completions", f"{upstream.base_url}/v1"):
        assert (await ask_once(address)).text == "This is a short answer."
    assert {request.path for request in upstream.requests} == {"/v1/chat/completions"}


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"api_key": "ключ"}, "upstream_auth"),
        ({"api_key": "a\nb"}, "upstream_auth"),
        ({"extra_headers": {"X": "a\r\nEvil: b"}}, "upstream_rejected"),
        *[({"extra_headers": {"X": value}}, "upstream_rejected") for value in (5, 1.5, True, None, ["a"], {"a": "b"})],
        ({"extra_body": {"temperature": float("nan")}}, "upstream_rejected"),
        ({"base_url": "ftp://x.example"}, "upstream_bad_response"),
        ({"base_url": "http://user:secret@127.0.0.1/v1"}, "upstream_bad_response"),
    ],
)
async def test_settings_that_cannot_be_sent_fail_without_sending(settings, code, upstream: Upstream):
    outcome = await ask_once(settings.pop("base_url", upstream.base_url), **settings)
    assert (outcome.code, outcome.max_tries) == (code, 1)
    assert upstream.requests == []


async def test_text_with_half_a_character_is_sent_as_text(upstream: Upstream):
    adapter = build(endpoint(upstream.base_url))
    request = CompletionRequest("m", [{"role": "user", "content": "a\ud83d \u2028 \U0001f469 \x00"}])
    assert [event async for event in adapter.stream(request, Witness())]
    await adapter.aclose()
    assert upstream.requests[0].prompt == "a? \u2028 \U0001f469 \x00"


async def test_28_a_refused_stream_options_is_left_out_and_remembered(upstream: Upstream):
    refusal = document(
        {"object": "error", "message": {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}}, 422
    )
    upstream.play("m", refusal, answer("Hello", usage=None))
    remembered: list[UnsupportedField] = []
    adapter = build(endpoint(upstream.base_url, remember=remembered.append))
    first, second = await ask(adapter, "m"), await ask(adapter, "m")
    await adapter.aclose()
    assert (first.text, second.text) == ("Hello", "Hello")
    assert remembered == [UnsupportedField("stream_options")]
    assert ["stream_options" in request.body for request in upstream.requests] == [True, False, False]
    assert len(first.calls.started) == len(first.calls.sent) == 2


async def test_max_tokens_is_called_otherwise_where_it_is_refused(upstream: Upstream):
    message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    options = error(400, "Unknown field: stream_options")
    upstream.play("m", error(400, message, code="unsupported_parameter"), options, answer("Hello"))
    remembered: list[UnsupportedField] = []
    adapter = build(endpoint(upstream.base_url, remember=remembered.append))
    assert (await ask(adapter, "m", max_tokens=9)).text == "Hello"
    await adapter.aclose()
    assert remembered == [
        UnsupportedField("max_tokens", "m", "max_completion_tokens"),
        UnsupportedField("stream_options"),
    ]
    bodies = [request.body for request in upstream.requests]
    assert [body.get("max_tokens") for body in bodies] == [9, None, None]
    assert [body.get("max_completion_tokens") for body in bodies] == [None, 9, 9]


LIMITS = ("max_tokens", "max_completion_tokens")


@pytest.mark.parametrize("usual", LIMITS)
async def test_each_model_has_its_limit_under_the_name_that_it_takes(usual, upstream: Upstream):
    newer, older, odd = (f"behaving:refuses-{what}" for what in ("max-tokens", "other-limit", "limit"))
    adapter = build(endpoint(upstream.base_url, max_tokens_field=usual))
    for _ in range(3):
        for model in (newer, older, odd):
            assert (await ask(adapter, model, max_tokens=9)).error is None
    await adapter.aclose()
    sent: dict[str, list[str]] = {}
    for request in upstream.requests:
        sent.setdefault(request.model, []).append("".join(name for name in LIMITS if name in request.body))
    other = LIMITS[usual == LIMITS[0]]
    assert sent == {
        newer: [usual] * (usual == LIMITS[0]) + [LIMITS[1]] * 3,
        older: [usual] * (usual == LIMITS[1]) + [LIMITS[0]] * 3,
        odd: [usual, other, "", "", ""],
    }


@pytest.mark.parametrize(
    ("mode", "asked", "code", "requests"),
    [("ask", True, "upstream_rejected", 1), ("auto", True, "upstream_rejected", 2), ("never", False, None, 1)],
)
async def test_a_field_is_left_out_once_and_only_in_mode_auto(mode, asked, code, requests, upstream: Upstream):
    upstream.play("m", answer("Hello") if code is None else error(400, "Unknown field: stream_options"))
    outcome = await ask_once(upstream.base_url, "m", usage_mode=mode)
    assert outcome.code == code
    assert ("stream_options" in upstream.requests[0].body) is asked
    assert upstream.count() == requests


async def test_the_probe_hears_the_moments_in_their_order(upstream: Upstream):
    upstream.play("m", (Gate("headers"), *answer("Hello")))
    asking = asyncio.create_task(ask_once(upstream.base_url, "m"))
    request = await asyncio.to_thread(upstream.wait_for_gate, "headers")
    upstream.open("headers")
    outcome = await asking
    (started,), (sent,) = outcome.calls.started, outcome.calls.sent
    assert started <= sent <= outcome.calls.received[0]
    await asyncio.to_thread(upstream.wait_for, lambda: request.sends)  # they are reported in batches
    assert started <= request.received_at <= request.sends[0][0] <= outcome.calls.received[0]


@pytest.mark.parametrize("header", ["x-request-id", "request-id", "apim-request-id", "x-generation-id"])
async def test_upstreams_id_of_the_request_is_told_also_with_an_error(header, upstream: Upstream):
    upstream.play("m", stream("a", b"data: [DONE]\n\n", headers={header: "req-7"}), error(500, headers={header: "r-8"}))
    adapter = build(endpoint(upstream.base_url))
    assert (await ask(adapter, "m")).events[0] == ResponseStarted("req-7")
    failed = await ask(adapter, "m")
    await adapter.aclose()
    assert failed.error is not None and failed.error.request_id == "r-8"


@pytest.mark.parametrize("whole", [True, False])
async def test_a_server_that_repeats_our_key_in_place_of_names_does_not_get_it_told(whole: bool, upstream: Upstream):
    said = chunk("Hello", model=f"m of {PLAIN_KEY}", finish=PLAIN_KEY, id=PLAIN_KEY, system_fingerprint=PLAIN_KEY)
    headers = {"Content-Type": "text/event-stream", "X-Request-Id": PLAIN_KEY}
    script = document(said, headers={"X-Request-Id": PLAIN_KEY}) if whole else stream(said, headers=headers)
    upstream.play("m", script)
    outcome = await ask_once(upstream.base_url, "m", api_key=PLAIN_KEY)
    assert (outcome.models, outcome.finish, outcome.request_id) == (["m of […]"], "[…]", "[…]")


@pytest.mark.parametrize("header", ["Content-Type", "Content-Encoding"])
async def test_a_header_that_cannot_be_understood_is_told_without_our_key(header: str, upstream: Upstream):
    upstream.play("m", raw_body(b"Hello", headers={header: PLAIN_KEY}))
    outcome = await ask_once(upstream.base_url, "m", api_key=PLAIN_KEY)
    assert outcome.error is not None and "[…]" in outcome.error.reason
    assert PLAIN_KEY.lower() not in outcome.error.reason.lower()


@pytest.mark.parametrize("name", index())
async def test_recorded_answers_of_real_models_come_out_whole(name, upstream: Upstream):
    upstream.play(name, record(name, speed=0))
    outcome = await ask_once(upstream.base_url, name)
    assert outcome.text == text(name)
    if index()[name]["complete"]:
        assert (outcome.code, outcome.finish) == (None, "stop")
    else:
        assert outcome.code == "upstream_cut"


def test_every_kind_has_an_address_that_can_be_used_or_none():
    for kind in PRESETS.values():
        assert not kind.base_url or clean_base_url(kind.base_url) == kind.base_url
        assert kind.label and kind.auth in ("bearer", "api_key_header", "evolution", "none")
        build(Endpoint(kind.base_url, kind.auth))


def test_a_code_that_is_not_in_the_table_cannot_be_raised():
    with pytest.raises(ValueError, match="upstream_whatever"):
        ProviderError("upstream_whatever")
    with pytest.raises(ValueError, match="no_model"):
        ProviderError("no_model")
