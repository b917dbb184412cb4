"""Answers in the shapes of many real servers, replayed over a real socket: whole, byte by byte, and cut at random.

corpus/NAME.body is what the server sends, corpus/NAME.json what must come out. The texts are our own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chat.finish_reasons import meaning_of
from chat.providers import build
from chat.providers.retry import BUDGET, delay
from tests.support.asking import Outcome, ask, endpoint
from tests.support.upstream import LAST_CHUNK, Fin, Pause, Script, Send, Upstream, bytewise, framed, head

CORPUS = Path(__file__).with_name("corpus")
CASES = sorted(path.stem for path in CORPUS.glob("*.json"))
ALL = {f"o{number:02}" for number in range(1, 26)}

CODES = {
    "server": "upstream_error",
    "bad_gateway": "upstream_error",
    "overloaded": "upstream_overloaded",
    "rate_limit": "upstream_rate_limited",
    "quota": "upstream_quota",
    "context_length": "context_too_long",
    "auth": "upstream_auth",
    "permission": "upstream_forbidden",
    "not_found": "upstream_not_found",
    "invalid_request": "upstream_rejected",
    "unsupported_field": "upstream_rejected",
    "timeout": "upstream_timeout",
    "incomplete": "upstream_incomplete",
}
SEED = 20261122
SPLITS = 100
PIECES = 16
AT_ONCE = 6
"""More would leave our side no time to read what is written while it comes."""

MOST_WRITES = 2000
FLUSH = Pause(0.0005)
"""Between two writes: lets what was written arrive, and mostly be read, by itself."""


@dataclass
class Case:
    """One body, and what its sidecar says."""

    name: str
    body: bytes
    said: Mapping[str, Any]

    @classmethod
    def load(cls, name: str) -> Case:
        return cls(name, (CORPUS / f"{name}.body").read_bytes(), json.loads((CORPUS / f"{name}.json").read_text()))

    @property
    def is_chunked(self) -> bool:
        return self.said["transport"]["framing"] == "chunked"

    @property
    def settings(self) -> dict[str, Any]:
        """How the provider is set. `ask`: what happens when a refused field is left out has a test of its own."""
        legacy = self.said["kind"] == "completion_stream"
        tagged = self.said["decode"].get("think_tags")
        return {
            "usage_mode": "ask",
            "dialect": "completions" if legacy else "chat_completions",
            "think_tags": "tagged" if tagged else "kept",
        }

    def head(self) -> Send:
        headers = dict(self.said["headers"])
        framing = self.said["transport"]["framing"]
        if framing == "chunked":
            headers["transfer-encoding"] = "chunked"
        elif framing == "content-length":
            headers["content-length"] = str(len(self.body))
        else:
            headers["connection"] = "close"
        return Send(head(self.said["status"], headers))

    def tail(self) -> Script:
        if self.said["transport"]["truncate"] or self.said["transport"]["framing"] == "close":
            return (Fin(),)
        return (Send(LAST_CHUNK),) if self.is_chunked else ()

    def script(self, pieces: list[bytes]) -> Script:
        """The body in these pieces, each a chunk of HTTP's (if it is chunked) and a write of its own."""
        body = [Send(framed(piece) if self.is_chunked else piece) for piece in pieces]
        return (self.head(), *body, *self.tail())


TOKEN = Case.load("o25_evolution_token_ok")
ANSWERS = [name for name in CASES if name != TOKEN.name]


