"""kill -9: no accepted prompt is lost, what had arrived is there, what was queued is answered."""

import asyncio
import random
import time

import pytest

from chat.models import Message
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import At, answer

CHECKPOINT_SECONDS = 0.25
COMMIT_SECONDS = 0.25
"""One commit, generously: the machine may be busy with other tests."""


async def test_killed_in_mid_answer_the_text_is_there_and_interrupted_and_the_queued_one_is_answered(
    new_portal, upstream: Upstream
):
    steps = [step for n in range(400) for step in (At(n * 0.01), f"w{n} ")]
    upstream.play("fake", answer(*steps))
    portal: Portal = new_portal(PORTAL_USER_RUNNING="2")
    socket = await portal.connect()
    running = [(await socket.prompt(f"running {n}"))["generation"] for n in range(2)]
    queued = (await socket.prompt("queued one"))["generation"]
    await socket.until(lambda frame: all((socket.texts[one].seq or 0) >= 60 for one in running))
    portal.kill()
    killed_at = time.monotonic()
    assert portal.generation(running[0])["state"] == "running"
    assert upstream.count(prompt="queued one") == 0
    upstream.play("fake", answer("answered after all"))
    portal.start(setup=False)
    sent = {
        one: [
            f"w{n} "
            for n in range(400)
            if killed_at - upstream.matching(prompt=f"running {number}")[0].received_at
            >= n * 0.01 + CHECKPOINT_SECONDS + COMMIT_SECONDS
        ]
        for number, one in enumerate(running)
    }
    for one in running:
        row = portal.generation(one)
        assert (row["state"], row["error_code"], row["usage_state"]) == (
            "interrupted",
            "server_restarted",
            "interrupted",
        )
        whole = "".join(f"w{n} " for n in range(400))
        assert whole.startswith(row["content"])
        assert len(row["content"]) >= len("".join(sent[one])), "more than 250 ms and a commit is missing"
        assert (row["usage_source"], row["prompt_tokens"]) == ("counted", 10)
        assert row["ttft_ms"] is not None
    again = await portal.connect()
    await again.command("follow", generation=queued, after=0)
    finished = await again.next("finished", generation=queued)
    assert finished["state"] == "completed"
    assert again.texts[queued].text == "answered after all"
    await again.command("follow", generation=running[0], after=0)
    finished = await again.next("finished", generation=running[0])
    assert (finished["state"], finished["code"]) == ("interrupted", "server_restarted")
    assert finished["message"]
    assert upstream.count(prompt="running 0") == 1, "what may have been billed is never sent again by itself"


@pytest.mark.parametrize("point", ["after_accept_commit", "before_finish_commit", "after_finish_commit"])
async def test_killed_at_any_point_the_same_key_finds_its_one_answer(new_portal, upstream: Upstream, point: str):
    import uuid

    upstream.play("fake", answer("the answer"))
    portal: Portal = new_portal(DEBUG="1", PORTAL_FAILPOINT=point)
    socket = await portal.connect()
    key = str(uuid.uuid4())
    await socket.command("send", key=key, conversation=None, text="hi")
    assert await asyncio.to_thread(portal.wait) == -9
    portal.env.pop("PORTAL_FAILPOINT")
    portal.start(setup=False)
    again = await portal.connect()
    accepted = await again.prompt("hi", key=key)
    assert accepted["duplicate"] is True
    finished = await again.next("finished")
    assert again.texts[accepted["generation"]].text == portal.generation(accepted["generation"])["content"]
    expected = {
        "after_accept_commit": ("completed", "the answer"),
        "before_finish_commit": ("interrupted", None),
        "after_finish_commit": ("completed", "the answer"),
    }[point]
    assert finished["state"] == expected[0]
    if expected[1]:
        assert again.texts[accepted["generation"]].text == expected[1]
    assert upstream.count() == 1


async def test_no_accepted_prompt_is_lost_over_several_kills(new_portal, upstream: Upstream, capsys):
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    steps = [step for n in range(30) for step in (At(n * 0.01), f"w{n} ")]
    upstream.play("fake", answer(*steps))
    portal: Portal = new_portal(PORTAL_USER_RUNNING="0", PORTAL_USER_QUEUED="0")
    client = await asyncio.to_thread(portal.admin)
    prompts: dict[str, str] = {}
    for cycle in range(4):
        socket = await portal.connect(client)
        for number in range(15):
            text = f"cycle {cycle} number {number} \U0001f469"
            prompts[(await socket.prompt(text))["generation"]] = text
        await asyncio.sleep(dice.random() * 0.4)  # a random moment of the answers
        await asyncio.to_thread(portal.kill)
        await asyncio.to_thread(portal.start, False)
    rows = {generation: portal.generation(generation) for generation in prompts}
    until = time.monotonic() + 10
    while any(row["state"] in ("queued", "running") for row in rows.values()):
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
        rows = {generation: portal.generation(generation) for generation in prompts}
    whole = "".join(f"w{n} " for n in range(30))
    for generation, row in rows.items():
        assert row["closed_at"], f"seed {seed}"
        assert whole.startswith(row["content"])
        parent = Message.objects.filter(pk=row["message_id"]).values_list("parent__content", flat=True)
        assert portal.rows(parent) == [prompts[generation]]
    states = [row["state"] for row in rows.values()]
    with capsys.disabled():
        print(f"\n    4 kills, {len(rows)} accepted prompts: { {one: states.count(one) for one in set(states)} }")
