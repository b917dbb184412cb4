"""Random streams, most of them hostile: events as the standard says, and answers that come out clean."""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest

from chat.codes import Code, Kind
from chat.providers import Event, FinishReported, ModelNamed, ProviderError, TextDelta, Warned, sse
from chat.providers.answers import AnswerReader
from chat.providers.redaction import redact
from chat.providers.sse import Decoder, ServerSentEvent
from chat.providers.think_tags import ThinkTags
from tests.providers.test_sse import (
    BARE_ERROR,
    ERROR_FIELD,
    LAST_BLOCK,
    LENIENCES,
    TooLong,
    by_the_book,
)
from tests.upstream.script import DONE, chunk, event

SEED = 20261122
STREAMS = 20_000
SEQUENCES = 5_000

# Server-sent events ─────────────────────────────────────────────────────────────────────────────────────────────────

BOM = b"\xef\xbb\xbf"
LINE_ENDS = [b"\n", b"\r\n", b"\r"]
FIELDS = [b"data"] * 12 + [b"event", b"event", b"id", b"retry", b"error", b"error", b"", b"", b"Data", b"datas", b"dat"]
FIELDS += [b" data", b"\tdata", b"data\x00", BOM + b"data", b"\xffdata", "dat\u0430".encode(), b"event ", b"errors"]
COLONS = [b": "] * 8 + [b":"] * 4 + [b":  ", b":\t", b"::", b" : ", b""]
VALUES = [
    *[b'{"a":1}', b'{"choices":[{"delta":{"content":"Hi"}}]}', b"[DONE]", b"[DONE] now", b"[DONE", b"", b" ", b"0"],
    *[rb'{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\udc69"}', b"{", b"}", b'"a', b"[", b"null", b"ping", b"message", b"error"],
    *["a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg".encode(), "چهار 👩‍🚀 \ufeff\ufffd".encode(), b"a\x00b", b"\x00"],
    *[b"\xff", b"\xc3", b"\xf0\x9f", b"\xed\xa0\xbd", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x80\xbf", b"a\xe2\x80b"],
    *[b'{"error":1}', b'{"error":{"code":429}}', BOM, b":", b"data: x", b"x" * 300, "é".encode() * 200],
]
BARE_LINES = [
    *[b'{"error":{"code":3}}', b'{"error":"x"}', b'{"error":null}', b'{"error"', b'{"error":1} ', b'{"a":"error"}'],
    *[
        rb'{"\u0065rror":1}',
        b'{"error":"\xff"}',
        b"{}",
        b"{:}",
        b"[1]",
        b' {"error":1}',
        b'{"a":' * 2000,
        b"{" + b'"error"',
    ],
    *[b'{"error":1,"a":' + b"[" * 3000 + b"]" * 3000 + b"}", b"\xef\xbb\xbf{" + b'"error":1}', b'{"data":1}'],
]
SHREDS = [
    b"d",
    b"data",
    b":",
    b" ",
    b"{",
    b"}",
    b'"error"',
    b"[DONE]",
    b"1",
    *LINE_ENDS,
    *LINE_ENDS,
    BOM,
    b"\xef",
    b"\xbb",
]


def random_stream(dice: random.Random) -> bytes:
    """Up to a few hundred bytes, mostly; each with a taste of its own."""
    kind = dice.random()
    if kind < 0.1:
        return b"".join(dice.choices(SHREDS, k=dice.randrange(1, 20)))
    if kind < 0.13:
        return dice.randbytes(dice.randrange(40))
    ends = [dice.choice(LINE_ENDS)] if dice.random() < 0.6 else LINE_ENDS
    parts = [BOM] if dice.random() < 0.1 else []
    for _ in range(dice.randrange(1, 10)):
        roll = dice.random()
        if roll < 0.55:
            parts += [dice.choice(FIELDS), dice.choice(COLONS), dice.choice(VALUES)]
        elif roll < 0.6:
            parts.append(dice.choice(BARE_LINES))
        elif roll < 0.63:
            parts.append(BOM)
        elif roll < 0.65:
            parts += [b"data: ", b"y" * dice.choice([1000, 5000, 70_000])]
        else:
            parts.append(dice.choice(ends))
        parts.append(dice.choice(ends))
        if dice.random() < 0.1:
            parts.append(dice.choice(VALUES))
    if dice.random() < 0.4:
        parts += [dice.choice([b"data: [DONE]", b'data: {"a":2}', b'data: {"a"', b"event: error"])]
        parts += dice.choices(ends, k=dice.randrange(3))
    return b"".join(parts)


def random_reads(body: bytes, dice: random.Random) -> list[bytes]:
    """The body in a few reads, byte by byte, or in equal ones; empty reads now and then."""
    if len(body) < 400 and dice.random() < 0.3:
        return [body[at : at + 1] for at in range(len(body))]
    edges = sorted({0, len(body), *(dice.randrange(len(body) + 1) for _ in range(dice.choice([1, 1, 2, 3, 8, 30])))})
    reads = [body[start:end] for start, end in itertools.pairwise(edges)]
    return [b"", *reads, b""] if dice.random() < 0.1 else reads


def outcome(events: Iterable[ServerSentEvent]) -> tuple[list[ServerSentEvent], bool]:
    """The events, and whether they ended in what is too long."""
    seen: list[ServerSentEvent] = []
    try:
        for one in events:
            seen.append(one)
    except TooLong:
        return seen, True
    except ProviderError as error:
        assert (error.code, error.permanent) == ("upstream_malformed", False)
        return seen, True
    return seen, False


def decoded(reads: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    decoder = Decoder()
    for read in reads:
        yield from decoder.feed(read)
    yield from decoder.end()


def test_random_streams_are_read_as_the_standard_says_with_three_additions():
    """Whatever differs from the standard is one of LENIENCES, and each of them is seen at work."""
    differs = Counter()
    count = 0
    for number in range(STREAMS):
        dice = random.Random(f"{SEED} {number}")
        body = random_stream(dice)
        reads = random_reads(body, dice)
        ours = outcome(decoded(reads))
        assert ours == outcome(by_the_book(body)), f"{SEED} {number}: {reads}"
        assert ours == outcome(decoded([body])), f"{SEED} {number}: {reads}"
        count += len(ours[0])
        if ours == outcome(by_the_book(body, ())):
            differs["nothing"] += 1
            continue
        needed = [one for one in LENIENCES if outcome(by_the_book(body, LENIENCES - {one})) != ours]
        differs.update(needed or ["several at once"])
    print(f"{count} events; beyond the standard: {dict(differs)}")
    assert count > STREAMS / 2
    assert differs["nothing"] > STREAMS / 3
    assert all(differs[one] > STREAMS / 100 for one in (ERROR_FIELD, BARE_ERROR, LAST_BLOCK))


@pytest.mark.parametrize("most", [8, 30, 300])
def test_where_a_stream_becomes_too_long_does_not_depend_on_the_reads(most, monkeypatch):
    monkeypatch.setattr(sse, "EVENT_BYTES", most)
    failures = 0
    for number in range(1000):
        dice = random.Random(f"{SEED} {most} {number}")
        body = random_stream(dice)
        reads = random_reads(body, dice)
        ours = outcome(decoded(reads))
        assert ours == outcome(by_the_book(body, most=most)) == outcome(decoded([body])), f"{most} {number}: {reads}"
        failures += ours[1]
    assert 10 < failures < 990


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


def seconds(work: Callable[[], object]) -> float:
    """Processor time, the least of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


@pytest.mark.parametrize(("size", "step"), [(10_000_000, 10_000_000), (10_000_000, 1400), (200_000, 1)])
def test_work_grows_with_the_stream_and_not_with_its_square(size, step):
    def work(size: int) -> Callable[[], int]:
        reads = reads_of(small_events(size), step)
        return lambda: sum(1 for _ in decoded(reads))

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


def held_bytes(value: object) -> int:
    """What an object keeps of what it was fed with."""
    if isinstance(value, bytes | str | bytearray):
        return len(value)
    if isinstance(value, dict):
        return sum(map(held_bytes, [*value, *value.values()]))
    if isinstance(value, list | tuple | set):
        return sum(map(held_bytes, value))
    return held_bytes(vars(value)) if hasattr(value, "__dict__") else 0


# Answers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

HALVES = ["\ud83d", "\udc69"]
TEXTS = [
    "Hello",
    " ",
    "",
    "é",
    "\u2028",
    "a\x00",
    "👩‍🚀",
    "چهار",
    "<think>",
    "</think>",
    "<thi",
    "nk>",
    "�",
    "x" * 300,
    "\n",
]
NUMBERS = [0, 1, 2, 7, -1, 300, 10**9, 10**9 + 1, 10**30, 1.5, True, False]
WORDS = ["stop", "length", "error", "null", "tool_calls", "content_filter", "rate_limit_error", "insufficient_quota"]
WORDS += ["authentication_error", "text", "thinking", "ping", "sk-0123456789abcdef", "maximum context length", "429"]


class Chunks:
    """Makes chunks of every shape that servers are known to send, and now and then puts rubbish somewhere."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.rubbish_rate = dice.choice([0.0, 0.02, 0.2])

    def any_of(self, *makers: Callable[[], object]) -> object:
        return self.dice.choice(makers)()

    def text(self) -> str:
        pieces = self.dice.choices(TEXTS + HALVES * 3, k=self.dice.choice([0, 1, 1, 1, 2, 3]))
        return "".join(pieces)

    def rubbish(self, depth: int = 0) -> object:
        plain = [None, float("nan"), float("inf"), *NUMBERS, *WORDS, *TEXTS, *HALVES]
        roll = self.dice.random()
        if depth > 3 or roll < 0.6:
            return self.dice.choice(plain)
        if roll < 0.8:
            return [self.rubbish(depth + 1) for _ in range(self.dice.randrange(4))]
        names = ["text", "type", "content", "error", "message", "usage", "delta", "index", "function", "name", "detail"]
        return {name: self.rubbish(depth + 1) for name in self.dice.sample(names, self.dice.randrange(4))}

    def fields(self, **makers: Callable[[], object]) -> dict[str, object]:
        """Some of the fields; any of them may be rubbish."""
        chosen = [name for name in makers if self.dice.random() < 0.6]
        return {name: self.rubbish() if self.spoiled() else makers[name]() for name in chosen}

    def spoiled(self) -> bool:
        return self.dice.random() < self.rubbish_rate

    def counts(self) -> object:
        def number() -> object:
            return self.dice.choice(NUMBERS)

        def details() -> object:
            return self.fields(reasoning_tokens=number, cached_tokens=number)

        names = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens"]
        makers: dict[str, Callable[[], object]] = dict.fromkeys(names, number)
        makers |= {"completion_tokens_details": details, "prompt_tokens_details": details}
        return self.fields(**makers) if self.dice.random() < 0.8 else None

    def part(self) -> object:
        kind = self.dice.choice(["text", "thinking", "image_url", "refusal"])
        thinking = self.any_of(self.text, lambda: [{"type": "text", "text": self.text()}], lambda: [self.text(), None])
        return self.any_of(
            self.text, lambda: {"type": kind, "text": self.text()}, lambda: {"type": kind, "thinking": thinking}
        )

    def content(self) -> object:
        return self.any_of(self.text, self.text, self.text, lambda: None, lambda: [self.part() for _ in range(3)])

    def tool_call(self) -> object:
        def function() -> object:
            return self.fields(name=lambda: "tool" + self.text(), arguments=self.text)

        return self.fields(index=lambda: self.dice.choice(NUMBERS), id=self.text, type=self.text, function=function)

    def delta(self) -> object:
        makers: dict[str, Callable[[], object]] = {"role": lambda: "assistant", "content": self.content}
        if self.dice.random() < 0.4:
            name = self.dice.choice(["reasoning_content", "reasoning", "reasoning_text"])
            makers |= {name: self.text, "reasoning": self.text, "reasoning_details": lambda: [{"text": self.text()}]}
        if self.dice.random() < 0.15:
            makers["refusal"] = self.text
        if self.dice.random() < 0.15:
            makers["tool_calls"] = lambda: [self.tool_call() for _ in range(self.dice.choice([0, 1, 2, 30]))]
            makers["function_call"] = lambda: {"name": self.text(), "arguments": ""}
        if self.dice.random() < 0.1:
            makers["extra_content"] = lambda: {"google": {"thought": self.dice.choice([True, 1, "x"])}}
        return self.fields(**makers)

    def finish(self) -> object:
        return self.dice.choice([None, None, None, "", "null", "stop", "length", "error", "\ud83d", "x" * 200])

    def choice(self) -> object:
        return self.fields(
            index=lambda: self.dice.choice([0, 0, 0, 0, 1, -1, True, False, "0", None, 2**70]),
            **{self.dice.choice(["delta", "delta", "delta", "message"]): self.delta},
            **({"text": self.text} if self.dice.random() < 0.3 else {}),
            finish_reason=self.finish,
            **({"usage": self.counts} if self.dice.random() < 0.2 else {}),
            **({"error": self.error} if self.dice.random() < 0.02 else {}),
            logprobs=lambda: None,
        )

    def error(self) -> object:
        def word() -> object:
            return self.dice.choice([*WORDS, *NUMBERS, None])

        def message() -> object:
            return self.any_of(self.text, lambda: {"detail": [{"loc": ["a", 1], "msg": self.text()}]}, self.rubbish)

        def details() -> object:
            return [{"retryDelay": self.dice.choice(["23s", "0s", "9" * 9 + "s", "x", 7])}, self.rubbish()]

        inner = self.fields(message=message, type=word, code=word, status=word, param=self.text, details=details)
        return self.any_of(lambda: inner, lambda: inner, self.text, self.rubbish)

    def chunk(self) -> object:
        if self.spoiled():
            return self.rubbish()
        made = self.fields(
            id=self.text,
            model=lambda: self.dice.choice(["m", "", "\udc69", "m" * 500]),
            created=lambda: 1763700000,
            choices=lambda: [self.choice() for _ in range(self.dice.choice([0, 1, 1, 1, 1, 1, 1, 2]))],
            **({"usage": self.counts, "x_groq": lambda: {"usage": self.counts()}} if self.dice.random() < 0.3 else {}),
        )
        if self.dice.random() < 0.03:
            made["error"] = self.error()
        if self.dice.random() < 0.03:
            made |= {"type": self.dice.choice(["error", "ping"]), "object": self.dice.choice(["error", "x"])}
        return made

    def data(self) -> bytes:
        """The JSON of a chunk, or what stands in its place."""
        if self.spoiled():
            return self.dice.choice(
                [b"", b"ping", b"{", b"keep-alive", b"[" * 5000, b"1" * 5000, b"\xff", b'"\\ud83d"']
            )
        ascii_only = self.dice.random() < 0.6
        return json.dumps(self.chunk(), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    def body(self) -> bytes:
        """A stream of chunks, or one of them as a document; whole, or without its end."""
        if self.dice.random() < 0.1:
            return self.dice.choice([b"", b"\n\n", BOM, b" "]) + self.data()
        end = self.dice.choice([b"\n", b"\n", b"\r\n", b"\r"])
        parts = [self.dice.choice([b"", b"", b": hi", BOM, b"\n"])]
        for _ in range(self.dice.randrange(1, 8)):
            if self.dice.random() < 0.1:
                parts.append(
                    self.dice.choice([b": keep-alive", b"event: ping", b"id: 1", b"event: message", b""]) + end
                )
            if self.dice.random() < 0.02:
                parts.append(b"event: error" + end)
            field = b"error:" if self.dice.random() < 0.01 else self.dice.choice([b"data: ", b"data:"])
            parts += [field, self.data(), end, end]
        if self.dice.random() < 0.6:
            parts += [b"data: [DONE]", *self.dice.choice([[end, end], [end], []])]
            if self.dice.random() < 0.1:
                parts += [end, end, b"data: ", self.data(), end, end]
        body = b"".join(parts)
        return body[: self.dice.randrange(len(body) + 1)] if self.dice.random() < 0.1 else body


TYPES = ["text/event-stream"] * 4 + ["application/json", "text/plain", ""]
Told = tuple[list[Event], tuple[str, bool, float | None, str, int] | None]


def answered(reads: Iterable[bytes], content_type: str, tags: str = "") -> Told:
    """All events of an answer that comes in these reads, and what its error says."""
    events: list[Event] = []
    try:
        reader = AnswerReader(content_type, ("sk-secret",), ThinkTags(tags == "opened") if tags else None)
        for read in reads:
            for one in reader.feed(read):
                events.append(one)
            if reader.done:
                return events, None
        for one in reader.end():
            events.append(one)
    except ProviderError as error:
        return events, (error.code, error.permanent, error.retry_after, error.reason, error.max_tries)
    return events, None


def strings(told: Told) -> Iterator[str]:
    events, error = told
    for one in events:
        yield from (value for value in vars(one).values() if isinstance(value, str))
    yield error[3] if error else ""


def test_whatever_chunks_hold_the_answer_is_clean_and_the_same_in_any_reads():
    codes = Counter()
    for number in range(SEQUENCES):
        dice = random.Random(f"{SEED} chunks {number}")
        body = Chunks(dice).body()
        content_type, tags = dice.choice(TYPES), dice.choice(["", "", "tagged", "opened"])
        label = f"{SEED} {number} {content_type} {tags}: {body!r}"
        try:
            whole = answered([body], content_type, tags)
            for _ in range(2):
                reads = random_reads(body, dice)
                assert answered(reads, content_type, tags) == whole, reads
            for text in strings(whole):
                text.encode()  # no halves of characters, which nothing stores or sends
        except Exception as fault:
            raise AssertionError(label) from fault
        events, error = whole
        assert all(one.text or one.reasoning for one in events if isinstance(one, TextDelta)), label
        assert all(one.reason for one in events if isinstance(one, FinishReported)), label
        assert sum(isinstance(one, ModelNamed) for one in events) <= 1, label
        warnings = [one for one in events if isinstance(one, Warned)]
        assert len(set(warnings)) == len(warnings), label
        assert error is None or (error[0] in Code.of(Kind.UPSTREAM) and len(error[3]) <= 200), label
        codes[error[0] if error else "none"] += 1
    print(dict(codes.most_common()))
    assert codes["none"] > SEQUENCES / 5
    assert len(codes) >= 8


@pytest.mark.parametrize(
    "texts",
    [
        [text for text in TEXTS if not text.endswith("\n")],
        TEXTS,
    ],
)
def test_every_character_arrives_once_and_halves_are_joined(texts):
    """Content and reasoning by themselves, each cut anywhere, also within a character."""
    for number in range(1000):
        dice = random.Random(f"{SEED} texts {number}")
        deltas = [
            {name: "".join(dice.choices(texts + HALVES * 3, k=3)) for name in ("content", "reasoning_content")}
            for _ in range(dice.randrange(1, 6))
        ]
        body = b"".join(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n" for delta in deltas)
        events, error = answered(random_reads(body + DONE, dice), "text/event-stream")
        assert error is None
        for name, attribute in (("content", "text"), ("reasoning_content", "reasoning")):
            sent = "".join(delta[name] for delta in deltas)
            expected = sent.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            came = "".join(getattr(one, attribute) for one in events if isinstance(one, TextDelta))
            assert came == expected, f"{number}: {deltas}"


# What does not hold ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_end_after_half_a_character_stays_a_line_end():
    body = rb'data: {"choices":[{"delta":{"content":"a\ud83d\n"}}]}' + b"\n\n" + DONE
    events, _ = answered([body], "text/event-stream")
    assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "a\ufffd\n"


def test_two_boms_are_the_same_in_one_read_and_in_two():
    body = BOM + BOM + event(chunk("Hi", finish="stop")) + DONE
    assert answered([body], "text/plain") == answered([BOM, body[3:]], "text/plain")


@pytest.mark.parametrize("depths", [range(300, 500, 7), [*range(850, 1000), 2000, 5000]])
def test_json_of_any_depth_is_an_error_of_ours(depths):
    for start, end in (('{"message":', "}"), ('{"detail":', "}"), ('{"type":"thinking","thinking":[', "]}")):
        for depth in depths:
            deep = start * depth + '"x"' + end * depth
            for data in ('{"error":%s}', '{"choices":[{"delta":{"content":[%s]}}]}'):
                answered([b"data: " + (data % deep).encode() + b"\n\n"], "text/event-stream")


@pytest.mark.parametrize("text", ["a_" * 2000, "/-" * 2000, "*a" * 2000])
def test_an_error_of_any_text_holds_nobody_up(text):
    assert seconds(lambda: redact(text)) < 0.05


@pytest.mark.parametrize("reason", ["x" * 101, "\ud83d"])
def test_a_finish_that_is_said_again_is_told_once(reason):
    body = b"data: " + json.dumps(chunk(finish=reason)).encode() + b"\n\n"
    events, _ = answered([body * 3], "text/event-stream")
    assert sum(isinstance(one, FinishReported) for one in events) == 1


def test_tool_calls_leave_little_behind():
    reader = AnswerReader("text/event-stream")
    for number in range(20):
        call = {"index": f"{number} " + "x" * 200_000, "function": {"name": "a"}}
        for _ in reader.feed(event(chunk(choices=[{"delta": {"tool_calls": [call]}}]))):
            pass
    assert held_bytes(reader) < 4 * sse.EVENT_BYTES
