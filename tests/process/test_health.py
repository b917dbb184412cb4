"""A provider that is down: marked for everybody, tried again by itself, and in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat.models import Provider
from tests.support.portal import Portal, Socket, free_port
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer, error

PROBE_SECONDS = 20


def models_of(socket: Socket) -> dict[str, dict[str, Any]]:
    return {model["label"]: model for model in socket.hello["models"]}


@pytest.mark.slow
async def test_a_provider_that_is_down_is_marked_and_disturbs_nobody_until_it_is_back(
    new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    portal = new_portal(DJANGO_SETTINGS_MODULE="tests.support.quick_settings")
    port = free_port()
    portal.add_provider("shaky", f"http://127.0.0.1:{port}/v1", max_retries=0)
    socket = await portal.connect()
    assert all("stats" not in model for model in models_of(socket).values())
    shaky = models_of(socket)["shaky"]["id"]

    # Two failures are bad luck, three are a mark; who asks all the same gets an answer, or its reason.
    upstream.play("fake", answer("a ", Gate("end"), "b"), answer("and on"))
    running = await socket.prompt("meanwhile")
    for number in range(4):
        finished = await socket.ask(f"hi {number}", model=shaky)
        assert (finished["state"], finished["code"]) == ("failed", "upstream_unreachable")
        other = await portal.connect()
        marked = {label for label, model in models_of(other).items() if model.get("stats", {}).get("failing")}
        assert marked == ({"shaky"} if number >= 2 else set())
        if marked:
            assert models_of(other)["shaky"]["note"] == "not answering now"
        await other.close()
    upstream.open("end")
    assert (await socket.next("finished", generation=running["generation"]))["state"] == "completed"

    # A tab that was open before hears of it with its next heartbeat.
    await socket.command("hb")
    told = await socket.next("hb")
    assert [model["label"] for model in told["models"] if model.get("note") == "not answering now"] == ["shaky"]
    await socket.command("hb")
    assert "models" not in await socket.next("hb")

    # The other provider's answers come as they did. How fast pages are is measured: `./run.py bench outage`.
    assert (await socket.ask("and now?"))["state"] == "completed"
    page = (await asyncio.to_thread(portal.admin().get, "/chat/")).text
    assert page.count("not answering now") == 1
    listed = (await asyncio.to_thread(portal.admin().get, "/admin/chat/provider/")).text
    assert listed.count("not answering since ") == 1

    # It comes back, and nobody has to ask it anything.
    with Upstream.start(port=port) as back:
        back.play("GET /v1/models", error(404))
        back.wait_for(lambda: any(one.method == "GET" for one in back.requests), PROBE_SECONDS)
        told = {}
        while "models" not in told:
            await asyncio.sleep(0.2)
            await socket.command("hb")
            told = await socket.next("hb")
        assert not any(model.get("stats", {}).get("failing") for model in told["models"])
        assert all(one.method == "GET" for one in back.requests)


async def test_an_answer_takes_the_mark_away_at_once(new_portal: Callable[..., Portal], upstream: Upstream) -> None:
    portal = new_portal()
    portal.change(lambda: Provider.objects.update(max_retries=0))
    upstream.play("fake", error(503), error(503), error(503), answer("back again"))
    socket = await portal.connect()
    for number in range(3):
        assert (await socket.ask(f"hi {number}"))["code"] == "upstream_overloaded"
    marked = await portal.connect()
    assert {model["note"] for model in marked.hello["models"]} == {"not answering now"}  # all that it offers
    assert (await socket.ask("please"))["state"] == "completed"
    fresh = await portal.connect()
    assert not any(model.get("stats", {}).get("failing") for model in fresh.hello["models"])
