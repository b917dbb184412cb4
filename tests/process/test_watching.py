"""Every tab of a user hears what the others do; nobody else does."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

from chat.models import Conversation, UsageRecord
from tests.support.portal import Portal, Socket
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer


async def watching(portal: Portal, conversation: str | None, client: Any = None) -> Socket:
    """A tab that watches; its command has been taken when this returns."""
    socket = await portal.connect(client)
    await socket.command("watch", conversation=conversation)
    await taken(socket)
    return socket


async def taken(socket: Socket) -> None:
    """Commands are taken in order: the answer to this one comes after all before it."""
    await socket.command("follow", generation=str(uuid.uuid4()), after=0)
    await socket.next("error", code="not_found")


def of_type(socket: Socket, type: str) -> list[dict[str, Any]]:
    return [frame for frame in socket.frames if frame["type"] == type]


async def test_a_second_tab_hears_of_prompt_answer_and_end(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"), answer("two ", Gate("more"), "words"))
    first = await portal.connect()
    conversation = (await first.prompt("Start"))["conversation"]
    await first.next("finished")
    second = await watching(portal, conversation)

    accepted = await first.prompt("Go on", conversation)
    running = await second.next("conversation", deleted=False)
    prompt, reply = (await second.next("message"))["message"], (await second.next("message"))["message"]

    assert running["conversation"] | {"updated_at": "", "state": ""} == {
        "id": conversation,
        "title": "Start",
        "model": first.hello["models"][0]["id"],
        "pinned": False,
        "archived": False,
        "updated_at": "",
        "state": "",
        "unread": False,
    }
    assert (prompt["id"], prompt["role"], prompt["content"]) == (accepted["user_message"], "user", "Go on")
    assert "generation" not in prompt
    assert (reply["id"], reply["parent"]) == (accepted["assistant_message"], prompt["id"])
    assert reply["generation"] == accepted["generation"]
    await second.command("follow", generation=reply["generation"], after=0)
    await second.until(lambda frame: frame.get("text") == "two ")
    upstream.open("more")
    await second.next("finished", generation=accepted["generation"])
    assert second.texts[accepted["generation"]].text == "two words"
    ended = await second.until(
        lambda frame: frame["type"] == "conversation" and frame["conversation"]["state"] == "completed"
    )
    assert ended["conversation"]["unread"] is False  # it is open here


async def test_the_tab_that_asks_knows_its_messages_by_accepted_alone(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"), answer("two"))
    socket = await portal.connect()
    conversation = (await socket.prompt("Start"))["conversation"]
    await socket.next("finished")
    await socket.command("watch", conversation=conversation)
    await socket.ask("Go on", conversation)
    await socket.until(lambda frame: frame["type"] == "conversation" and frame["conversation"]["state"] == "completed")
    assert of_type(socket, "message") == []


async def test_with_null_only_the_list_is_told(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"))
    list_only = await watching(portal, None)
    silent = await portal.connect()
    socket = await portal.connect()
    accepted = await socket.prompt("A new one")
    await list_only.until(
        lambda frame: (
            frame["type"] == "conversation"
            and frame["conversation"]["id"] == accepted["conversation"]
            and frame["conversation"]["state"] == "completed"
            and frame["conversation"]["unread"] is True
        )
    )
    assert of_type(list_only, "message") == []
    await taken(silent)
    assert of_type(silent, "conversation") == []


async def test_opening_a_conversation_makes_its_answer_seen(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"))
    list_only = await watching(portal, None)
    socket = await portal.connect()
    conversation = (await socket.prompt("Look at me"))["conversation"]
    await list_only.until(lambda frame: frame["type"] == "conversation" and frame["conversation"]["unread"])
    await socket.command("watch", conversation=conversation)
    seen = await list_only.until(lambda frame: frame["type"] == "conversation" and not frame["conversation"]["unread"])
    assert seen["conversation"]["id"] == conversation


async def test_a_foreign_conversation_cannot_be_watched_and_nothing_of_it_is_heard(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"), answer("two"))
    await asyncio.to_thread(portal.add_user, "colleague", "a-colleagues-password-1")
    colleague = await asyncio.to_thread(portal.login, "colleague", "a-colleagues-password-1")
    owner = await portal.connect()
    conversation = (await owner.prompt("Mine"))["conversation"]
    await owner.next("finished")
    socket = await watching(portal, None, colleague)
    await socket.command("watch", conversation=conversation)
    refused = await socket.next("error")
    assert (refused["code"], refused["ref"]) == ("not_found", None)
    await owner.ask("Still mine", conversation)
    await taken(socket)
    assert of_type(socket, "message") == of_type(socket, "conversation") == []


async def test_what_the_page_changes_reaches_every_tab(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"))
    client = await asyncio.to_thread(portal.admin)
    socket = await portal.connect(client)
    conversation = (await socket.prompt("First words"))["conversation"]
    await socket.next("finished")
    tab = await watching(portal, conversation)

    changed = await asyncio.to_thread(
        portal.post, client, f"/chat/{conversation}/details/", title="A better title", pinned="on", stop="END\n\\n"
    )
    assert changed.status_code == 200
    assert changed.json() | {"seed": 1} == {
        "title": "A better title",
        "pinned": True,
        "system_prompt": "",
        "temperature": None,
        "max_tokens": None,
        "stop": ["END", "\n"],
        "seed": 1,
        "reasoning_effort": None,
    }
    told = await tab.until(lambda frame: frame["type"] == "conversation" and frame["conversation"]["pinned"])
    assert told["conversation"]["title"] == "A better title"

    gone = await asyncio.to_thread(portal.post, client, f"/chat/{conversation}/delete/")
    assert gone.status_code == 204
    deleted = await tab.next("conversation", deleted=True)
    assert deleted["conversation"] == {"id": conversation}
    assert (await asyncio.to_thread(client.get, f"/chat/{conversation}/")).status_code == 404
    await socket.command("send", key=str(uuid.uuid4()), conversation=conversation, text="Are you there?")
    assert (await socket.next("refused"))["code"] == "not_found"

    back = await asyncio.to_thread(portal.post, client, f"/chat/{conversation}/restore/")
    assert back.status_code == 204
    await tab.next("conversation", deleted=False)
    page = await asyncio.to_thread(client.get, f"/chat/{conversation}/")
    assert page.status_code == 200 and "A better title" in page.text


async def test_a_deleted_conversation_goes_for_good_with_its_running_answer_and_its_figures_stay(
    portal: Portal, upstream: Upstream
):
    upstream.play("fake", answer("this ", Gate("never"), "never ends"))
    client = await asyncio.to_thread(portal.admin)
    socket = await portal.connect(client)
    accepted = await socket.prompt("Delete me")
    await socket.until(lambda _: socket.texts[accepted["generation"]].text == "this ")
    await asyncio.to_thread(portal.post, client, f"/chat/{accepted['conversation']}/delete/")
    conversation = Conversation.objects.filter(pk=accepted["conversation"])
    portal.change(lambda: conversation.update(deleted_at=datetime(2020, 1, 1, tzinfo=UTC)))
    ended = await socket.next("finished")
    assert ended["state"] == "stopped"
    assert portal.rows(conversation) == []
    (record,) = portal.rows(UsageRecord.objects.order_by("-pk")[:1])
    assert record.generation_id is None and record.closed_at is not None
    assert (
        await asyncio.to_thread(portal.post, client, f"/chat/{accepted['conversation']}/restore/")
    ).status_code == 404


async def test_what_a_colleague_sends_to_ones_addresses_is_not_found(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"))
    await asyncio.to_thread(portal.add_user, "colleague", "a-colleagues-password-1")
    colleague = await asyncio.to_thread(portal.login, "colleague", "a-colleagues-password-1")
    owner = await portal.connect()
    conversation = (await owner.prompt("Mine"))["conversation"]
    await owner.next("finished")
    for path in ("details", "delete", "restore"):
        answered = await asyncio.to_thread(portal.post, colleague, f"/chat/{conversation}/{path}/", title="Yours")
        assert answered.status_code == 404
    assert (await asyncio.to_thread(colleague.get, f"/chat/{conversation}/details/")).status_code == 404
    (stored,) = portal.rows(Conversation.objects.filter(pk=conversation))
    assert (stored.title, stored.deleted_at) == ("Mine", None)


async def test_options_can_be_kept_before_the_first_prompt(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one"))
    client = await asyncio.to_thread(portal.admin)
    made = await asyncio.to_thread(portal.post, client, "/chat/")
    assert made.status_code == 201
    conversation = made.json()["id"]
    assert conversation not in (await asyncio.to_thread(client.get, "/chat/list/")).text
    changed = await asyncio.to_thread(
        portal.post, client, f"/chat/{conversation}/details/", system_prompt="Be brief.", temperature="0.2"
    )
    assert changed.status_code == 200
    socket = await portal.connect(client)
    await socket.ask("The first words", conversation)
    body = upstream.wait_for_requests(1, "fake")[-1].body
    assert body["temperature"] == 0.2
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    listed = (await asyncio.to_thread(client.get, "/chat/list/")).text
    assert "The first words" in listed


async def test_wrong_values_are_refused_in_words_and_change_nothing(portal: Portal, upstream: Upstream):
    client = await asyncio.to_thread(portal.admin)
    conversation = (await asyncio.to_thread(portal.post, client, "/chat/")).json()["id"]
    refused = await asyncio.to_thread(
        portal.post, client, f"/chat/{conversation}/details/", temperature="hot", seed="7"
    )
    assert refused.status_code == 400
    assert list(refused.json()["errors"]) == ["temperature"]
    kept = (await asyncio.to_thread(client.get, f"/chat/{conversation}/details/")).json()
    assert kept["seed"] is None
