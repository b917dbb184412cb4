"""The rows of the catalogue of upstream faults, as a generation meets them.

What upstream plays comes from the adapters' rows; added here is what only a generation decides, and what an adapter
cannot be asked: retries, waits, limits of time, addresses where nobody answers.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from chat.limits import ANSWER_BYTES
from tests.support.adapter_faults import END, HELLO, ROWS, SSE, WORLD, Row
from tests.support.asking import KEY
from tests.support.upstream import (
    DONE,
    At,
    Gate,
    Repeat,
    Script,
    Send,
    Stall,
    answer,
    chunk,
    document,
    error,
    event,
    head,
    raw_body,
    stream,
)

FACTOR = 0.01
"""All limits of time of a row that waits for one, all waits between two tries, and upstream's own pauses are so much
shorter than in the catalogue."""

BACK_OFF = ((0.375, 0.5), (0.75, 1.0))


@dataclass(frozen=True)
class Case(Row):
    """A row as a generation meets it. `code`, `tries` and the rest that is in DECIDED are not looked at.

    then        what the following requests are answered with; without it, each gets the same
    requests    how many upstream sees, if it is not the number of attempts
    waits       seconds between two tries, from and to; None: the usual ones
    parameters  some of those that fill the sentence of the end
    reason      what stands in upstream's own words
    at          where the provider is: one of the driver's addresses
    hasty       it waits for a limit of time: all limits are shortened by FACTOR
    is_prefix   the stored text is some beginning of `text`
    """

    then: tuple[Script, ...] = ()
    reasoning: str = ""
    requests: int | None = None
    waits: tuple[tuple[float, float], ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    at: str = "upstream"
    hasty: bool = False
    is_prefix: bool = False

    @property
    def scripts(self) -> tuple[Script, ...]:
        return (self.script, *self.then)


@dataclass(frozen=True)
class Decision:
    """How a generation ends: `usage` is U (reported), E (counted) or 0 (nothing reached a model)."""

    state: str
    code: str | None
    attempts: int
    usage: str


def after(script: Script, *following: Script, **expected: Any) -> Case:
    """It goes wrong at first, then there is an answer."""
    return Case(script, then=(*following, answer("Hello", ", world")), **expected)


def nothing(script: Script, **expected: Any) -> Case:
    """No text comes of it."""
    return Case(script, **{"text": "", "finish": None, "counts": None} | expected)


def kept(script: Script, text: str = "Hello", **expected: Any) -> Case:
    """It breaks off in the middle."""
    return Case(script, text, **{"finish": None, "counts": None} | expected)


def waited(*parts: Any, **expected: Any) -> Case:
    """After this much of a stream a limit of time passes."""
    make = kept if "Hello" in parts else nothing
    return make(stream(*parts), hasty=True, **expected)


def busy(headers: dict[str, str], *waits: float, **expected: Any) -> Case:
    return nothing(error(429, headers=headers), waits=tuple((wait, wait) for wait in waits), **expected)


def dripping(parts: bytes) -> Script:
    """One byte a second."""
    return stream(*(step for n in range(len(parts)) for step in (At(n * FACTOR), parts[n : n + 1])), Stall())


def bomb() -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(compressor.compress(bytes(1_000_000)) for _ in range(200)) + compressor.flush()


COMMENTS = Repeat(b": keep-alive\n\n", every=15 * FACTOR)
BUSY_UNTIL = {"Retry-After": formatdate(5, usegmt=True), "Date": formatdate(3, usegmt=True)}
ROLE = chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": None}}])
STRINGS = chunk(usage=None) | {"usage": {"prompt_tokens": "7", "completion_tokens": "5"}}
ODD = b'"extra": NaN, "large": 1e999, "long": ' + b"7" * 4000
REFUSED_FIELD = {"error": {"message": "Unknown field.", "param": "stream_options"}}
WORDS = [f"{n} " for n in range(5000)]
TINY = [event({"choices": [{"delta": {"content": word}}]}) for word in WORDS[:40]]
WHOLE = "word " * (ANSWER_BYTES // 5 + 1)
TARGETS = {
    301: "http://169.254.169.254/",
    302: "/v1/chat/completions",
    303: "http://127.0.0.1:1/v1/chat/completions",
    307: "/elsewhere",
    308: "https://chat.example.org/v1/chat/completions",
}

EXTRA: dict[str, Case] = {
    "10 VT and FF": Case(stream(HELLO.replace(b"Hello", b"He\x0bl\x0clo"), WORLD, *END), text="He\vl\flo, world"),
    "14 last delta": Case(stream("Hello", END[0], WORLD.rstrip()), counts=None, warnings=("content_after_finish",)),
    "17 left open": Case(stream("Hello", ", world", *END, "lost", Stall())),
    "18 no usage": Case(stream("Hello", ", world", END[0]), counts=None),
    "19 left open": Case(stream("Hello", ", world", *END[:2], Stall()), hasty=True),
    "19 only comments": Case(stream("Hello", ", world", *END[:2], COMMENTS), hasty=True),
    "19 no usage": Case(stream("Hello", ", world", END[0], Stall()), counts=None, hasty=True),
    "20 no usage": Case(stream("Hello", ", world", DONE), finish=None, counts=None, warnings=("done_without_finish",)),
    "22 empty body": nothing(raw_body(b"", headers=SSE)),
    "27 strings": Case(stream("Hello", ", world", STRINGS, END[0], DONE), counts=None, warnings=("usage_ignored",)),
    "28 400": Case(document(REFUSED_FIELD, 400), counts=None, then=(answer("Hello, world", usage=None),), requests=2),
    "28 422": Case(document(REFUSED_FIELD, 422), counts=None, then=(answer("Hello, world", usage=None),), requests=2),
    "30 role and null": Case(stream(ROLE, "Hello", ROLE, ", world", *END)),
    "31 no delta": Case(stream(chunk(choices=[{"index": 0}]), "Hello", ", world", *END)),
    "35 reasoning_content": Case(
        stream(chunk(reasoning="Hm. "), chunk(reasoning="So."), "Hello", ", world", *END), reasoning="Hm. So."
    ),
    "35 reasoning": Case(
        stream(chunk(choices=[{"delta": {"reasoning": "Hm."}}]), "Hello", ", world", *END), reasoning="Hm."
    ),
    "36 reasoning only": Case(stream(chunk(reasoning="Hm. "), *END), text="", reasoning="Hm. "),
    "39 content filter, mid": Case(
        stream("Hello, world", chunk(finish="content_filter"), *END[1:]), finish="content_filter"
    ),
    "40 duplicate finish": Case(stream("Hello, world", END[0], chunk(finish="length"), *END[1:]), finish="length"),
    "41 content after the finish": Case(
        stream("Hello", END[0], ", world", *END[1:]), warnings=("content_after_finish",)
    ),
    "44 odd fields": Case(stream(HELLO.replace(b'"id"', ODD + b', "id"'), ", world", *END)),
    "44 a number of 5,000 digits": kept(stream("Hello", b'data: {"n": ' + b"7" * 5000 + b"}\n\n", "lost")),
    "44 nested 10,000 deep, first": nothing(stream(b'data: {"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n\n")),
    "47 then an answer": after(stream({"error": {"type": "server_error"}})),
    "47 overloaded, then an answer": after(*[stream({"error": {"type": "overloaded_error"}}, DONE)] * 2),
    "49 quota, mid": kept(stream("Hello", {"error": {"code": "insufficient_quota"}})),
    "51 words without end": Case(
        stream(Repeat(event(chunk("word " * 2000)))),
        WHOLE[:ANSWER_BYTES],
        finish=None,
        counts=None,
        parameters={"limit": "2048 KiB"},
    ),
    "52 comments without end": waited(COMMENTS),
    "53 comments without end": waited("Hello", COMMENTS),
    "54 no headers": nothing((Stall(),), hasty=True),
    "55 silence after the headers": waited(Stall()),
    "56 silence": waited("Hello", Stall()),
    "56 silence after a comment": waited(b": hi\n\n", Stall()),
    "57 a byte a second": kept(
        dripping(b"".join(TINY)),
        "".join(WORDS[:40]),
        hasty=True,
        is_prefix=True,
        parameters={"limit": f"{900 * FACTOR:g} s"},
    ),
    "58 5,000 deltas": Case(answer(*WORDS), "".join(WORDS)),
    "60 gzip bomb": nothing(raw_body(bomb(), headers={**SSE, "Content-Encoding": "gzip"}), warnings=("compressed",)),
    "63 JSON error, overloaded": nothing(error(200, type="overloaded_error"), warnings=("whole_answer",) * 3),
    "69 the whole key": nothing(error(401, f"Incorrect API key provided: {KEY}.")),
    "72 408, then an answer": after(error(408)),
    "72 409 twice, then an answer": after(error(409), error(409)),
    "73 a second": busy({"Retry-After": "1"}, 1, 1),
    "73 half a second": busy({"Retry-After": "0.5"}, 0.5, 0.5),
    "73 milliseconds": busy({"retry-after-ms": "700"}, 0.7, 0.7),
    "73 a date": busy(BUSY_UNTIL, 2, 2),
    "73 then an answer": after(error(429, headers={"Retry-After": "1"}), waits=((1, 1),)),
    "73 as long as is waited": after(error(429, headers={"Retry-After": "29"}), waits=((29, 29),)),
    "73 longer than is waited in all": busy({"Retry-After": "20"}, 20, parameters={"retry_after": 20.0}),
    "74 an hour": busy({"Retry-After": "3600"}, parameters={"retry_after": 3600.0}),
    "74 for ever": busy({"Retry-After": "inf"}),
    "74 a date that is past": nothing(error(429, headers={"Retry-After": formatdate(5, usegmt=True)})),
    "74 nonsense": nothing(error(429, headers={"Retry-After": "abc"})),
    "74 negative": nothing(error(429, headers={"Retry-After": "-1"})),
    "75 then an answer": after(error(500)),
    "76 then an answer": after(error(503), error(529)),
    "77 500 twice, then an answer": after(error(500), error(500)),
    "77 told to retry, then an answer": after(error(400, headers={"x-should-retry": "true"})),
    **{
        f"78 {status}": nothing((Send(head(status, {"Location": target, "Content-Length": "0"})),))
        for status, target in TARGETS.items()
    },
    "79 refused": nothing((), at="refused", requests=0),
    "79 reset at accept": nothing((), at="turned away", requests=0),
    "79 reset twice, then an answer": Case(answer("Hello", ", world"), at="turned away twice", requests=1),
    "79 host unreachable": nothing((), at="unreachable", requests=0),
    "80 no such name": nothing((), at="unknown name", requests=0),
    "80 time-out of the look-up": nothing((), at="slow name", requests=0, hasty=True),
    "81 self-signed": nothing((), at="self-signed", requests=0, reason="self-signed certificate"),
    "81 expired": nothing((), at="expired", requests=0, reason="certificate has expired"),
    "81 wrong name": nothing((), at="wrong name", requests=0, reason="Hostname mismatch"),
    "81 plain HTTP on the port": nothing((), at="plain", requests=0),
    "81 handshake that stalls": nothing((), at="deaf", requests=0, hasty=True),
}

CASES: dict[str, Case] = {name: Case(**vars(row)) for name, row in ROWS.items()} | EXTRA

# State, code, attempts and usage by the catalogue's number; where a number has several, by the row's name.
DECIDED: dict[str, str] = {
    **dict.fromkeys(map(str, (*range(1, 19), 19, 20, 23, 24, 25, *range(29, 42), 43)), "completed - 1 U"),
    "14": "completed - 1 E",
    "18 no usage": "completed - 1 E",
    "19 no usage": "completed - 1 E",
    "20 no usage": "completed - 1 E",
    "21": "failed upstream_incomplete 1 E",
    "22": "failed upstream_incomplete 3 0",
    "26": "completed - 1 E",
    "27": "completed - 1 E",
    "28": "completed - 1 E",
    "39 content filter": "completed - 1 E",
    "42": "failed answer_empty 2 U",
    "44": "failed upstream_malformed 1 E",
    "44 odd fields": "completed - 1 U",
    "44 nested 10,000 deep, first": "failed upstream_malformed 3 0",
    "45": "failed upstream_malformed 3 0",
    "46": "failed upstream_malformed 1 E",
    "47 error, first": "failed upstream_error 3 0",
    "47 overloaded, first": "failed upstream_overloaded 3 0",
    "47 then an answer": "completed - 2 U",
    "47 overloaded, then an answer": "completed - 3 U",
    "48": "failed upstream_error 1 E",
    "49 quota": "failed upstream_quota 1 0",
    "49 quota, mid": "failed upstream_quota 1 E",
    "49 context": "failed context_too_long 1 E",
    "50": "failed upstream_malformed 1 E",
    "51": "failed answer_too_long 1 E",
    "52": "failed upstream_timeout 1 0",
    "53": "failed upstream_stalled 1 E",
    "54": "failed upstream_timeout 1 0",
    "55": "failed upstream_timeout 1 0",
    "56 silence": "failed upstream_stalled 1 E",
    "56 silence after a comment": "failed upstream_timeout 1 0",
    "57": "failed answer_too_long 1 E",
    "58": "completed - 1 U",
    "59": "completed - 1 U",
    "60": "failed upstream_encoding 1 0",
    "61": "failed upstream_encoding 1 0",
    "62": "completed - 1 U",
    "63 JSON error": "failed upstream_quota 1 0",
    "63 JSON error, overloaded": "failed upstream_overloaded 3 0",
    "64": "failed upstream_bad_response 1 0",
    "65": "completed - 1 U",
    "66 201": "completed - 1 U",
    "66 1xx first": "completed - 1 U",
    "66 204": "failed upstream_bad_response 1 0",
    "66 206": "failed upstream_bad_response 1 0",
    "67": "failed upstream_rejected 1 0",
    "68": "failed context_too_long 1 0",
    "69": "failed upstream_auth 1 0",
    "70": "failed upstream_quota 1 0",
    "71 403": "failed upstream_forbidden 1 0",
    "71 404 JSON": "failed upstream_not_found 1 0",
    "71 404 HTML": "failed upstream_bad_response 1 0",
    "71 405": "failed upstream_bad_response 1 0",
    "72": "failed upstream_error 3 0",
    "72 408, then an answer": "completed - 2 U",
    "72 409 twice, then an answer": "completed - 3 U",
    "73": "failed upstream_rate_limited 3 0",
    "73 then an answer": "completed - 2 U",
    "73 as long as is waited": "completed - 2 U",
    "73 longer than is waited in all": "failed upstream_rate_limited 2 0",
    "74": "failed upstream_rate_limited 3 0",
    "74 an hour": "failed upstream_rate_limited 1 0",
    "74 for ever": "failed upstream_rate_limited 1 0",
    "75": "failed upstream_error 3 0",
    "75 then an answer": "completed - 2 U",
    "76": "failed upstream_overloaded 3 0",
    "76 then an answer": "completed - 3 U",
    "77 500 twice, then an answer": "completed - 3 U",
    "77 told not to retry": "failed upstream_error 1 0",
    "77 told to retry": "failed upstream_rejected 3 0",
    "77 told to retry, then an answer": "completed - 2 U",
    "78": "failed upstream_redirect 1 0",
    "79": "failed upstream_unreachable 3 0",
    "79 reset twice, then an answer": "completed - 3 U",
    "80 no such name": "failed upstream_dns 2 0",
    "80 time-out of the look-up": "failed upstream_unreachable 3 0",
    "81": "failed upstream_tls 1 0",
    "81 handshake that stalls": "failed upstream_timeout 3 0",
    "82 close before headers": "failed upstream_cut 3 0",
    "82 half a header": "failed upstream_cut 3 0",
    "82 garbage": "failed upstream_bad_response 1 0",
    "82 200 kB of headers": "failed upstream_bad_response 1 0",
    "82 bad chunk size": "failed upstream_malformed 3 0",
    "83": "failed upstream_cut 1 E",
    "84 no framing, complete": "completed - 1 U",
    "84 no framing, incomplete": "failed upstream_incomplete 1 E",
    # Without a number of their own.
    "error without a body": "failed upstream_error 3 0",
    "error without an end": "failed upstream_error 3 0",
    "error of endless length": "failed upstream_error 3 0",
    "packed error": "failed upstream_error 3 0",
    "error packed in br": "failed upstream_error 3 0",
    "cut after the finish": "completed - 1 E",
    "cut after a finish in every chunk": "failed upstream_cut 1 E",
}

# Too long, or made of bytes that come when the test says so.
NOT_DRIBBLED = {"8", "9", "50", "51", "57", "58", "60"}
DRIBBLED = [
    name
    for name, case in CASES.items()
    if name.split()[0] not in NOT_DRIBBLED
    and name != "82 200 kB of headers"
    and case.at == "upstream"
    and not any(isinstance(step, Gate) for step in case.script)
]


def number(name: str) -> int | None:
    """The catalogue's number of a row."""
    first = name.split()[0]
    return int(first) if first.isdigit() else None


def decision(name: str) -> Decision:
    """What a generation makes of a row."""
    words = DECIDED[name] if name in DECIDED else DECIDED[name.split()[0]]
    state, code, attempts, usage = words.split()
    return Decision(state, None if code == "-" else code, int(attempts), usage)
