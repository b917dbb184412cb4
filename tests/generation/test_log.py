"""The log and its followers: no gap, nothing twice, whatever the pace."""

import asyncio
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.generation.events import AnswerEnded, StatusChanged
from chat.generation.log import Log
from chat.ledger import Usage
from chat.protocol import DELTA_BYTES, Delta, Snapshot
from chat.timing import Timing

GENERATION = uuid.UUID(int=7)


def new_log():
    return Log(GENERATION, owner_id=1, epoch="boot")


def the_end(log):
    return AnswerEnded(GENERATION, log.seq, "completed", "stop", Usage(), Timing(), 0, "", 0)


async def frames_of(log, epoch=None, after=0):
    return [frame async for frame in log.follow(epoch, after)]


async def one_after_another(log, iterator, count):
    return [await anext(iterator) for _ in range(count)]


async def test_a_following_without_an_epoch_begins_with_a_snapshot_and_the_present_status():
    log = new_log()
    log.append("Hel", "")
    log.append("lo", "hm")
    following = log.follow(None, 0)
    snapshot, status = await one_after_another(log, following, 2)
    assert snapshot == Snapshot(str(GENERATION), "boot", 2, "Hello", "hm", "queued")
    assert isinstance(status, StatusChanged)
    await following.aclose()


@pytest.mark.parametrize(
    ("epoch", "after", "first"),
    [
        ("boot", 0, Delta),
        ("boot", 1, Delta),
        ("boot", 2, AnswerEnded),
        ("boot", 3, Snapshot),
        ("another", 1, Snapshot),
        ("stored", 2, Snapshot),
        (None, 0, Snapshot),
        (None, 2, Snapshot),
    ],
)
async def test_only_the_current_epoch_with_a_place_in_the_log_goes_on_without_a_snapshot(epoch, after, first):
    log = new_log()
    log.append("a", "")
    log.append("b", "")
    log.end(the_end(log))
    frames = await frames_of(log, epoch, after)
    assert isinstance(frames[0], first)
    assert isinstance(frames[-1], AnswerEnded)
    if first is Delta:
        assert (frames[0].prev, frames[0].seq, frames[0].text) == (after, 2, "ab"[after:])


async def test_what_comes_while_a_snapshot_is_sent_follows_it():
    log = new_log()
    log.append("a", "")
    following = log.follow(None, 0)
    snapshot = await anext(following)
    log.append("b", "")
    _, delta = await one_after_another(log, following, 2)
    assert (snapshot.seq, snapshot.text) == (1, "a")
    assert (delta.prev, delta.seq, delta.text) == (1, 2, "b")
    await following.aclose()


async def test_what_comes_while_a_follower_is_away_comes_in_one_delta():
    log = new_log()
    following = log.follow("boot", 0)
    assert isinstance(await anext(following), StatusChanged)
    for letter in "abc":
        log.append(letter, "")
    delta = await anext(following)
    assert (delta.prev, delta.seq, delta.text) == (0, 3, "abc")
    await following.aclose()


async def test_a_follower_that_waits_gets_each_delta_by_itself():
    log = new_log()
    got = []

    async def read():
        async for frame in log.follow("boot", 0):
            if isinstance(frame, Delta):
                got.append(frame.text)

    reading = asyncio.create_task(read())
    for letter in "abc":
        await asyncio.sleep(0)
        log.append(letter, "")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    log.end(the_end(log))
    await reading
    assert got == ["a", "b", "c"]


async def test_a_status_is_told_once_and_not_after_the_end():
    log = new_log()
    log.end(the_end(log))
    assert [type(frame) for frame in await frames_of(log)] == [Snapshot, AnswerEnded]


async def test_a_follower_that_leaves_is_forgotten():
    log = new_log()
    following = log.follow(None, 0)
    await anext(following)
    assert log.followers == 1
    await following.aclose()
    assert log.followers == 0


def test_no_delta_frame_carries_more_than_64_kib():
    log = new_log()
    log.append("é" * 100_000, "r" * 70_000)
    place, text, reasoning = 0, "", ""
    while place < log.seq:
        delta = log.since(place)
        assert delta.prev == place
        new_text = delta.text if isinstance(delta.text, str) else ""
        new_reasoning = delta.reasoning if isinstance(delta.reasoning, str) else ""
        assert 0 < len(new_text.encode()) + len(new_reasoning.encode()) <= DELTA_BYTES
        text, reasoning, place = text + new_text, reasoning + new_reasoning, delta.seq
    assert (text, reasoning) == ("é" * 100_000, "r" * 70_000)


def test_a_checkpoint_takes_what_no_checkpoint_has_stored():
    log = new_log()
    assert log.unsaved(5) is None
    log.append("a", "")
    log.append("b", "x")
    unsaved = log.unsaved(9)
    assert unsaved is not None
    assert (unsaved.prev, unsaved.seq, unsaved.text, unsaved.reasoning, unsaved.at_ms) == (0, 2, "ab", "x", 9)
    log.saved = 2
    assert log.unsaved(10) is None
    log.append("c", "")
    log.closing = True
    assert log.unsaved(11) is None, "the end is on its way: a segment after it would be an orphan"


class Reader:
    """A browser: applies what fits, asks again for what does not."""

    def __init__(self):
        self.text = ""
        self.seq = 0
        self.epoch = None

    def apply(self, frame):
        if isinstance(frame, Snapshot):
            self.text, self.seq, self.epoch = frame.text, frame.seq, frame.epoch
        elif isinstance(frame, Delta):
            assert frame.prev == self.seq
            self.text += frame.text
            self.seq = frame.seq


@given(
    steps=st.lists(
        st.one_of(
            st.text(min_size=1, max_size=5).map(lambda text: ("append", text)),
            st.integers(1, 4).map(lambda count: ("read", count)),
            st.just(("reconnect", None)),
            st.just(("reload", None)),
        ),
        max_size=40,
    )
)
def test_any_reader_at_any_pace_ends_with_exactly_the_text(steps):
    asyncio.run(read_at_any_pace(steps))


async def read_at_any_pace(steps):
    log, reader, sent = new_log(), Reader(), ""
    following = log.follow(reader.epoch, reader.seq)
    for action, value in steps:
        if action == "append":
            log.append(value, "")
            sent += value
        elif action == "read":
            for _ in range(value):
                try:
                    async with asyncio.timeout(0):
                        reader.apply(await anext(following))
                except (TimeoutError, StopAsyncIteration):
                    following = log.follow(reader.epoch, reader.seq)
        else:
            await following.aclose()
            if action == "reload":
                reader = Reader()
            following = log.follow(reader.epoch, reader.seq)
    log.end(the_end(log))
    await following.aclose()
    async for frame in log.follow(reader.epoch, reader.seq):
        reader.apply(frame)
    assert reader.text == sent
    assert log.text == sent
