"""What an answer costs: told at its end, kept in the ledger at the prices that held when it was asked."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from chat.models import LanguageModel, Price, Segment, UsageRecord
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer, error


def set_price(portal: Portal, prompt: str, completion: str, currency: str = "USD") -> None:
    def add() -> None:
        for model in LanguageModel.objects.all():
            Price.objects.create(model=model, prompt=Decimal(prompt), completion=Decimal(completion), currency=currency)

    portal.change(add)


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
    records = portal.rows(UsageRecord.objects.order_by("pk"))
    assert [record.cost for record in records] == [None, Decimal("0.0035"), Decimal("0.0011")]
    assert [record.currency for record in records] == ["", "USD", "EUR"]
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
    while not portal.rows(Segment.objects.all()):
        await asyncio.sleep(0.02)
    portal.kill()
    await asyncio.to_thread(portal.start, False)
    (record,) = portal.rows(UsageRecord.objects.filter(state="interrupted"))
    assert record.cost and record.total_tokens == record.cost > 0
    portal.check_invariants()
