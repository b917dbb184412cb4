"""What may never come of any answer, whatever its bytes: recorded answers are spoilt and read again, for minutes.

Every run spoils one body of the corpus, cuts it at random, and reads it whole and in pieces. It is a finding when
anything but ProviderError is raised, when the cuts make a difference, when a text can't be written as UTF-8, or when
the reader keeps more than it may.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chat.providers import Event, ProviderError
from chat.providers.answers import DOCUMENT_BYTES, AnswerReader
from chat.providers.sse import EVENT_BYTES, Decoder
from chat.providers.think_tags import ThinkTags

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "providers" / "corpus"
LINE_SECONDS = 30.0
SHRINK_SECONDS = 20.0
MOST_BYTES = 600_000

KEPT_AT_ONCE = 5 * EVENT_BYTES
"""Of a stream: a line, an event's name and its data, the delta before it, and what is small."""
KEPT_SMALL = 2000
"""Whatever was read, the names of warnings and the like."""

WEIGHINGS = 8
"""In one answer: looking costs as much as reading."""

STREAM = "text/event-stream"
TYPES = (STREAM, STREAM, "application/json", "text/plain", "")
TAGS = ("", "", "", "tagged", "opened")

TOKENS = (
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"data: ",
        b"data:",
        b"data",
        b"event: error\n",
        b"event: ping\n",
        b"error: ",
        b": x\n",
    ),
    *(
        b"[DONE]",
        b"data: [DONE]\n\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xe2\x80\xa8",
        b"\xf0\x9f",
        b"\x00",
        b"\x07",
        b"id: 1\n",
    ),
    *(
        rb"\ud83d",
        rb"\udc69",
        rb"\u0000",
        rb"\"",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"error":1,',
        b'{"error":{}}\n',
    ),
    *(
        b"<think>",
        b"</think>",
        b"null",
        b"1e999",
        b"-1",
        b"9" * 30,
        b"NaN",
        b" ",
        b"data: {}\n\n",
        b'"finish_reason":"stop",',
    ),
)
NAMES = (
    *("choices", "delta", "message", "text", "content", "reasoning_content", "reasoning", "reasoning_text", "refusal"),
    *("tool_calls", "function_call", "function", "name", "index", "finish_reason", "usage", "x_groq", "prompt_tokens"),
    *("completion_tokens", "total_tokens", "completion_tokens_details", "reasoning_tokens", "error", "type", "object"),
    *("code", "status", "detail", "details", "retryDelay", "metadata", "innererror", "param", "model", "thinking"),
    *("extra_content", "google", "thought", "msg", "loc"),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**70,
        1.5,
        math.nan,
        math.inf,
        "",
        "x",
        "null",
        "stop",
        "error",
        "text",
        "thinking",
    ),
    *(
        "\ud83d",
        "\udc69",
        "a\ud83d",
        "\udc69\n",
        "\u2028",
        "<think>",
        "</think>",
        "x" * 3000,
        "429",
        "23s",
        [],
        {},
        [None],
    ),
    *([[]], [{}], {"text": "x"}, {"message": "x"}, {"error": {"message": {"detail": [{"loc": [1], "msg": 2}]}}}),
)

Told = tuple[list[Event], tuple[object, ...]]
Make = Callable[[str, tuple[str, ...], ThinkTags | None], AnswerReader]


@dataclass(frozen=True)
class Case:
    """One spoilt body, and how it is read; `cuts` are places in it, in order."""

    body: bytes
    cuts: tuple[int, ...]
    content_type: str
    tags: str

    @property
    def reads(self) -> list[bytes]:
        return [self.body[start:end] for start, end in itertools.pairwise((0, *self.cuts, len(self.body)))]

    def without(self, start: int, end: int) -> Case:
        """The same without a part of the body."""
        cuts = (cut if cut <= start else max(start, cut - (end - start)) for cut in self.cuts)
        return replace(self, body=self.body[:start] + self.body[end:], cuts=tuple(cuts))


@dataclass(frozen=True)
class Problem:
    """What is wrong; two of one `kind` are the same while an input is made smaller."""

    kind: str
    detail: str = ""


