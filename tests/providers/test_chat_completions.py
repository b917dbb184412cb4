"""What the adapter sends, when it sends again by itself, and how it leaves: over raw sockets on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import aclosing

import pytest

from chat.providers import (
    KINDS,
    CompletionRequest,
    Endpoint,
    ProviderError,
    ResponseStarted,
    TextDelta,
    TimeLimits,
    build,
    clean_base_url,
)
from chat.providers.base import UnsupportedField
from chat.providers.http import STALE_SECONDS
from tests.support.asking import KEY, PLACES, STOP_SECONDS, Witness, ask, ask_once, endpoint, question
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
    error,
    raw_body,
    stream,
)
from tests.support.upstream.recordings import index, record, text
from tests.support.upstream.script import Script, Send, Step, counts, framed

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


async def test_a_server_that_cannot_stream_is_asked_for_the_whole_answer(upstream: Upstream):
    choice = {"index": 0, "message": {"role": "assistant", "content": "All at once."}, "finish_reason": "stop"}
    upstream.play("m", document({"model": "scripted-1", "choices": [choice], "usage": counts(7, 3)}))
    outcome = await ask_once(upstream.base_url, "m", whole_answers=True)
    assert (outcome.text, outcome.finish, outcome.counts) == ("All at once.", "stop", (7, 3, 10))
    assert outcome.warnings == [], "it is what was asked for"
    body = upstream.requests[-1].body
    assert (body["stream"], "stream_options" in body) == (False, False)


CHOICE = {"index": 0, "message": {"role": "assistant", "content": "All at once."}, "finish_reason": "stop"}
QUOTA = {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}
HASTY = TimeLimits(idle=0.3)


def without_an_end(value: object, *end: Step, framing: str = "chunked") -> Script:
    """A document whose body stops there, or has more announced than comes."""
    body = json.dumps(value).encode()
    return (
        *stream(body, headers={"Content-Type": "application/json"}, framing=framing, length=9999, whole=False),
        *end,
    )


@pytest.mark.parametrize("whole_answers", [True, False])
@pytest.mark.parametrize(
    ("end", "framing", "warnings"),
    [
        (Fin(), "chunked", ["cut_after_finish"]),
        (Fin(), "length", ["cut_after_finish"]),
        (Stall(), "chunked", []),
        (Stall(), "length", []),
    ],
)
async def test_a_whole_answer_is_taken_though_its_body_has_no_end(
    end, framing, warnings, whole_answers, upstream: Upstream
):
    value = {"model": "scripted-1", "choices": [CHOICE], "usage": counts(7, 3)}
    upstream.play("m", without_an_end(value, end, framing=framing))
    outcome = await ask_once(upstream.base_url, "m", HASTY, whole_answers=whole_answers)
    assert (outcome.error, outcome.text, outcome.finish) == (None, "All at once.", "stop")
    assert outcome.counts == (7, 3, 10)
    assert outcome.warnings == warnings + ([] if whole_answers else ["whole_answer"])


@pytest.mark.parametrize(
    ("value", "end", "code"),
    [
        (QUOTA, Fin(), "upstream_quota"),
        (QUOTA, Stall(), "upstream_quota"),
        ({"hello": "world"}, Fin(), "upstream_bad_response"),
    ],
)
async def test_an_error_is_understood_though_its_body_has_no_end(value, end, code, upstream: Upstream):
    upstream.play("m", without_an_end(value, end))
    outcome = await ask_once(upstream.base_url, "m", HASTY)
    assert (outcome.code, outcome.max_tries) == (code, 1)


@pytest.mark.parametrize(("end", "code", "tries"), [(Fin(), "upstream_cut", 3), (Stall(), "upstream_timeout", 1)])
async def test_half_a_document_is_no_answer(end, code, tries, upstream: Upstream):
    half = Send(framed(json.dumps({"choices": [CHOICE]}).encode()[:-1]))
    upstream.play("m", (*stream(headers={"Content-Type": "application/json"}, whole=False), half, end))
    outcome = await ask_once(upstream.base_url, "m", HASTY)
    assert (outcome.code, outcome.max_tries, outcome.deltas) == (code, tries, [])


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


def test_every_kind_has_an_address_that_can_be_used_or_none():
    for kind in KINDS.values():
        assert not kind.base_url or clean_base_url(kind.base_url) == kind.base_url
        assert kind.label and kind.auth in ("bearer", "api_key_header", "evolution", "none")
        build(Endpoint(kind.base_url, kind.auth))


def test_a_code_that_is_not_in_the_table_cannot_be_raised():
    with pytest.raises(ValueError, match="upstream_whatever"):
        ProviderError("upstream_whatever")
    with pytest.raises(ValueError, match="no_model"):
        ProviderError("no_model")


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
