"""An answer that was cut goes on: a sibling that begins with its text, through kills, stops and restarts."""

from __future__ import annotations

import asyncio
import hashlib
import uuid

import pytest

from chat.models import Provider, Segment, UsageRecord
from chat.prompt import GO_ON
from tests.support.portal import Portal, Socket
from tests.support.upstream import Upstream
from tests.support.upstream.script import Fin, Gate, answer, chunk, stream, usage_chunk

CUT = stream("Once upon ", "a ti", chunk(finish="length"), usage_chunk(9, 4), b"data: [DONE]\n\n")


async def go_on(socket: Socket, message: str, key: str | None = None) -> dict:
    key = key or str(uuid.uuid4())
    await socket.command("continue", key=key, message=message)
    return await socket.until(lambda frame: frame.get("key") == key)


async def stored(portal: Portal, generation: str) -> None:
    """Until a checkpoint holds some of it."""
    async with asyncio.timeout(10):
        while not portal.rows(Segment.objects.filter(generation=uuid.UUID(generation))):
            await asyncio.sleep(0.02)


async def test_an_answer_cut_at_its_limit_goes_on_with_its_text_as_the_beginning(portal: Portal, upstream: Upstream):
    upstream.play("fake", CUT, answer("me ", "there was.", usage=(20, 3)), answer("Next."))
    socket = await portal.connect()
    first = await socket.prompt("A tale.", options={"max_tokens": 4, "seed": 7})
    finished = await socket.next("finished")
    assert (finished["state"], finished["finish_reason"], finished["code"]) == ("completed", "length", None)
    assert finished["message"] == "Cut at the limit of 4 tokens."

    second = await go_on(socket, first["assistant_message"])
    assert second["user_message"] == first["user_message"]
    assert second["assistant_message"] != first["assistant_message"]
    snapshot = await socket.next("snapshot", generation=second["generation"])
    assert (snapshot["seq"], snapshot["text"]) == (0, "Once upon a ti")
    finished = await socket.next("finished", generation=second["generation"])
    whole = "Once upon a time there was."
    assert socket.texts[second["generation"]].text == whole
    assert (finished["seq"], finished["length"]) == (2, len(whole))
    assert finished["sha256"] == hashlib.sha256(whole.encode()).hexdigest()
    assert finished["usage"]["completion_tokens"] == 3
    assert "message" not in finished
    assert upstream.requests[-1].body["messages"] == [
        {"role": "user", "content": "A tale."},
        {"role": "assistant", "content": "Once upon a ti"},
        {"role": "user", "content": GO_ON},
    ]
    assert (upstream.requests[-1].body["max_tokens"], upstream.requests[-1].body["seed"]) == (4, 7)

    row = portal.generation(second["generation"])
    assert (row["content"], row["kept_characters"], row["deltas"]) == (whole, 14, 2)
    (record,) = portal.rows(UsageRecord.objects.filter(generation=second["generation"]))
    assert record.characters == len("me there was.")
    assert portal.generation(first["generation"])["content"] == "Once upon a ti"

    other = await portal.connect()
    await other.command("follow", generation=second["generation"], after=0)
    again = await other.next("finished", generation=second["generation"])
    assert (again["length"], again["timing"], again["sha256"]) == (
        finished["length"],
        finished["timing"],
        finished["sha256"],
    )

    await socket.ask("And then?", first["conversation"])
    assert [message["content"] for message in upstream.requests[-1].body["messages"]] == ["A tale.", whole, "And then?"]


async def test_a_failed_answer_is_sent_as_context_when_it_is_continued(portal: Portal, upstream: Upstream):
    upstream.play("fake", (*stream("Half", whole=False), Fin()), answer(" of it."))
    socket = await portal.connect()
    first = await socket.prompt("hi")
    assert (await socket.next("finished"))["code"] == "upstream_cut"
    second = await go_on(socket, first["assistant_message"])
    await socket.next("finished", generation=second["generation"])
    assert socket.texts[second["generation"]].text == "Half of it."
    assert upstream.requests[-1].body["messages"][1] == {"role": "assistant", "content": "Half"}


async def test_an_answer_that_fails_while_it_goes_on_keeps_both_parts(portal: Portal, upstream: Upstream):
    upstream.play("fake", CUT, (*stream("me", whole=False), Fin()), answer(" flies."))
    socket = await portal.connect()
    first = await socket.prompt("A tale.")
    await socket.next("finished")
    second = await go_on(socket, first["assistant_message"])
    finished = await socket.next("finished", generation=second["generation"])
    assert (finished["state"], finished["usage"]["source"]) == ("failed", "counted")
    assert finished["usage"]["completion_tokens"] == 1, "what was there before is not counted again"
    assert portal.generation(second["generation"])["content"] == "Once upon a time"
    third = await go_on(socket, second["assistant_message"])
    await socket.next("finished", generation=third["generation"])
    assert socket.texts[third["generation"]].text == "Once upon a time flies."


async def test_the_same_key_continues_once(portal: Portal, upstream: Upstream):
    upstream.play("fake", CUT, answer("me"))
    socket = await portal.connect()
    first = await socket.prompt("A tale.")
    await socket.next("finished")
    key = str(uuid.uuid4())
    second = await go_on(socket, first["assistant_message"], key)
    await socket.next("finished", generation=second["generation"])
    again = await go_on(socket, first["assistant_message"], key)
    assert (again["duplicate"], again["generation"]) == (True, second["generation"])
    assert (await go_on(socket, second["assistant_message"], key))["code"] == "idempotency_mismatch"
    assert upstream.count() == 2


