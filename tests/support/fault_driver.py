"""Runs a row of the catalogue through a real runner, with a follower, with one that reconnects, or with none.

Time: `HastyTime` shortens the waits between two tries, and the runner's clock goes on by the whole wait all the same; a
provider whose name begins with `hasty` has all its limits shortened by the same factor. The one of connecting only
where nobody can be connected with: elsewhere a busy machine may well take longer than a hundredth of five seconds.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pytest

from chat import tokens
from chat.generation import store
from chat.generation.runner import Runner
from chat.models import Generation, LanguageModel, Provider, Segment
from chat.protocol import Accepted, Delta, Finished, Frame, Send, Snapshot, Status
from chat.providers import Endpoint, TimeLimits, call
from chat.texts.frames import frame_of
from tests.support.asking import KEY
from tests.support.generation_faults import CASES, FACTOR, Case, Decision, decision
from tests.support.upstream import Gate, Repeat, RequestLog, Script, Stall, Upstream, bytewise
from tests.support.upstream import Send as SendBytes

PROMPT = "Hello?"
PATH = "/v1/chat/completions"
POLL_SECONDS = 0.002
HASTY, HASTY_CONNECTING = "hasty", "hasty in connecting"
ATTACHED, RECONNECTING, ABSENT, DRIBBLED = "attached", "reconnecting", "absent", "dribbled"
MODES = (ATTACHED, RECONNECTING, ABSENT)
_ENDPOINT = Provider.endpoint


def hasty_endpoint(provider: Provider) -> Endpoint:
    """`Provider.endpoint`, with all limits shortened for those that are named so."""
    endpoint = _ENDPOINT(provider)
    if not provider.name.startswith(HASTY):
        return endpoint
    limits = {name: seconds * FACTOR for name, seconds in asdict(endpoint.limits).items()}
    if not provider.name.startswith(HASTY_CONNECTING):
        limits["connect"] = endpoint.limits.connect
    return replace(endpoint, limits=TimeLimits(**limits))


class HastyTime:
    """Stands for `asyncio` in chat.generation.run, and notes what waits each task asks for."""

    def __init__(self) -> None:
        self.waits: dict[str, list[float]] = defaultdict(list)
        self._skipped = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.waits[task.get_name()].append(seconds)
        self._skipped += seconds * (1 - FACTOR)
        await asyncio.sleep(seconds * FACTOR)

    def clock(self) -> float:
        return time.monotonic() + self._skipped


class Listener(logging.Handler):
    """Keeps what is logged, and by generation what upstream sent that was odd."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.warnings: dict[uuid.UUID, list[str]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        odd = re.fullmatch(r"generation (\S+): upstream sent something odd: (\S+)", record.getMessage())
        if odd:
            self.warnings[uuid.UUID(odd[1])].append(odd[2])


@dataclass
class Reader:
    """What a browser makes of the frames of one generation. `followings`: how often it began to follow."""

    text: str = ""
    reasoning: str = ""
    epoch: str | None = None
    seq: int = 0
    frames: list[Frame] = field(default_factory=list)
    followings: int = 0

    def apply(self, frame: Frame) -> None:
        assert not self.frames or not isinstance(self.frames[-1], Finished), f"{frame} after the end"
        self.frames.append(frame)
        if isinstance(frame, Snapshot):
            self.text, self.reasoning, self.seq, self.epoch = frame.text, frame.reasoning, frame.seq, frame.epoch
        elif isinstance(frame, Delta):
            assert frame.prev == self.seq, f"at {self.seq}, got {frame}"
            self.text += frame.text if isinstance(frame.text, str) else ""
            self.reasoning += frame.reasoning if isinstance(frame.reasoning, str) else ""
            self.seq = frame.seq

    @property
    def finished(self) -> Finished:
        assert isinstance(self.frames[-1], Finished), self.frames[-1]
        return self.frames[-1]

    @property
    def retries(self) -> list[tuple[Any, Any]]:
        """Which attempt comes next, and in how many ms."""
        statuses = [frame for frame in self.frames if isinstance(frame, Status)]
        return [(status.attempt, status.wait_ms) for status in statuses if status.phase == "retrying"]


@dataclass(frozen=True)
class Outcome:
    """What became of one generation, wherever it can be seen."""

    reader: Reader
    generation: Generation
    segments: int
    stored: tuple[Snapshot, Finished]
    requests: list[RequestLog]
    waits: list[float]
    warnings: list[str]
    log: str


