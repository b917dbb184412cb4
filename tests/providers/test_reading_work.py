"""What reading costs: work that grows with the stream and not with its square, and memory that does not grow."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from chat.providers import sse
from chat.providers.answers import AnswerReader
from chat.providers.redaction import redact
from chat.providers.sse import Decoder
from tests.support.processor_time import seconds
from tests.support.reading import decode, held_bytes
from tests.support.upstream.script import chunk, event


def small_events(size: int) -> bytes:
    one = b": keep-alive\r\n\r\n" + event(chunk("word")) + b'data: {"a":\ndata: 1}\n\nid: 7\ndata: [DON\n\n'
    return one * (size // len(one))


def reads_of(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, built-in ones included."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("size", "step"), [(10_000_000, 10_000_000), (10_000_000, 1400), (200_000, 1)])
def test_work_grows_with_the_stream_and_not_with_its_square(size, step):
    def work(size: int) -> Callable[[], int]:
        reads = reads_of(small_events(size), step)
        return lambda: sum(1 for _ in decode(reads))

    events, fewer = work(size)(), work(size // 4)()
    assert events == pytest.approx(4 * fewer, rel=0.01)
    assert events > size / 150
    # Calls are exact; bytes that are copied again and again show in the time alone, sixteenfold if it were the square.
    assert calls(work(size // 10)) <= 4.5 * calls(work(size // 40))
    times = seconds(work(size)), seconds(work(size // 4))
    print(f"{events} events: {times[0]:.2f} s, a quarter of them: {times[1]:.2f} s")
    assert times[0] < 10 * times[1]


def test_many_small_events_leave_nothing_behind():
    decoder = Decoder()
    for read in reads_of(small_events(2_000_000), 1400):
        for _ in decoder.feed(read):
            pass
        assert held_bytes(decoder) < 2000


@pytest.mark.parametrize("text", ["a_" * 2000, "/-" * 2000, "*a" * 2000])
def test_an_error_of_any_text_holds_nobody_up(text):
    assert seconds(lambda: redact(text)) < 0.05


def test_tool_calls_leave_little_behind():
    reader = AnswerReader("text/event-stream")
    for number in range(20):
        call = {"index": f"{number} " + "x" * 200_000, "function": {"name": "a"}}
        for _ in reader.feed(event(chunk(choices=[{"delta": {"tool_calls": [call]}}]))):
            pass
    assert held_bytes(reader) < 4 * sse.EVENT_BYTES
