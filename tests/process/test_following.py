"""Closing, reloading, a second tab: every character once."""

import asyncio
import random
import uuid

from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import At, Gate, answer

WORDS = [f"wört{number}\u2028 \U0001f469\r\n" for number in range(60)]


async def test_the_browser_closed_in_mid_answer_finds_the_whole_answer_later(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("first ", Gate("closed"), "second"))
    client = await asyncio.to_thread(portal.admin)
    socket = await portal.connect(client)
    generation = (await socket.prompt("hi"))["generation"]
    await socket.until(lambda frame: socket.texts[generation].text == "first ")
    await socket.close()
    upstream.open("closed")
    again = await portal.connect(client)
    await again.command("follow", generation=generation, after=0)
    finished = await again.next("finished")
    assert again.texts[generation].text == "first second"
    assert finished["state"] == "completed"
    assert portal.generation(generation)["content"] == "first second"


async def test_a_socket_cut_before_accepted_arrives_loses_nothing(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("whole"))
    client = await asyncio.to_thread(portal.admin)
    socket = await portal.connect(client)
    key = str(uuid.uuid4())
    await socket.command("send", key=key, conversation=None, text="gone at once")
    socket.connection.transport.abort()
    await asyncio.to_thread(upstream.wait_for_requests, 1)
    again = await portal.connect(client)
    accepted = await again.prompt("gone at once", key=key)
    assert accepted["duplicate"] is True
    await again.next("finished")
    assert again.texts[accepted["generation"]].text == "whole"
    assert upstream.count() == 1


async def test_after_a_reconnect_with_its_epoch_only_what_is_missing_comes(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("a", "b", Gate("more"), "c", Gate("end"), "d"))
    client = await asyncio.to_thread(portal.admin)
    socket = await portal.connect(client)
    generation = (await socket.prompt("hi"))["generation"]
    await socket.until(lambda frame: socket.texts[generation].seq == 2)
    epoch = socket.texts[generation].epoch
    await socket.close()
    upstream.open("more")
    await asyncio.to_thread(upstream.wait_for_gate, "end")
    again = await portal.connect(client)
    again.texts[generation] = socket.texts[generation]
    await again.command("follow", generation=generation, epoch=epoch, after=2)
    first = await again.next("delta")
    assert (first["prev"], first["seq"], first["text"]) == (2, 3, "c")
    assert not [frame for frame in again.frames if frame["type"] == "snapshot"]
    await again.command("follow", generation=generation, epoch="another", after=3)
    snapshot = await again.next("snapshot")
    assert (snapshot["text"], snapshot["seq"], snapshot["state"]) == ("abc", 3, "running")
    upstream.open("end")
    await again.next("finished")
    assert again.texts[generation].text == "abcd"


async def test_random_cuts_and_reloads_show_every_character_once(portal: Portal, upstream: Upstream):
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    upstream.play("fake", answer(*(step for n, word in enumerate(WORDS) for step in (At(n * 0.01), word))))
    client = await asyncio.to_thread(portal.admin)
    steady = await portal.connect(client)
    generation = (await steady.prompt("hi"))["generation"]
    following = asyncio.create_task(steady.next("finished", generation=generation))
    text, epoch, seq, cuts, finished = None, None, 0, 0, None
    while finished is None:
        socket = await portal.connect(client)
        if text is not None:
            socket.texts[generation] = text
        await socket.command("follow", generation=generation, epoch=epoch, after=seq)
        for _ in range(dice.randint(0, 12)):
            frame = await socket.frame()
            if frame["type"] == "finished":
                finished = frame
                break
        socket.connection.transport.abort()
        cuts += 1
        if generation in socket.texts and dice.random() > 0.3:
            text = socket.texts[generation]
            epoch, seq = text.epoch, text.seq or 0
        else:
            text, epoch, seq = None, None, 0  # reloaded: all state thrown away
    await following
    assert socket.texts[generation].text == "".join(WORDS), f"seed {seed}, {cuts} cuts"
    assert steady.texts[generation].text == "".join(WORDS)
    assert portal.generation(generation)["content"] == "".join(WORDS)


async def test_a_finished_answer_that_left_memory_comes_from_the_database(new_portal, upstream: Upstream):
    upstream.play("fake", answer("kept"))
    portal = new_portal()
    generation = (await (await portal.connect()).ask("hi"))["generation"]
    portal.kill()
    portal.start(setup=False)
    socket = await portal.connect()
    await socket.command("follow", generation=generation, after=0)
    finished = await socket.next("finished")
    snapshot = next(frame for frame in socket.frames if frame["type"] == "snapshot")
    assert (snapshot["epoch"], snapshot["text"], snapshot["state"]) == ("stored", "kept", "completed")
    assert finished["timing"]["deltas"] == 1
    await socket.command("follow", generation=generation, epoch="stored", after=snapshot["seq"])
    assert (await socket.frame())["type"] == "finished"


async def test_a_snapshot_of_an_answer_of_almost_2_mib_arrives(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer(*["é" * 2000] * 500, Gate("end"), "!"))
    client = await asyncio.to_thread(portal.admin)
    socket = await portal.connect(client)
    generation = (await socket.prompt("at length"))["generation"]
    await socket.until(lambda frame: socket.texts[generation].seq == 500)
    again = await portal.connect(client)
    await again.command("follow", generation=generation, after=0)
    snapshot = await again.next("snapshot")
    assert snapshot["text"] == "é" * 1_000_000
    upstream.open("end")
    await again.next("finished")
    assert again.texts[generation].text == "é" * 1_000_000 + "!"


async def test_following_what_is_not_there_or_not_mine_is_not_found(portal: Portal, upstream: Upstream):
    socket = await portal.connect()
    nobody = str(uuid.uuid4())
    await socket.command("follow", generation=nobody, after=0)
    error = await socket.next("error")
    assert (error["code"], error["ref"]) == ("not_found", nobody)
    assert error["message"]


async def test_unfollow_sends_no_more_and_the_answer_goes_on(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("a", Gate("go"), "b"))
    socket = await portal.connect()
    generation = (await socket.prompt("hi"))["generation"]
    await socket.until(lambda frame: socket.texts[generation].seq == 1)
    await socket.command("unfollow", generation=generation)
    await socket.command("hb")
    assert (await socket.next("hb"))["heads"] == {}
    upstream.open("go")
    await socket.command("follow", generation=generation, after=0)
    await socket.next("finished")
    assert socket.texts[generation].text == "ab"


async def test_a_heartbeat_names_the_head_of_each_followed_generation(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("a", "b", Gate("go"), "c"))
    socket = await portal.connect()
    generation = (await socket.prompt("hi"))["generation"]
    await socket.until(lambda frame: socket.texts[generation].seq == 2)
    await socket.command("hb")
    assert (await socket.next("hb"))["heads"] == {generation: 2}
    upstream.open("go")
    await socket.next("finished")
