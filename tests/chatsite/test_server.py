"""The gate before a socket that does not read, and what Daphne leaves to us."""

import asyncio

import pytest

from chatsite import server
from chatsite.server import Gate, PortalServer


async def test_an_open_gate_lets_everybody_through_at_once():
    async with asyncio.timeout(1):
        await Gate().room()


async def test_a_closed_gate_holds_back_until_there_is_room():
    gate = Gate()
    gate.pauseProducing()
    waiting = [asyncio.create_task(gate.room()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    gate.resumeProducing()
    async with asyncio.timeout(1):
        await asyncio.gather(*waiting)


async def test_who_is_let_through_and_fills_the_buffer_stops_those_behind():
    gate = Gate()
    gate.pauseProducing()
    passed = []

    async def write(number):
        await gate.room()
        passed.append(number)
        gate.pauseProducing()  # its frame filled the buffer again

    writing = [asyncio.create_task(write(number)) for number in range(3)]
    for expected in (1, 2, 3):
        await asyncio.sleep(0.01)
        gate.resumeProducing()
        await asyncio.sleep(0.01)
        assert len(passed) == expected
    await asyncio.gather(*writing)


async def test_the_limit_counts_from_the_moment_the_gate_closed_whoever_waits(monkeypatch):
    monkeypatch.setattr(server, "SLOW_SECONDS", 0.05)
    gate = Gate()
    gate.pauseProducing()
    first = asyncio.create_task(gate.room())
    await asyncio.sleep(0.03)
    first.cancel()  # replaced by another following
    gate.pauseProducing()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.045):
            await gate.room()
    with pytest.raises(TimeoutError):
        await gate.room()


async def test_a_lost_connection_lets_everybody_go_on():
    gate = Gate()
    gate.pauseProducing()
    waiting = asyncio.create_task(gate.room())
    gate.stopProducing()
    async with asyncio.timeout(1):
        await waiting


async def test_a_refused_handshake_may_be_cleared_up_before_its_connection_is_gone():
    portal_server = PortalServer(
        None, host="127.0.0.1", port=0, started=asyncio.Event, drain=asyncio.Event, hurry=int, close=asyncio.Event
    )
    portal_server.connections = {}  # made when it runs
    refused = object()
    portal_server.protocol_connected(refused)
    portal_server.protocol_disconnected(refused)  # when the application refuses
    assert "disconnected" in portal_server.connections.pop(refused)  # as its checker does, each second
    portal_server.protocol_disconnected(refused)  # when the line is cut