def main(arguments: list[str]) -> int:
    """Exit code 1 when something was found."""
    parser = argparse.ArgumentParser(prog="./run.py bench fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="that of an earlier run")
    parser.add_argument("--all", action="store_true", help="go on after a finding; each kind is told once")
    options = parser.parse_args(arguments)
    return fuzz(options.minutes, options.seed, go_on=options.all)


def fuzz(minutes: float, seed: int, make: Make = AnswerReader, go_on: bool = False) -> int:
    """Until the time is over or something is found."""
    bodies = corpus()
    codes: Counter[str] = Counter()
    found: set[str] = set()
    began = told = time.monotonic()
    print(f"seed {seed}, {len(bodies)} bodies, {minutes:g} minutes", flush=True)
    for number in itertools.count(1):
        now = time.monotonic()
        if now - told >= LINE_SECONDS or now - began >= 60 * minutes:
            told = now
            print(line(number - 1, now - began, codes), flush=True)
        if now - began >= 60 * minutes:
            break
        case = spoilt(bodies, random.Random(f"{seed} {number}"))
        problem = check(case, make, codes)
        if problem is not None and problem.kind not in found:
            found.add(problem.kind)
            report(seed, number, shrunk(case, problem.kind, make), make)
            if not go_on:
                break
    return 1 if found else 0


def corpus() -> list[tuple[bytes, str]]:
    """Bodies and their content types; what is packed is unpacked first."""
    bodies = []
    for path in sorted(CORPUS.glob("*.json")):
        headers = json.loads(path.read_text())["headers"]
        body = path.with_suffix(".body").read_bytes()
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        bodies.append((body, headers.get("content-type", "").partition(";")[0]))
    return bodies


def line(runs: int, seconds: float, codes: Counter[str]) -> str:
    """How far it is."""
    counted = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
    return f"{seconds:5.0f} s  {runs:,} runs, {runs / max(seconds, 0.001):,.0f}/s: {counted}"


def report(seed: int, number: int, case: Case, make: Make) -> None:
    """A finding, so that it can be read again by hand."""
    problem = check(case, make, Counter()) or Problem("gone")
    print(f"FOUND {problem.kind}: {problem.detail}")
    print(f"  seed {seed}, run {number}; content type {case.content_type!r}, think tags {case.tags!r}")
    print(f"  reads: {' '.join(read.hex() for read in case.reads)}", flush=True)


# What must hold ─────────────────────────────────────────────────────────────────────────────────────────────────────


def check(case: Case, make: Make, codes: Counter[str]) -> Problem | None:
    """What is wrong with how a case is read, if anything is. Counts how the answer ended."""
    whole = replace(case, cuts=())
    try:
        events, ended = read(whole, make)
        if read(case, make) != (events, ended):
            return Problem("the cuts make a difference", f"{ended} became {read(case, make)[1]}")
        if decode(case.reads) != decode([case.body]):
            return Problem("the cuts make a difference to Decoder")
    except KeptTooMuch as fault:
        return Problem("too much is kept", str(fault))
    except Exception as fault:
        return Problem(f"{type(fault).__name__} is raised", str(fault)[:200])
    for text in strings(events, ended):
        try:
            text.encode()
        except UnicodeEncodeError:
            return Problem("half a character is given on", ascii(text[:200]))
    codes[str(ended[0])] += 1
    return None


class KeptTooMuch(Exception):
    """The reader holds more than it may."""


def read(case: Case, make: Make) -> Told:
    """All events of an answer, and how it ended: a code and more, or `none`."""
    events: list[Event] = []
    try:
        tags = ThinkTags(opened=case.tags == "opened") if case.tags else None
        reader = make(case.content_type, ("sk-0123456789",), tags)
        taken, reads = 0, case.reads
        for number, received in enumerate(reads):
            for event in reader.feed(received):
                events.append(event)
            if reader.done:
                return events, ("none",)
            taken += len(received)
            if number % (1 + len(reads) // WEIGHINGS) == 0:
                weigh(reader, taken)
        for event in reader.end():
            events.append(event)
    except ProviderError as error:
        return events, (error.code, error.permanent, error.retry_after, error.reason, error.max_tries)
    return events, ("none",)


def decode(reads: Iterable[bytes]) -> tuple[list[tuple[str, str, bool]], str]:
    """The server-sent events alone."""
    decoder = Decoder()
    events: list[tuple[str, str, bool]] = []
    try:
        for received in reads:
            for event in decoder.feed(received):
                events.append(event)
        for event in decoder.end():
            events.append(event)
    except ProviderError as error:
        return events, error.code
    return events, ""


def weigh(reader: AnswerReader, taken: int) -> None:
    """Raise KeptTooMuch when the reader keeps more than what it was given, or than what is bounded."""
    kept = kept_by(vars(reader))
    most = min(4 * taken, (DOCUMENT_BYTES if reader._is_document else 0) + KEPT_AT_ONCE) + KEPT_SMALL
    if kept > most:
        raise KeptTooMuch(f"{kept} after {taken} bytes")


def kept_by(value: object) -> int:
    """Bytes and characters that an object holds on to."""
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, dict):
        return sum(kept_by(name) + kept_by(part) for name, part in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return sum(map(kept_by, value))
    return kept_by(vars(value)) if hasattr(value, "__dict__") else 0


def strings(events: Iterable[Event], ended: tuple[object, ...]) -> Iterator[str]:
    """Every text that the portal would store or send."""
    for values in (*(vars(event).values() for event in events), ended):
        yield from (value for value in values if isinstance(value, str))


# Spoiling ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def spoilt(bodies: list[tuple[bytes, str]], dice: random.Random) -> Case:
    """One body after some mutations, and cuts."""
    body, content_type = dice.choice(bodies)
    kinds = dice.choice((ROUGH, GENTLE, GENTLE))
    for _ in range(dice.choice((1, 1, 2, 3, 5, 10))):
        body = dice.choice(kinds)(body, dice, bodies)[:MOST_BYTES]
    if dice.random() < 0.3:
        content_type = dice.choice(TYPES)
    return Case(body, cuts_of(body, dice), content_type, dice.choice(TAGS))


def cuts_of(body: bytes, dice: random.Random) -> tuple[int, ...]:
    """A few, or one after every byte; many of them at places where something begins or ends."""
    if len(body) < 3000 and dice.random() < 0.1:
        return tuple(range(1, len(body)))
    cuts = {dice.randrange(len(body) + 1) for _ in range(dice.choice((1, 2, 5, 20)))}
    for mark in dice.sample((b"\r", b"\n", b"data", b"\xef\xbb", b"\\u", b"[DONE]"), 2):
        place = body.find(mark, dice.randrange(len(body) + 1))
        if place >= 0:
            cuts.add(min(len(body), place + dice.randrange(len(mark) + 1)))
    return tuple(sorted(cuts))


def part_of(body: bytes, dice: random.Random) -> tuple[int, int]:
    """Where some part begins and ends; short ones are more likely."""
    start = dice.randrange(len(body) + 1)
    return start, min(len(body), start + dice.choice((1, 2, 8, 40, 300, dice.randrange(len(body) + 1))))


def flip(body: bytes, dice: random.Random, _: object) -> bytes:
    """Other bits in some bytes."""
    changed = bytearray(body)
    for _ in range(dice.choice((1, 1, 2, 8))):
        if changed:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def put(body: bytes, dice: random.Random, _: object) -> bytes:
    """Any byte, or something with a meaning, anywhere; often at the very beginning."""
    at = 0 if dice.random() < 0.1 else dice.randrange(len(body) + 1)
    token = dice.choice(TOKENS) if dice.random() < 0.8 else dice.randbytes(dice.choice((1, 4)))
    return body[:at] + token + body[at:]


def drop(body: bytes, dice: random.Random, _: object) -> bytes:
    """A part is gone."""
    start, end = part_of(body, dice)
    return body[:start] + body[end:]


def double(body: bytes, dice: random.Random, _: object) -> bytes:
    """A part comes again; once in a long while so often that the bounds are reached."""
    start, end = part_of(body, dice)
    times = 10**6 if dice.random() < 0.001 else dice.choice((2, 2, 3, 20))
    return body[:start] + body[start:end] * min(times, MOST_BYTES // max(1, end - start)) + body[end:]


def splice(body: bytes, dice: random.Random, bodies: list[tuple[bytes, str]]) -> bytes:
    """The beginning of one, the end of another; or a part of another within."""
    other = dice.choice(bodies)[0]
    at = dice.randrange(len(body) + 1)
    start, end = part_of(other, dice)
    return body[:at] + (other[start:] if dice.random() < 0.5 else other[start:end] + body[at:])


def move(body: bytes, dice: random.Random, _: object) -> bytes:
    """Two lines change places."""
    lines = body.splitlines(keepends=True)
    if len(lines) > 1:
        one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
        lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def end_lines(body: bytes, dice: random.Random, _: object) -> bytes:
    """Other line ends."""
    return body.replace(b"\r\n", b"\n").replace(b"\n", dice.choice((b"\r", b"\r\n", b"\n\r")))


def rewrite(body: bytes, dice: random.Random, _: object) -> bytes:
    """Some JSON of it is still JSON, but says something else."""
    lines = body.split(b"\n")
    at = dice.choice([number for number, one in enumerate(lines) if b"{" in one] or [0])
    field, colon, text = lines[at].partition(b":") if not body.startswith((b"{", b"[")) else (b"", b"", body)
    try:
        value = json.loads(text)
        for _ in range(dice.choice((1, 1, 2, 4))):
            value = otherwise(value, dice)
        dumped = json.dumps(value, ensure_ascii=dice.random() < 0.7).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return body
    if not colon:
        return dumped
    return b"\n".join([*lines[:at], field + colon + b" " + dumped, *lines[at + 1 :]])


def otherwise(value: Any, dice: random.Random) -> Any:
    """The same value with a change somewhere in it."""
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if inner and dice.random() < 0.85:
        key = dice.choice(inner)
        changed = value.copy()
        changed[key] = otherwise(value[key], dice)
        if dice.random() < 0.1:
            del changed[key]
        elif dice.random() < 0.1 and isinstance(value, dict):
            changed[dice.choice(NAMES)] = value[key]
        return changed
    roll = dice.random()
    if roll < 0.6:
        return dice.choice(VALUES)
    if roll < 0.8:
        return {**(value if isinstance(value, dict) else {}), dice.choice(NAMES): dice.choice((value, *VALUES))}
    if roll < 0.99:
        return [value, *dice.choices(VALUES, k=dice.randrange(3))]
    for _ in range(dice.choice((100, 400, 940))):
        value = {dice.choice(NAMES): value} if roll < 0.995 else [value]
    return value


Mutation = Callable[[bytes, random.Random, list[tuple[bytes, str]]], bytes]
GENTLE: tuple[Mutation, ...] = (rewrite, rewrite, rewrite, rewrite, move, end_lines, put)
"""What leaves most of the JSON readable: the rest soon ends in `upstream_malformed`."""
ROUGH: tuple[Mutation, ...] = (*GENTLE, flip, flip, drop, drop, double, double, splice, splice)


# Making small ───────────────────────────────────────────────────────────────────────────────────────────────────────


def shrunk(case: Case, kind: str, make: Make) -> Case:
    """The smallest case, as far as the time reaches, with the same kind of problem."""
    until = time.monotonic() + SHRINK_SECONDS

    def is_bad(smaller: Case) -> bool:
        problem = check(smaller, make, Counter())
        return problem is not None and problem.kind == kind

    before = None
    while before != case and time.monotonic() < until:
        before = case
        case = with_fewer_cuts(case, is_bad)
        size = len(case.body)
        while size and time.monotonic() < until:
            start = 0
            while start < len(case.body) and time.monotonic() < until:
                smaller = case.without(start, min(start + size, len(case.body)))
                if is_bad(smaller):
                    case = smaller
                else:
                    start += size
            size //= 2
    return with_fewer_cuts(case, is_bad)


def with_fewer_cuts(case: Case, is_bad: Callable[[Case], bool]) -> Case:
    """Without every cut that makes no difference to the problem."""
    for kept in ((), *((cut,) for cut in dict.fromkeys(case.cuts))):
        if is_bad(replace(case, cuts=kept)):
            return replace(case, cuts=kept)
    for cut in case.cuts:
        smaller = replace(case, cuts=tuple(one for one in case.cuts if one != cut))
        if is_bad(smaller):
            case = smaller
    return case