@pytest.fixture(params=ANSWERS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case.load(request.param)


def spread(script: Script) -> Script:
    """The same, with a pause after each write."""
    return tuple(one for step in script for one in ((step, FLUSH) if isinstance(step, Send) else (step,)))


def resent(script: Script, cuts: Callable[[bytes], list[bytes]]) -> Script:
    """The same bytes in other writes, which cut HTTP's own framing too."""
    wire = b"".join(step.data for step in script if isinstance(step, Send))
    return (*map(Send, cuts(wire)), *(step for step in script if not isinstance(step, Send)))


def cut(data: bytes, dice: random.Random) -> list[bytes]:
    """The data in up to PIECES pieces."""
    cuts = sorted(dice.sample(range(1, len(data)), min(dice.randrange(1, PIECES), len(data) - 1)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def check(case: Case, outcome: Outcome) -> None:
    expected = case.said["expected"]
    assert outcome.text == expected["text"] + expected["refusal"]
    assert outcome.reasoning == expected["reasoning"]
    error, complaint = outcome.error, expected["error"]
    # Nobody's words but upstream's are stored; an `error` of its own is a failure and no finish.
    assert outcome.finish == (None if complaint else expected["finish_reason_raw"])
    assert (meaning_of(outcome.finish) or None) == (None if complaint else expected["finish_reason"])
    assert (error is None) is (complaint is None) is expected["complete"]
    waits = {wait for wait in (decision(outcome, chance) for chance in (0.0, 0.5, 0.999)) if wait is not None}
    again = expected["retryable"] and (expected["retry_after_s"] or 0) <= BUDGET
    assert bool(waits) is again
    if error is not None:
        assert error.code == CODES[complaint["kind"]]
        assert error.permanent is not expected["transient"]
        assert error.retry_after == expected["retry_after_s"]
        if again:
            assert waits == {expected["retry_after_s"]} if expected["retry_after_s"] else max(waits) <= 0.5
    usage = {name: count for name, count in vars(outcome.usage).items() if name != "place"} if outcome.usage else None
    assert usage == expected["usage"]
    assert next(iter(outcome.models), None) == expected["response_model"]
    request_id = error.request_id if error and not outcome.events else outcome.request_id
    assert (request_id or None) == expected["request_id"]


def decision(outcome: Outcome, chance: float) -> float | None:
    """Seconds until the first try is followed by a second one, if it is; whoever saw a word is not served again."""
    return None if outcome.error is None or outcome.deltas else delay(outcome.error, 1, 0.0, lambda: chance)


async def replay(upstream: Upstream, case: Case, scripts: Mapping[str, Script]) -> dict[str, Outcome]:
    """What comes out of each script, many at a time; upstream finds a script by the model that is asked for."""
    for name, script in scripts.items():
        upstream.play(name, script)
    adapter = build(endpoint(upstream.base_url, **case.settings))
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Outcome:
        async with places:
            return await ask(adapter, name)

    try:
        return dict(zip(scripts, await asyncio.gather(*map(one, scripts)), strict=True))
    finally:
        await adapter.aclose()


def test_every_body_is_here_as_its_sidecar_describes_it():
    assert {name[:3] for name in CASES} == ALL
    assert sorted(path.stem for path in CORPUS.glob("*.body")) == CASES
    for name in CASES:
        case = Case.load(name)
        assert case.said["name"] == name
        assert case.said["body_file"] == f"{name}.body"
        assert len(case.body) == case.said["body_bytes"]
        assert hashlib.sha256(case.body).hexdigest() == case.said["body_sha256"]


async def test_a_shape_that_comes_whole_is_read_as_its_sidecar_says(case: Case, upstream: Upstream):
    script = case.script([case.body])
    outcomes = await replay(upstream, case, {"steps": script, "one write": resent(script, lambda wire: [wire])})
    for outcome in outcomes.values():
        check(case, outcome)


async def test_a_shape_whose_bytes_come_one_by_one_is_read_as_its_sidecar_says(case: Case, upstream: Upstream):
    apart = case.script([case.body[at : at + 1] for at in range(len(case.body))])
    scripts = {"whole": case.script([case.body]), "apart": apart if case.is_chunked else spread(apart)}
    outcomes = await replay(upstream, case, scripts)
    check(case, outcomes["apart"])
    assert outcomes["apart"].events == outcomes["whole"].events
    if case.is_chunked:  # each chunk is a read of its own; nothing is read after the end mark or an error
        assert len(case.body) - 20 <= len(outcomes["apart"].calls.received) <= len(case.body)


async def test_shapes_whose_bytes_are_written_one_by_one_are_read_as_their_sidecars_say(upstream: Upstream):
    """HTTP's framing included. Several at a time, since most of it is waiting."""
    cases = [case for case in map(Case.load, ANSWERS) if len(case.body) <= MOST_WRITES]
    places = asyncio.Semaphore(AT_ONCE)

    async def play(case: Case) -> int:
        async with places:
            outcomes = await replay(upstream, case, {case.name: spread(bytewise(case.script([case.body])))})
        check(case, outcomes[case.name])
        return len(outcomes[case.name].calls.received)

    reads = sum(await asyncio.gather(*map(play, cases)))
    writes = sum(len(case.body) for case in cases)
    print(f"{reads} reads of {writes} bytes")
    assert reads > writes / 10


async def test_a_token_is_read_however_its_bytes_come(upstream: Upstream):
    dice, said = random.Random(f"{SEED} token"), TOKEN.said["request"]
    ways = [[TOKEN.body], [TOKEN.body[at : at + 1] for at in range(len(TOKEN.body))]]
    ways += [cut(TOKEN.body, dice) for _ in range(SPLITS)]
    settings = endpoint(
        upstream.base_url,
        auth="evolution",
        key_id=said["json"]["keyId"],
        api_key=said["json"]["secret"],
        token_url=upstream.base_url.removesuffix("/v1") + said["path"],
    )
    upstream.play(f"POST {said['path']}", *(spread(TOKEN.script(pieces)) for pieces in ways))
    for _ in ways:
        adapter = build(settings)
        assert (await ask(adapter, "m")).error is None
        await adapter.aclose()
    asked = [request for request in upstream.requests if request.path == said["path"]]
    assert [request.body for request in asked] == [said["json"]] * len(ways)
    told = {request.headers["authorization"] for request in upstream.requests if request.path != said["path"]}
    assert told == {TOKEN.said["expected"]["token"]["authorization_header"]}


async def test_a_shape_that_is_cut_at_random_is_read_as_its_sidecar_says(case: Case, upstream: Upstream):
    dice = random.Random(f"{SEED} {case.name}")
    scripts: dict[str, Script] = {"whole": case.script([case.body])}
    for number in range(SPLITS):
        script = case.script(cut(case.body, dice))
        scripts[f"split {number}"] = spread(resent(script, lambda wire: cut(wire, dice)) if number % 3 == 0 else script)
    outcomes = await replay(upstream, case, scripts)
    for name, outcome in outcomes.items():
        try:
            check(case, outcome)
            assert outcome.events == outcomes["whole"].events
        except AssertionError:
            print(f"seed {SEED}, {name}: {scripts[name]}")
            raise
    reads = sum(len(outcome.calls.received) for outcome in outcomes.values())
    print(f"{reads} reads in {len(scripts)} answers")
    assert reads > 5 * len(scripts) or not case.is_chunked
