"""The database locked, or a row gone under a running answer: streams go on, nothing is lost."""

import asyncio
import time

from chat.models import Message, UsageRecord
from tests.support.locking import locked
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import At, Gate, answer

LOCKED_SECONDS = 2.0


async def test_a_locked_database_holds_up_no_delta_and_loses_nothing(new_portal, upstream: Upstream, capsys):
    words = [f"w{n} " for n in range(250)]
    upstream.play("fake", answer(*(step for n, word in enumerate(words) for step in (At(n * 0.01), word))))
    portal: Portal = new_portal(PORTAL_USER_RUNNING="0")
    socket = await portal.connect()
    running = [(await socket.prompt(f"number {n}"))["generation"] for n in range(5)]
    await socket.until(lambda frame: all((socket.texts[one].seq or 0) >= 5 for one in running))
    gaps, last, until = [], time.monotonic(), time.monotonic() + LOCKED_SECONDS
    with locked(portal):
        while time.monotonic() < until:
            if (await socket.frame())["type"] == "delta":
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
    for _ in running:
        await socket.next("finished")
    assert all(socket.texts[one].text == "".join(words) for one in running)
    assert all(portal.generation(one)["content"] == "".join(words) for one in running)
    assert len(gaps) > 100, "deltas go on while nothing can be stored"
    with capsys.disabled():
        print(f"\n    locked for {LOCKED_SECONDS:g} s: longest gap between deltas {max(gaps) * 1000:.0f} ms")


async def test_a_prompt_sent_while_the_database_is_locked_is_accepted_once_it_is_free(new_portal, upstream: Upstream):
    upstream.play("fake", answer("late but here"))
    portal: Portal = new_portal()
    client = await asyncio.to_thread(portal.login)
    socket = await portal.connect(client)
    with locked(portal):
        asking = asyncio.create_task(socket.ask("hi"))
        await asyncio.sleep(1)
        assert upstream.count() == 0
    finished = await asking
    assert socket.texts[finished["generation"]].text == "late but here"


async def test_a_person_deleted_under_a_running_answer_ends_it_and_keeps_the_figures(new_portal, upstream: Upstream):
    upstream.play("fake", answer("some ", Gate("never"), "more"))
    portal: Portal = new_portal()
    client = await asyncio.to_thread(portal.login)
    password = "a-colleagues-password-1"
    colleague = await asyncio.to_thread(portal.add_user, "colleague", password)
    socket = await portal.connect(await asyncio.to_thread(portal.login, "colleague", password))
    await socket.prompt("hi")
    await socket.next("delta")
    request = upstream.requests[-1]
    page = client.get("/chat/").text
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    deleted = client.post(
        f"/admin/chat/user/{colleague}/delete/",
        data={"csrfmiddlewaretoken": token, "post": "yes"},
        headers={"Referer": portal.url + "/admin/"},
    )
    assert deleted.status_code == 302, deleted.text
    await asyncio.to_thread(upstream.wait_for_close, request)
    async with asyncio.timeout(5):
        while True:
            (record,) = portal.rows(UsageRecord.objects.all())
            if record.closed_at:
                break
            await asyncio.sleep(0.02)
    assert (record.state, record.user_name) == ("stopped", "colleague")
    assert portal.rows(Message.objects.all()) == []
    assert await asyncio.to_thread(portal.login)
