"""What an answer costs: told at its end, kept in the ledger at the prices that held when it was asked."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer, error

LEDGER = "select prompt_price, completion_price, cached_price, currency, cost, state from chat_usagerecord order by id"


def set_price(portal: Portal, prompt: str, completion: str, currency: str = "USD") -> None:
    portal.execute(
        "insert into chat_price (model_id, prompt, completion, currency, valid_from)"
        " select id, ?, ?, ?, strftime('%Y-%m-%d %H:%M:%f', 'now') from chat_languagemodel",
        prompt, completion, currency,
    )  # fmt: skip


async def test_the_end_tells_the_cost_and_a_new_price_leaves_it_as_it_was(new_portal, upstream: Upstream):
    upstream.play("fake", answer("one", usage=(1000, 100)), answer("two", usage=(1000, 100)))
    portal: Portal = new_portal()
    socket = await portal.connect()
    free = (await socket.ask("without a price"))["usage"]
    assert "cost" not in free and "currency" not in free

    set_price(portal, "2.5", "10")
    first = await socket.ask("at this price")
    assert (first["usage"]["cost"], first["usage"]["currency"]) == ("0.0035", "USD")
    set_price(portal, "1", "1", "EUR")
    second = await socket.ask("at that price")
    assert (second["usage"]["cost"], second["usage"]["currency"]) == ("0.0011", "EUR")

    await socket.command("follow", generation=first["generation"], after=0)
    assert (await socket.next("finished", generation=first["generation"]))["usage"] == first["usage"]
    rows = portal.rows(LEDGER)
    assert [row["cost"] and Decimal(str(row["cost"])) for row in rows] == [None, Decimal("0.0035"), Decimal("0.0011")]
    assert [row["currency"] for row in rows] == ["", "USD", "EUR"]
    portal.check_invariants()


async def test_what_was_stopped_failed_or_killed_has_its_cost_too(new_portal, upstream: Upstream):
    upstream.play("fake", answer("some text ", Gate("never")), error(400, "no"), answer("kept text ", Gate("never")))
    portal: Portal = new_portal()
    set_price(portal, "1000000", "1000000")  # a token, a dollar
    socket = await portal.connect()
    running = (await socket.prompt("stopped"))["generation"]
    await socket.next("delta")
    await socket.command("stop", generation=running)
    stopped = await socket.next("finished", generation=running)
    assert stopped["usage"]["cost"] == str(stopped["usage"]["total_tokens"]) != "0"
    assert (await socket.ask("failed"))["usage"]["cost"] == "0"

    killed = (await socket.prompt("killed"))["generation"]
    await socket.next("delta", generation=killed)
    while not portal.rows("select 1 from chat_segment"):
        await asyncio.sleep(0.02)
    portal.kill()
    await asyncio.to_thread(portal.start, False)
    row = portal.rows("select total_tokens, cost from chat_usagerecord where state = 'interrupted'")[0]
    assert row["total_tokens"] == row["cost"] > 0
    portal.check_invariants()
