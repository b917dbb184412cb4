"""A prompt and its answer through the real port, with the upstream's own log as witness."""

import asyncio
import hashlib
import statistics
import uuid

import pytest

from chat.models import Generation, LanguageModel, Provider, Segment
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.recordings import index, record, text
from tests.support.upstream.script import DONE, Gate, answer, chunk, stream, text_chunk, usage_chunk

COUNT_PROMPT = "Count to 100, with a comma between each number and no newlines. E.g., 1, 2, 3, ..."
ONE_PLUS_ONE = "What's 1+1? Answer in one word."


def model_id(socket, label):
    return next(model["id"] for model in socket.hello["models"] if model["label"] == label)


async def test_an_answer_arrives_delta_by_delta_and_is_stored(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("Hel", "lo", " wörld \U0001f469", Gate("end"), "!", usage=(9, 4)))
    socket = await portal.connect()
    accepted = await socket.prompt("hi")
    assert accepted["duplicate"] is False
    generation = accepted["generation"]
    await socket.until(lambda frame: socket.texts[generation].seq == 3)
    upstream.open("end")
    finished = await socket.next("finished", generation=generation)
    assert socket.texts[generation].text == "Hello wörld \U0001f469!"
    kinds = [frame["type"] for frame in socket.frames[1:]]
    assert kinds[:2] == ["accepted", "snapshot"]
    assert kinds[-1] == "finished"
    phases = [frame["phase"] for frame in socket.frames if frame["type"] == "status"]
    assert phases == ["connecting", "waiting", "writing"]
    assert finished["state"] == "completed"
    assert (finished["finish_reason"], finished["code"], finished["seq"]) == ("stop", None, 4)
    assert finished["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "source": "reported",
    }
    assert finished["length"] == len("Hello wörld \U0001f469!")
    assert finished["sha256"] == hashlib.sha256("Hello wörld \U0001f469!".encode()).hexdigest()
    row = portal.generation(generation)
    assert (row["content"], row["state"], row["usage_state"], row["deltas"]) == (
        "Hello wörld \U0001f469!",
        "completed",
        "completed",
        4,
    )
    assert (row["ttft_ms"], row["duration_ms"]) == (finished["timing"]["ttft_ms"], finished["timing"]["duration_ms"])
    (request,) = upstream.requests
    assert request.body["messages"] == [{"role": "user", "content": "hi"}]
    assert request.body["stream"] is True
    assert request.body["stream_options"] == {"include_usage": True}
    assert request.headers["accept-encoding"] == "identity"


