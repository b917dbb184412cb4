"""The socket's door by itself: what it does when the other side does not read."""

import asyncio
from collections import Counter

from chat import protocol
from chat.consumers import ChatConsumer


class NoRunner:
    """Nobody asks it anything here."""


async def test_a_browser_that_does_not_read_is_told_4013_and_gets_nothing_more():
    consumer = ChatConsumer(NoRunner(), Counter())  # type: ignore[arg-type]
    sent = []

    async def send(message):
        if message["type"] == "websocket.send":
            raise TimeoutError
        sent.append(message)

    consumer.base_send = send
    await consumer.emit(protocol.HeartbeatReply({}))
    await consumer.emit(protocol.HeartbeatReply({}))
    assert sent == [{"type": "websocket.close", "code": 4013}]
    assert type(sent[0]["code"]) is int, "autobahn takes no other"


async def test_tasks_of_a_socket_end_with_it():
    consumer = ChatConsumer(NoRunner(), Counter())  # type: ignore[arg-type]
    task = consumer.own(asyncio.sleep(100))

    async def receive():
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message):
        raise AssertionError(message)

    await consumer({"type": "websocket"}, receive, send)
    assert task.cancelled()
