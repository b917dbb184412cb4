"""The catalogue of upstream faults, as an adapter meets them: what upstream plays, and what comes out."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

from tests.support.asking import KEY
from tests.support.upstream import (
    DONE,
    Fin,
    Gate,
    Repeat,
    Rst,
    Script,
    Send,
    answer,
    bytewise,
    chunk,
    document,
    error,
    event,
    framed,
    head,
    html,
    raw_body,
    stream,
    usage_chunk,
)

END = (chunk(finish="stop"), usage_chunk(7, 5), DONE)
SSE = {"Content-Type": "text/event-stream"}


@dataclass(frozen=True)
class Row:
    """One injection and what must come of it; `tries` is how often it may be sent when nothing came before."""

    script: Script
    text: str = "Hello, world"
    code: str | None = None
    tries: int = 1
    finish: str | None = "stop"
    counts: tuple[int, int, int] | None = (7, 5, 12)
    warnings: tuple[str, ...] = ()


def fails(script: Script, code: str, tries: int, text: str = "", warnings: tuple[str, ...] = ()) -> Row:
    return Row(script, text, code, tries, None, None, warnings)


def completes(*parts: Any, **expected: Any) -> Row:
    return Row(stream("Hello", *parts, ", world", *END), **expected)


def body(*parts: bytes, end: bytes = b"\n\n") -> bytes:
    """A stream's bytes with another line end."""
    whole = b"".join(parts) or b"".join(event(part) for part in (chunk("Hello"), chunk(", world"), *END[:2])) + DONE
    return whole.replace(b"\n\n", end)