async def test_what_cannot_be_continued_is_refused(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("on", Gate("go"), "e"))
    socket = await portal.connect()
    first = await socket.prompt("hi")
    await socket.until(lambda frame: frame["type"] == "delta")
    assert (await go_on(socket, first["assistant_message"]))["code"] == "busy_try_again"
    upstream.open("go")
    await socket.next("finished")
    assert (await go_on(socket, first["user_message"]))["code"] == "not_found"
    assert (await go_on(socket, str(uuid.uuid4())))["code"] == "not_found"
    portal.add_user("colleague", "a-colleagues-password-1")
    colleague = await portal.connect(portal.login("colleague", "a-colleagues-password-1"))
    assert (await go_on(colleague, first["assistant_message"]))["code"] == "not_found"
    assert upstream.count() == 1


async def test_in_a_deleted_conversation_nothing_goes_on(portal: Portal, upstream: Upstream):
    upstream.play("fake", CUT, answer("me"))
    socket = await portal.connect()
    first = await socket.prompt("A tale.")
    await socket.next("finished")
    client = await asyncio.to_thread(portal.admin)
    await asyncio.to_thread(portal.post, client, f"/chat/{first['conversation']}/delete/")
    assert (await go_on(socket, first["assistant_message"]))["code"] == "not_found"
    assert upstream.count() == 1
    await asyncio.to_thread(portal.post, client, f"/chat/{first['conversation']}/restore/")
    second = await go_on(socket, first["assistant_message"])
    await socket.next("finished", generation=second["generation"])


async def test_an_answer_without_text_begins_anew(portal: Portal, upstream: Upstream):
    upstream.play("fake", stream(chunk(finish="length"), b"data: [DONE]\n\n"), answer("Now."))
    socket = await portal.connect()
    first = await socket.prompt("hi")
    await socket.next("finished")
    second = await go_on(socket, first["assistant_message"])
    await socket.next("finished", generation=second["generation"])
    assert socket.texts[second["generation"]].text == "Now."
    assert upstream.requests[-1].body["messages"] == [{"role": "user", "content": "hi"}]


async def test_stopped_before_its_turn_it_still_has_the_text_it_began_with(new_portal, upstream: Upstream):
    portal = new_portal(PORTAL_USER_RUNNING="1")
    cut = stream(chunk(reasoning="A tale, then."), "Once upon a ti", chunk(finish="length"), b"data: [DONE]\n\n")
    upstream.play("fake", cut, answer("Slow", Gate("go"), "."))
    socket = await portal.connect()
    first = await socket.prompt("A tale.")
    await socket.next("finished")
    await socket.prompt("Something else.")
    second = await go_on(socket, first["assistant_message"])
    assert second["state"] == "queued"
    await socket.command("stop", generation=second["generation"])
    finished = await socket.next("finished", generation=second["generation"])
    assert (finished["state"], finished["length"]) == ("stopped", 14)
    row = portal.generation(second["generation"])
    assert (row["content"], row["reasoning"]) == ("Once upon a ti", "A tale, then.")
    upstream.open("go")


@pytest.mark.parametrize("queued", [True, False], ids=["queued", "running"])
async def test_a_kill_takes_nothing_of_what_was_there_before(new_portal, upstream: Upstream, queued):
    portal = new_portal(PORTAL_USER_RUNNING="1")
    upstream.play("fake", CUT, answer("me", Gate("never"), "."), answer("me."))
    socket = await portal.connect()
    first = await socket.prompt("A tale.")
    await socket.next("finished")
    if queued:
        other = await socket.prompt("Something else.")
        await socket.next("delta", generation=other["generation"])
    second = await go_on(socket, first["assistant_message"])
    if not queued:
        await socket.next("delta", generation=second["generation"])
        await stored(portal, second["generation"])
    portal.kill()
    portal.start(setup=False)
    socket = await portal.connect()
    await socket.command("follow", generation=second["generation"], after=0)
    finished = await socket.next("finished", generation=second["generation"])
    expected = ("completed", "Once upon a time.") if queued else ("interrupted", "Once upon a time")
    assert (finished["state"], socket.texts[second["generation"]].text) == expected
    assert portal.generation(second["generation"])["content"] == expected[1]
    portal.check_invariants()


@pytest.mark.parametrize(
    ("setting", "sent"),
    [
        ({"continuation": "prefill"}, [("user", "A tale."), ("assistant", "Once upon a ti")]),
        ({"dialect": "completions"}, "A tale.Once upon a ti"),
    ],
)
async def test_where_upstream_takes_up_the_last_message_nothing_is_added(
    portal: Portal, upstream: Upstream, setting, sent
):
    upstream.play("fake", CUT, answer("me"))
    socket = await portal.connect()
    first = await socket.prompt("A tale.")
    await socket.next("finished")
    before = portal.rows(Provider.objects.values("continuation", "dialect"))[0]
    portal.change(lambda: Provider.objects.update(**setting))
    try:
        second = await go_on(socket, first["assistant_message"])
        await socket.next("finished", generation=second["generation"])
    finally:
        portal.change(lambda: Provider.objects.update(**before))
    body = upstream.requests[-1].body
    if isinstance(sent, str):
        assert body["prompt"] == sent
    else:
        assert [(message["role"], message["content"]) for message in body["messages"]] == sent