class Driver:
    """A runner, its owner, the upstream, and the addresses where providers are."""

    def __init__(self, owner: int, upstream: Upstream, addresses: dict[str, str]) -> None:
        self.owner = owner
        self.upstream = upstream
        self.time = HastyTime()
        self.listener = Listener()
        self.runner = Runner(self.time.clock)
        self._addresses = addresses

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Driver]:
        """With its runner at work, in hasty time."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(call, "asyncio", self.time)
            patch.setattr(Provider, "endpoint", hasty_endpoint)
            logging.getLogger().addHandler(self.listener)
            await asyncio.to_thread(self.runner.open)
            await self.runner.start()
            yield self
            await self.runner.drain(0)
            await self.runner.close()
            logging.getLogger().removeHandler(self.listener)

    async def play(self, name: str, mode: str) -> Outcome:
        """The whole generation of one row."""
        case, decided = CASES[name], decision(name)
        scripts = case.scripts
        if mode == DRIBBLED:
            scripts = tuple(bytewise(script) for script in scripts)
        elif mode == RECONNECTING and not case.hasty and decided.state == "failed" and case.text:
            scripts = tuple(_with_gate(script) for script in scripts)
        model = f"{name}, {mode}"
        generation = await self.begin(model, case, scripts)
        reader, opening = Reader(), None
        has_gate = any(isinstance(step, Gate) for step in scripts[0])
        if mode == RECONNECTING:
            await self.follow(generation, reader, lambda frame: _is_time_to_leave(case, decided, reader))
            if has_gate:
                await asyncio.to_thread(self.upstream.open, "seen")
        elif has_gate:
            opening = asyncio.create_task(self._open_gate(generation))
        if mode == ABSENT:
            await self.until_over(generation)
            self.runner.logs.pop(generation)  # as a minute later
        await self.follow(generation, reader)
        if opening is not None:
            await opening
        outcome = await self.outcome(generation, reader, model)
        if any(isinstance(step, Stall | Repeat) for step in case.script):  # only the portal can end that
            for request in outcome.requests:
                await asyncio.to_thread(self.upstream.wait_for_close, request)
        return outcome

    async def begin(self, model: str, case: Case, scripts: tuple[Script, ...] = (), **fields: Any) -> uuid.UUID:
        """Send a prompt to a model of its own."""
        return await self.ask(await self.make(model, case, scripts, **fields))

    async def make(self, model: str, case: Case, scripts: tuple[Script, ...] = (), **fields: Any) -> int:
        """A model at a provider of its own that nobody is connected with yet."""
        if case.at.startswith("turned away"):
            self.upstream.turn_away(2 if "twice" in case.at else 3)
        await asyncio.to_thread(self.upstream.play, model, *(scripts or case.scripts))
        pace = "patient" if not case.hasty else HASTY if case.at == "upstream" else HASTY_CONNECTING
        made: int = await self.runner.database.write(
            lambda: _make_model(f"{pace}: {model}", model, self._address(case.at), **fields)
        )
        return made

    async def ask(self, model: int) -> uuid.UUID:
        """Send a prompt to a model that is there."""
        accepted = await self.runner.send(self.owner, Send(uuid.uuid4(), None, PROMPT, model=str(model)))
        assert isinstance(accepted, Accepted), accepted
        return uuid.UUID(accepted.generation)

    async def follow(
        self, generation: uuid.UUID, reader: Reader, leave: Callable[[Frame], bool] = lambda frame: False
    ) -> None:
        """One following, to the end or until it is time to leave; goes on where the reader stands."""
        reader.followings += 1
        async with aclosing(self.runner.follow(self.owner, generation, reader.epoch, reader.seq)) as events:
            async for event in events:
                frame = frame_of(event, "en")
                reader.apply(frame)
                if leave(frame):
                    return

    async def until_over(self, generation: uuid.UUID) -> None:
        """Until its end is stored, without following it."""
        while generation in self.runner.runs:
            await asyncio.sleep(POLL_SECONDS)

    async def outcome(self, generation: uuid.UUID, reader: Reader, model: str) -> Outcome:
        await self.until_over(generation)
        row, segments, stored = await self.runner.database.read(_read, self.owner, generation)
        return Outcome(
            reader,
            row,
            segments,
            stored,
            requests=await asyncio.to_thread(self.upstream.matching, model),
            waits=self.time.waits.pop(f"generation {generation}", []),
            warnings=self.listener.warnings[generation],
            log="\n".join(self.listener.lines),
        )

    def _address(self, at: str) -> str:
        return self.upstream.base_url if at.startswith("turned away") else self._addresses[at]

    async def _open_gate(self, generation: uuid.UUID) -> None:
        """When the text before it has been read: a reset would discard it on its way."""
        while not self.runner.head(generation):
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.to_thread(self.upstream.open, "seen")


def counted(model: str, text: str, reasoning: str = "") -> tuple[int, int, int, str]:
    """Our count of the prompt and of what was kept."""
    encoding = tokens.encoding_for(model).name
    asked = tokens.count_prompt([{"role": "user", "content": PROMPT}], encoding, model)
    kept = tokens.count_text(text, encoding) + tokens.count_text(reasoning, encoding)
    return asked, kept, asked + kept, "counted"


def _is_time_to_leave(case: Case, decided: Decision, reader: Reader) -> bool:
    """When what comes before the fault is here; without any, at the first status."""
    if not case.text or decided.attempts > 1:
        return isinstance(reader.frames[-1], Status)
    is_short = decided.state == "failed" and len(case.text) < 20
    return reader.text == case.text if is_short else reader.seq > 0


def _with_gate(script: Script) -> Script:
    """The same with a gate before the fault, behind the last step that brings some of the kept text."""
    if any(isinstance(step, Gate) for step in script):
        return script
    brings = [n for n, step in enumerate(script) if isinstance(step, SendBytes) and b'"content": "' in step.data]
    at = brings[-1] + 1 if brings else len(script)
    return (*script[:at], Gate("seen"), *script[at:])


def _make_model(name: str, model: str, address: str, **fields: Any) -> int:
    if not name.startswith(HASTY):  # the others run side by side
        LanguageModel.objects.filter(enabled=True).update(enabled=False)  # who accepts a prompt looks at all of them
    provider = Provider(name=name[:100], base_url=address, private_network=True, **fields)
    provider.set_credentials(KEY)
    provider.save()
    return LanguageModel.objects.create(provider=provider, name=model).pk


def _read(owner: int, generation: uuid.UUID) -> tuple[Generation, int, tuple[Snapshot, Finished]]:
    stored = store.stored(owner, generation)
    assert stored is not None
    snapshot, ended = stored
    finished = frame_of(ended, "en")
    assert isinstance(finished, Finished)
    row = Generation.objects.select_related("message", "usage", "model").get(pk=generation)
    return row, Segment.objects.filter(generation=generation).count(), (snapshot, finished)
