"""Whatever upstream does: the right code, the text kept, nothing spinning for ever."""

import pytest
from django.db.models import Value
from django.db.models.functions import Replace

from chat.models import Provider
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import DONE, Fin, Rst, Script, answer, chunk, document, error, html, stream

HALF: Script = stream("Half of ", "it", whole=False)
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "source": "counted"}


@pytest.mark.parametrize(
    ("script", "code", "text", "tries"),
    [
        (error(400, "Unknown thing."), "upstream_rejected", "", 1),
        (error(400, "Too long.", code="context_length_exceeded"), "context_too_long", "", 1),
        (error(401, "Incorrect API key provided: sk-secret."), "upstream_auth", "", 1),
        (error(403), "upstream_forbidden", "", 1),
        (error(404), "upstream_not_found", "", 1),
        (error(429, code="insufficient_quota"), "upstream_quota", "", 1),
        (error(429, headers={"Retry-After": "3600"}), "upstream_rate_limited", "", 1),
        (error(500), "upstream_error", "", 3),
        (error(503), "upstream_overloaded", "", 3),
        (html(), "upstream_bad_response", "", 1),
        (html(502), "upstream_error", "", 3),
        (document({"error": {"message": "no"}}), "upstream_error", "", 3),
        (stream(), "upstream_incomplete", "", 3),
        (answer(), "answer_empty", "", 2),
        ((*HALF, Fin()), "upstream_cut", "Half of it", 1),
        ((*HALF, Rst()), "upstream_cut", "Half of it", 1),
        (stream("Half of ", "it"), "upstream_incomplete", "Half of it", 1),
        (stream("Half of ", "it", b"data: {nonsense\n\n"), "upstream_malformed", "Half of it", 1),
        (stream("Half of ", "it", {"error": {"message": "x"}}), "upstream_error", "Half of it", 1),
    ],
)
async def test_a_fault_ends_with_its_code_and_keeps_the_text(
    portal: Portal, upstream: Upstream, script, code, text, tries
):
    upstream.play("fake", script)
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert (finished["state"], finished["code"]) == ("failed", code)
    assert finished["message"]
    assert "sk-secret" not in finished["message"]
    assert socket.texts[finished["generation"]].text == text
    assert upstream.count() == tries
    row = portal.generation(finished["generation"])
    assert (row["state"], row["error_code"], row["content"], row["attempts"]) == ("failed", code, text, tries)
    assert "sk-secret" not in str(row)
    if text:
        assert finished["usage"]["source"] == "counted"
        assert finished["usage"]["completion_tokens"] == 3
    elif code != "answer_empty":
        assert finished["usage"] == ZERO


async def test_a_retry_before_the_first_delta_is_seen_and_succeeds(portal: Portal, upstream: Upstream):
    upstream.play("fake", error(500), error(503), answer("at last"))
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert finished["state"] == "completed"
    assert socket.texts[finished["generation"]].text == "at last"
    retries = [frame for frame in socket.frames if frame.get("phase") == "retrying"]
    assert [(frame["attempt"], frame["code"], frame["message"]) for frame in retries] == [
        (2, "upstream_error", "The model server had an error."),
        (3, "upstream_overloaded", "The model is overloaded right now."),
    ]
    assert all(0 < frame["wait_ms"] <= 1000 for frame in retries)
    assert portal.generation(finished["generation"])["attempts"] == 3


async def test_an_upstream_that_is_not_there_is_unreachable(new_portal, upstream: Upstream):
    portal = new_portal()
    upstream_port = upstream.port

    portal.kill()
    portal.change(lambda: Provider.objects.update(base_url=Replace("base_url", Value(str(upstream_port)), Value("1"))))
    portal.start(setup=False)
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert (finished["state"], finished["code"], finished["usage"]) == ("failed", "upstream_unreachable", ZERO)


async def test_an_upstream_that_stalls_ends_with_the_limits_of_its_provider(new_portal, upstream: Upstream):

    from tests.support.upstream.script import Stall

    portal = new_portal()
    portal.kill()
    portal.change(lambda: Provider.objects.update(first_byte_seconds=0.3, idle_seconds=0.3))
    portal.start(setup=False)
    socket = await portal.connect()
    upstream.play("fake", (Stall(),), stream("Half of it", Stall()))
    finished = await socket.ask("silent")
    assert (finished["state"], finished["code"], finished["usage"]) == ("failed", "upstream_timeout", ZERO)
    finished = await socket.ask("stalls")
    assert (finished["state"], finished["code"]) == ("failed", "upstream_stalled")
    assert socket.texts[finished["generation"]].text == "Half of it"
    assert upstream.count() == 2


async def test_a_connection_closed_between_two_prompts_costs_nothing(portal: Portal, upstream: Upstream):
    upstream.play("fake", (*answer("one", done=False), Fin()), answer("two"))
    socket = await portal.connect()
    first = await socket.ask("first")
    second = await socket.ask("second")
    assert (first["state"], second["state"]) == ("completed", "completed")
    assert socket.texts[second["generation"]].text == "two"
    assert portal.generation(second["generation"])["attempts"] == 1


async def test_words_of_upstream_that_nothing_can_store_harm_nobody(portal: Portal, upstream: Upstream):
    odd = b'data: {"model": "m\\udfff", "choices": [{"index": 0, "delta": {}, "finish_reason": "st\\ud800"}]}\n\n'
    upstream.play("fake", stream(odd, "Fine", DONE), answer("and on"))
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert (finished["state"], finished["finish_reason"]) == ("completed", "st?")
    assert (await socket.ask("again"))["state"] == "completed"


async def test_done_without_a_finish_reason_is_completed_without_one(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream("text", DONE))
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert (finished["state"], finished["finish_reason"], finished["code"]) == ("completed", None, None)


async def test_an_answer_that_never_ends_is_kept_up_to_2_mib(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream(*(["x" * 100_000] * 30), chunk(finish="stop"), DONE))
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert (finished["state"], finished["code"]) == ("failed", "answer_too_long")
    got = socket.texts[finished["generation"]].text
    assert len(got) == 2 * 1024 * 1024 == len(portal.generation(finished["generation"])["content"])
    assert "2048 KiB" in finished["message"]
    assert max(len(frame.get("text", "").encode()) for frame in socket.frames if frame["type"] == "delta") <= 65536


async def test_what_an_upstream_repeats_of_a_prompt_is_told_to_its_owner_and_not_to_the_log(
    portal: Portal, upstream: Upstream
):
    upstream.play("fake", error(400, "You said: heliotrope"))
    socket = await portal.connect()
    finished = await socket.ask("heliotrope")
    assert "heliotrope" in finished["message"]
    assert finished["generation"] in portal.log
    assert "heliotrope" not in portal.log
