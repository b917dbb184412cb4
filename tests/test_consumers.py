"""The socket's door by itself: what it does when the other side does not read, or asks twice."""

import asyncio
import uuid

from chat import protocol
from chat.consumers import ChatConsumer
from chat.portal import SCOPE_KEY, Portal


def consumer_of(runner=None):
    """A consumer whose portal has this runner; None = nobody asks it anything."""
    consumer = ChatConsumer()
    consumer.portal = Portal(runner)
    consumer.language = "en"
    return consumer


async def test_a_browser_that_does_not_read_is_told_4013_and_gets_nothing_more():
    consumer = consumer_of()
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
    consumer = consumer_of()
    task = consumer.tasks.start(asyncio.sleep(100), "sleep")

    async def receive():
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message):
        raise AssertionError(message)

    await consumer({"type": "websocket", SCOPE_KEY: consumer.portal}, receive, send)
    assert task.cancelled()


class Followed:
    """A runner with one answer that never ends; `made` counts the frames that were taken from it."""

    def __init__(self):
        self.made = self.open = 0

    async def follow(self, user_id, generation, epoch, after):
        self.open += 1
        try:
            while True:
                self.made += 1
                yield protocol.Delta(str(generation), 0, 1, text="x")
                await asyncio.sleep(0)
        finally:
            self.open -= 1


def door_to(runner, room):
    consumer = consumer_of(runner)
    consumer.user = {"id": 1, "name": "owner"}
    consumer.scope = {"portal.room": room}

    async def send(message):
        await asyncio.sleep(0)

    consumer.base_send = send
    return consumer


async def turn_the_loop(times=20):
    for _ in range(times):
        await asyncio.sleep(0)


async def test_a_frame_is_made_when_there_is_room_for_it():
    runner, places = Followed(), asyncio.Semaphore(0)
    consumer = door_to(runner, places.acquire)
    consumer.follow(uuid.uuid4(), None, 0)
    for room in range(4):
        await turn_the_loop()
        assert runner.made == room
        places.release()
    await consumer.tasks.close()


async def test_a_new_following_takes_the_place_of_the_old():
    async def room():
        """There is always room."""

    runner = Followed()
    consumer = door_to(runner, room)
    generation = uuid.uuid4()
    for _ in range(3):
        consumer.follow(generation, None, 0)
        await turn_the_loop()
        assert (runner.open, len(consumer.followings), len(consumer.tasks)) == (1, 1, 1)
    consumer.unfollow(generation)
    await turn_the_loop()
    assert (runner.open, len(consumer.tasks)) == (0, 0)