async def test_the_branch_of_the_conversation_is_the_prompt(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"), answer("two"), answer("three"))
    socket = await portal.connect()
    first = await socket.prompt("first")
    await socket.next("finished")
    await socket.ask("second", first["conversation"])
    await socket.ask("third", first["conversation"])
    assert [(m["role"], m["content"]) for m in upstream.requests[-1].body["messages"]] == [
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
        ("assistant", "two"),
        ("user", "third"),
    ]


async def test_a_prompt_sent_while_an_answer_is_written_waits_for_it(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("on", Gate("go"), "e"), answer("two"))
    socket = await portal.connect()
    first = await socket.prompt("first")
    await asyncio.to_thread(upstream.wait_for_gate, "go")
    second = await socket.prompt("second", first["conversation"])
    assert second["state"] == "queued"
    upstream.open("go")
    await socket.next("finished", generation=second["generation"])
    assert [m["content"] for m in upstream.requests[-1].body["messages"]] == ["first", "one", "second"]


async def test_regenerate_writes_another_answer_to_the_same_prompt(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"), answer("two"))
    socket = await portal.connect()
    first = await socket.prompt("first")
    await socket.next("finished")
    await socket.command("regenerate", key=str(uuid.uuid4()), message=first["assistant_message"])
    again = await socket.next("accepted")
    await socket.next("finished", generation=again["generation"])
    assert again["user_message"] == first["user_message"]
    assert again["assistant_message"] != first["assistant_message"]
    assert portal.generation(first["generation"])["content"] == "one"
    assert portal.generation(again["generation"])["content"] == "two"
    assert [m["content"] for m in upstream.requests[-1].body["messages"]] == ["first"]


async def test_a_provider_of_the_legacy_dialect_gets_the_conversation_as_one_text(new_portal, upstream: Upstream):
    upstream.play("fake", *(stream(text_chunk(f" {text}"), text_chunk("", "stop"), DONE) for text in ("one", "two")))
    portal = new_portal()
    portal.change(lambda: Provider.objects.filter(enabled=True).update(dialect="completions"))
    socket = await portal.connect(await asyncio.to_thread(portal.login))
    first = await socket.prompt("Count on:")
    await socket.next("finished")
    second = await socket.ask("three", first["conversation"])
    assert [request.path for request in upstream.requests] == 2 * ["/v1/completions"]
    assert [request.body["prompt"] for request in upstream.requests] == ["Count on:", "Count on:\n\n one\n\nthree"]
    stored = portal.generation(second["generation"])
    assert (stored["content"], stored["usage_state"], stored["usage_source"]) == (" two", "completed", "counted")
    assert second["usage"]["prompt_tokens"] == stored["prompt_tokens"] == 6, "a text has no overhead of messages"


async def test_the_same_key_fifty_times_at_once_is_one_generation_and_one_request(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("once", Gate("end")))
    client = await asyncio.to_thread(portal.admin)
    sockets = [await portal.connect(client) for _ in range(5)]
    key = str(uuid.uuid4())
    command = {"key": key, "conversation": None, "text": "one bill"}
    await asyncio.gather(*(socket.command("send", **command) for socket in sockets for _ in range(10)))
    accepted = [await socket.next("accepted", key=key) for socket in sockets for _ in range(10)]
    assert sorted(frame["duplicate"] for frame in accepted) == [False] + 49 * [True]
    assert len({(frame["generation"], frame["conversation"], frame["assistant_message"]) for frame in accepted}) == 1
    upstream.open("end")
    generation = accepted[0]["generation"]
    for socket in sockets:
        await socket.next("finished", generation=generation)
        assert socket.texts[generation].text == "once"
    assert upstream.count(prompt="one bill") == 1
    late = await sockets[0].prompt("one bill", key=key)
    assert (late["duplicate"], late["state"]) == (True, "completed")
    await sockets[0].command("send", key=key, conversation=None, text="another text")
    refused = await sockets[0].next("refused")
    assert refused["code"] == "idempotency_mismatch"
    assert upstream.count() == 1
    assert len(portal.rows(Generation.objects.filter(key=key))) == 1


async def test_the_recorded_gilas_stream_is_counted_and_timed_as_the_upstream_saw_it(
    portal: Portal, upstream: Upstream, capsys
):
    name = "gilas_count100_stream"
    upstream.play("gpt-3.5-turbo", record(name))
    socket = await portal.connect()
    differences = []
    for _ in range(2):
        finished = await socket.ask(COUNT_PROMPT, model=model_id(socket, "gpt-3.5-turbo"))
        assert socket.texts[finished["generation"]].text == text(name)
        assert finished["seq"] == finished["timing"]["deltas"] == 299
        assert finished["usage"] == {
            "prompt_tokens": 36,
            "completion_tokens": 299,
            "total_tokens": 335,
            "source": "counted",
        }
        row = portal.generation(finished["generation"])
        assert (row["content"], row["completion_tokens"], row["deltas"]) == (text(name), 299, 299)
        request = upstream.requests[-1]
        assert request.body["messages"] == [{"role": "user", "content": COUNT_PROMPT}]
        await asyncio.to_thread(upstream.wait_for, lambda request=request: request.ended_at or request.closed_at)
        first_sent = request.sends[2][0] - request.received_at  # after the headers and the role chunk
        last_sent = request.sends[-1][0] - request.received_at
        timing = finished["timing"]
        differences.append((timing["ttft_ms"] - first_sent * 1000, timing["duration_ms"] - last_sent * 1000))
    with capsys.disabled():
        print(
            "\n    gilas: ttft and duration differ from the upstream's log by a median of "
            f"{statistics.median(a for a, _ in differences):.1f} and "
            f"{statistics.median(b for _, b in differences):.1f} ms"
        )


@pytest.mark.parametrize("with_usage", [True, False])
async def test_one_plus_one_counts_the_same_reported_or_counted(portal: Portal, upstream: Upstream, with_usage: bool):
    name = "gpt4omini_include_usage_stream" if with_usage else "gpt4omini_oneplusone_stream"
    assert index()[name]["prompt"] == ONE_PLUS_ONE
    upstream.play("gpt-4o-mini", record(name))
    socket = await portal.connect()
    finished = await socket.ask(ONE_PLUS_ONE, model=model_id(socket, "gpt-4o-mini"))
    assert socket.texts[finished["generation"]].text == "Two."
    assert finished["usage"] == {
        "prompt_tokens": 18,
        "completion_tokens": 2,
        "total_tokens": 20,
        "source": "reported" if with_usage else "counted",
    }
    row = portal.generation(finished["generation"])
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (
        18,
        2,
        "reported" if with_usage else "counted",
    )


async def test_reasoning_is_kept_apart_and_counts_as_a_first_token(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream(chunk(reasoning="hm, "), chunk(reasoning="so"), "Yes.", chunk(finish="stop"), DONE))
    socket = await portal.connect()
    finished = await socket.ask("think")
    got = socket.texts[finished["generation"]]
    assert (got.text, got.reasoning, got.seq) == ("Yes.", "hm, so", 3)
    assert finished["length"] == 4
    row = portal.generation(finished["generation"])
    assert (row["content"], row["reasoning"]) == ("Yes.", "hm, so")
    assert finished["usage"]["completion_tokens"] == 2 + finished["usage"]["reasoning_tokens"]


async def test_text_and_finish_reason_are_saved_when_finish_reason_arrives(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream("All of it", chunk(finish="length"), Gate("usage"), usage_chunk(3, 4), DONE))
    socket = await portal.connect()
    accepted = await socket.prompt("cut me")
    generation = accepted["generation"]
    await asyncio.to_thread(upstream.wait_for_gate, "usage")
    async with asyncio.timeout(1.5):
        while True:
            row = portal.generation(generation)
            segments = portal.rows(Segment.objects.filter(generation=generation).values_list("text", flat=True))
            if row["finish_reason"] and segments:
                break
            await asyncio.sleep(0.01)
    assert (row["finish_reason"], row["state"], segments) == ("length", "running", ["All of it"])
    assert row["ttft_ms"] is not None
    upstream.open("usage")
    finished = await socket.next("finished")
    assert (finished["state"], finished["finish_reason"]) == ("completed", "length")
    assert finished["usage"]["source"] == "reported"


async def test_a_long_delta_counts_as_several_and_every_number_agrees(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream("a" * 60_000, "é" * 50_000, "!", chunk(finish="stop"), DONE))
    socket = await portal.connect()
    finished = await socket.ask("hi")
    assert socket.texts[finished["generation"]].text == "a" * 60_000 + "é" * 50_000 + "!"
    row = portal.generation(finished["generation"])
    assert finished["seq"] == finished["timing"]["deltas"] == row["deltas"] == 1 + 4 + 1


async def test_turns_that_do_not_fit_are_left_out_and_it_is_said(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("word " * 60))
    socket = await portal.connect()
    first = await socket.prompt("one " * 60)
    await socket.next("finished")
    fake = LanguageModel.objects.filter(name="fake")
    portal.change(lambda: fake.update(context_window=120))
    try:
        second = await socket.prompt("two", first["conversation"])
        finished = await socket.next("finished", generation=second["generation"])
    finally:
        portal.change(lambda: fake.update(context_window=None))
    assert finished["state"] == "completed"
    assert [m["content"] for m in upstream.requests[-1].body["messages"]] == ["two"]
    said = [
        f["turns_left_out"]
        for f in socket.frames
        if f.get("generation") == second["generation"] and "turns_left_out" in f
    ]
    assert said and set(said) == {1}
    assert portal.generation(second["generation"])["turns_left_out"] == 1