HELLO, WORLD, FINISH, USAGE = (event(part) for part in (chunk("Hello"), chunk(", world"), *END[:2]))
PRETTY = "".join(f"data: {line}\n" for line in json.dumps(chunk(", world"), indent=1).splitlines()).encode() + b"\n"
FIFTY = "".join(f"{n} " for n in range(50))
SEPARATORS = "a\u2028b\u2029c\u0085d"
FACES = "\U0001f469\u200d\U0001f680"
HALVES = rb'data: {"choices":[{"index":0,"delta":{"content":"HALF"}}]}' + b"\n\n"
FORM = {
    "1 CRLF": Row(stream(body(end=b"\r\n\r\n"))),
    "2 CR": Row(stream(body(end=b"\r\r"))),
    "3 mixed, CRLF split": Row(stream(HELLO[:-2] + b"\r", b"\n\r", b"\n", WORLD[:-2] + b"\n\r", FINISH, USAGE, DONE)),
    "4 BOM": Row(stream(b"\xef\xbb\xbf" + HELLO, WORLD, *END)),
    "4 BOM split": Row(stream(b"\xef", b"\xbb\xbf" + HELLO, WORLD, *END)),
    "5 comments": Row(
        stream(b": OPENROUTER PROCESSING\n\n", HELLO[:-1] + b": in\n\n", b":\n\n", WORLD, *END, b": x\n")
    ),
    "6 no space": Row(stream(body().replace(b"data: ", b"data:"))),
    "6 two spaces": Row(stream(body().replace(b"data: ", b"data:  "))),
    "7 pretty JSON": Row(stream(HELLO, PRETTY, *END)),
    "8 split characters": Row(bytewise(stream(f"Hello{FACES}", ", world", *END)), text=f"Hello{FACES}, world"),
    "9 byte by byte": Row(bytewise(answer("Hello", ", world"))),
    "9 fifty in one": Row(stream(b"".join(event(chunk(f"{n} ")) for n in range(50)), *END), text=FIFTY),
    "10 separators": Row(stream(f"Hello{SEPARATORS}", ", world", *END), text=f"Hello{SEPARATORS}, world"),
    "11 halves": Row(stream(HALVES.replace(b"HALF", rb"\ud83d"), HALVES.replace(b"HALF", rb"\udc69"), *END), text="👩"),
    "11 lone": Row(stream(HALVES.replace(b"HALF", rb"a\ud83d"), *END), text="a\ufffd", warnings=("lone_surrogate",)),
    "12 bad UTF-8": Row(
        stream(HELLO.replace(b"Hello", b"He\xffo"), ", world", *END), text="He\ufffdo, world", warnings=("bad_utf8",)
    ),
    "13 other fields": Row(stream(b"id: 1\nretry: 5\nfoo: bar\nnothing\nevent: message\n" + HELLO, WORLD, *END)),
    "14 no last blank line": Row(stream(HELLO, WORLD, FINISH.rstrip()), counts=None),
    "15 end mark bare": Row(stream(HELLO, WORLD, FINISH, USAGE, b"data:[DONE]")),
    "15 end mark with a blank": Row(stream(HELLO, WORLD, FINISH, USAGE, b"data: [DONE] \n\n")),
    "16 noise": completes(b"data:\n\n", b"data: ping\n\n", b"data: keep-alive\n\n"),
    "17 after the end mark": Row(stream("Hello", ", world", *END, "lost", b"data: {nonsense\n\n")),
}
MEANING = {
    "18 no end mark": Row(stream("Hello", ", world", *END[:2])),
    "20 no finish": Row(stream("Hello", ", world", END[1], DONE), finish=None, warnings=("done_without_finish",)),
    "21 neither, mid": fails(stream("Hello"), "upstream_incomplete", 3, "Hello"),
    "22 neither, first": fails(stream(), "upstream_incomplete", 3),
    "23 usage after the finish": completes(),
    "24 usage before the finish": Row(stream("Hello", ", world", usage_chunk(7, 5), chunk(finish="stop"), DONE)),
    "24 usage in the finish": Row(stream("Hello", ", world", chunk(finish="stop", usage=(7, 5)), DONE)),
    "25 usage in every chunk": Row(
        stream(chunk("Hello", usage=(7, 2)), chunk(", world", usage=(7, 4)), chunk(usage=None), *END)
    ),
    "26 no usage": Row(stream("Hello", ", world", chunk(finish="stop"), DONE), counts=None),
    "27 nonsense usage": Row(
        stream("Hello", ", world", chunk(usage=(-1, 10**12)), chunk(finish="stop"), DONE),
        counts=None,
        warnings=("usage_ignored",),
    ),
    "29 Azure's first chunk": Row(stream(chunk(choices=[], prompt_filter_results=[]), "Hello", ", world", *END)),
    "30 empty deltas": Row(stream(chunk(""), chunk(choices=[{"index": 0, "delta": {}}]), "Hello", ", world", *END)),
    "31 message in place of delta": Row(
        stream(chunk(choices=[{"message": {"content": "Hello"}}]), chunk(choices=[{"text": ", world"}]), *END)
    ),
    "32 parts": Row(
        stream(chunk(choices=[{"delta": {"content": [{"type": "text", "text": "Hello"}, ", world"]}}]), *END)
    ),
    "33 another choice": completes(
        chunk(choices=[{"index": 1, "delta": {"content": "no"}}]), warnings=("unexpected_choice",)
    ),
    "34 refusal": Row(stream(chunk(choices=[{"delta": {"refusal": "No."}}]), *END), text="No.", warnings=("refusal",)),
    "37 tool call": Row(
        stream(
            chunk(choices=[{"delta": {"tool_calls": [{"index": 0, "function": {"name": "sum", "arguments": ""}}]}}]),
            chunk(finish="tool_calls"),
            *END[1:],
        ),
        text="[asked for tool sum]",
        finish="tool_calls",
    ),
    "38 length": Row(stream("Hello, world", chunk(finish="length"), *END[1:]), finish="length"),
    "39 content filter": Row(
        stream("Hello, world", chunk(finish="content_filter"), DONE), finish="content_filter", counts=None
    ),
    "40 finish in every chunk": Row(
        stream(chunk("Hello", finish="stop"), chunk(", world", finish="stop"), *END), warnings=("content_after_finish",)
    ),
    "40 empty finish": Row(stream(chunk("Hello", finish=""), chunk(", world", finish="null"), *END)),
    "41 content in the finish": Row(stream("Hello", chunk(", world", finish="stop"), *END[1:])),
    "42 no content": Row(stream(*END), text=""),
    "43 cumulative": Row(stream("a", "ab", "abc", "abcd", *END), text="aababcabcd", warnings=("cumulative?",)),
    "44 nested 10,000 deep": fails(
        stream("Hello", b'data: {"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n\n"), "upstream_malformed", 3, "Hello"
    ),
    "45 malformed, first": fails(stream(b"data: {nonsense\n\n"), "upstream_malformed", 3),
    "46 malformed, mid": fails(stream("Hello", b"data: {nonsense\n\n", "lost"), "upstream_malformed", 3, "Hello"),
    "47 error, first": fails(stream({"error": {"type": "server_error"}}), "upstream_error", 3),
    "47 overloaded, first": fails(stream({"error": {"type": "overloaded_error"}}, DONE), "upstream_overloaded", 3),
    "48 error, mid": fails(stream("Hello", {"error": {"message": "x"}}, DONE), "upstream_error", 3, "Hello"),
    "48 event: error, mid": fails(stream("Hello", b'event: error\ndata: "x"\n\n'), "upstream_error", 3, "Hello"),
    "49 quota": fails(stream({"error": {"code": "insufficient_quota"}}), "upstream_quota", 1),
    "49 context": fails(
        stream("Hello", {"error": {"code": "context_length_exceeded"}}), "context_too_long", 1, "Hello"
    ),
}
CODING = {
    "50 a line without end": fails(
        stream("Hello", b"data: ", Repeat(b"x" * 10_000, count=1000)), "upstream_malformed", 3, "Hello"
    ),
    "61 broken gzip": fails(
        raw_body(b"no gzip", headers={**SSE, "Content-Encoding": "gzip"}),
        "upstream_encoding",
        1,
        warnings=("compressed",),
    ),
    "61 br": fails(raw_body(b"x", headers={**SSE, "Content-Encoding": "br"}), "upstream_encoding", 1),
    "61 zstd": fails(raw_body(b"x", headers={**SSE, "Content-Encoding": "zstd"}), "upstream_encoding", 1),
    "61 stacked": fails(raw_body(b"x", headers={**SSE, "Content-Encoding": "gzip, gzip"}), "upstream_encoding", 1),
    "59 gzip": Row(
        raw_body(gzip.compress(body()), headers={**SSE, "Content-Encoding": "gzip"}), warnings=("compressed",)
    ),
    "62 JSON": Row(
        document(
            {
                "choices": [{"index": 0, "message": {"content": "Hello, world"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
            }
        ),
        warnings=("whole_answer",),
    ),
    "63 JSON error": fails(error(200, code="insufficient_quota"), "upstream_quota", 1, warnings=("whole_answer",)),
    "64 HTML": fails(html(), "upstream_bad_response", 1),
    "65 text/plain": Row(stream(body(), headers={"Content-Type": "text/plain"}), warnings=("content_type",)),
    "65 no type": Row(stream(b": hi\n\n", body(), headers={}), warnings=("content_type",)),
    "66 201": Row(stream(body(), status=201)),
    "66 1xx first": Row((Send(head(103)), *stream(body()))),
    "66 204": fails((Send(head(204)),), "upstream_bad_response", 1),
    "66 206": fails(stream(body(), status=206), "upstream_bad_response", 1),
}
STATUS = {
    "67 400": fails(error(400), "upstream_rejected", 1),
    "67 422": fails(error(422), "upstream_rejected", 1),
    "68 400 context": fails(error(400, code="context_length_exceeded"), "context_too_long", 1),
    "68 413": fails(error(413), "context_too_long", 1),
    "69 401": fails(error(401, f"Incorrect API key provided: {KEY[:8]}****{KEY[-4:]}"), "upstream_auth", 1),
    "70 402": fails(error(402), "upstream_quota", 1),
    "70 429 quota": fails(error(429, code="insufficient_quota"), "upstream_quota", 1),
    "71 403": fails(error(403), "upstream_forbidden", 1),
    "71 404 JSON": fails(error(404), "upstream_not_found", 1),
    "71 404 HTML": fails(html(404), "upstream_bad_response", 1),
    "71 405": fails(error(405), "upstream_bad_response", 1),
    "72 408": fails(error(408), "upstream_error", 3),
    "72 409": fails(error(409), "upstream_error", 3),
    "75 500": fails(error(500), "upstream_error", 3),
    "75 502 HTML": fails(html(502), "upstream_error", 3),
    "75 504": fails(error(504), "upstream_error", 3),
    "76 503": fails(error(503), "upstream_overloaded", 3),
    "76 529": fails(error(529), "upstream_overloaded", 3),
    "77 told not to retry": fails(error(500, headers={"x-should-retry": "false"}), "upstream_error", 1),
    "77 told to retry": fails(error(400, headers={"x-should-retry": "true"}), "upstream_rejected", 3),
    "error without a body": fails((Send(head(500, {"Content-Length": "0"})),), "upstream_error", 3),
    "error without an end": fails((Send(head(500, {"Content-Length": "9"}) + b"x"), Fin()), "upstream_error", 3),
    "error of endless length": fails(stream(Repeat(b"x" * 9999), status=500), "upstream_error", 3),
    "packed error": fails(raw_body(gzip.compress(b"x"), 500, {"Content-Encoding": "gzip"}), "upstream_error", 3),
    "error packed in br": fails(raw_body(b"x", 500, {"Content-Encoding": "br"}), "upstream_error", 3),
}
TRANSPORT = {
    "82 close before headers": fails((Fin(),), "upstream_cut", 3),
    "82 half a header": fails((Send(b"HTTP/1.1 200 OK\r\nContent-"), Fin()), "upstream_cut", 3),
    "82 garbage": fails((Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),), "upstream_bad_response", 1),
    "82 200 kB of headers": fails((Send(head(200, {"X": "x" * 200_000})),), "upstream_bad_response", 1),
    "82 bad chunk size": fails(
        (Send(head(200, {**SSE, "Transfer-Encoding": "chunked"}) + b"zzz\r\n"),), "upstream_malformed", 3
    ),
    "83 FIN without the last chunk": fails((*stream("Hello", whole=False), Fin()), "upstream_cut", 3, "Hello"),
    "83 FIN in a chunk": fails(
        (*stream("Hello", whole=False), Send(framed(WORLD)[:-20]), Fin()), "upstream_cut", 3, "Hello"
    ),
    "83 short length": fails((*stream("Hello", framing="length", length=999), Fin()), "upstream_cut", 3, "Hello"),
    "83 RST in a chunk": fails(
        (*stream("Hello", whole=False), Send(framed(WORLD)[:-20]), Gate("seen"), Rst()), "upstream_cut", 3, "Hello"
    ),
    "84 no framing, complete": Row(stream(body(), framing="close")),
    "84 no framing, incomplete": fails(stream("Hello", framing="close"), "upstream_incomplete", 3, "Hello"),
    "cut after the finish": Row(
        (*stream("Hello", ", world", END[0], whole=False), Fin()), counts=None, warnings=("cut_after_finish",)
    ),
    "cut after a finish in every chunk": Row(
        (*stream(chunk("Hello", finish="stop"), chunk(", wo", finish="stop"), whole=False), Fin()),
        text="Hello, wo",
        code="upstream_cut",
        tries=3,
        counts=None,
        warnings=("content_after_finish",),
    ),
}
ROWS: dict[str, Row] = {**FORM, **MEANING, **CODING, **STATUS, **TRANSPORT}
