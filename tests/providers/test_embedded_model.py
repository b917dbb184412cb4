"""The adapters against the one real server that is always at hand: llama.cpp's own, with the built-in model.

What it writes is never compared with a text written down here, since that may differ with the processor: only with
what it wrote before.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import pytest_asyncio

from chat import local_model
from chat.local_model import MODEL_FILE, MODEL_NAME, LocalModel
from chat.providers import Adapter, CompletionRequest, ProviderError, TextDelta, build
from tests.support.asking import Outcome, Witness, endpoint
from tests.support.local_model import needs_model

pytestmark = [
    needs_model,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # its one thread shares the cores with everything else that runs
]

DIALECTS = ["chat_completions", "completions"]
ANSWERS = pytest.mark.parametrize("whole_answers", [False, True], ids=["streamed", "whole"])
AFRESH = {"cache_prompt": False}
"""A prompt that is partly in its cache is computed in other batches, which may round otherwise."""
KEEP_ALIVE_SECONDS = 5  # as the server announces it
SMALL_WINDOW = 256  # llama.cpp makes no smaller one

Make = Callable[..., Adapter]


class SmallModel(LocalModel):
    """The same with a window that is full after seconds instead of minutes."""

    program = f"import chat.local_model as it; it.CONTEXT_WINDOW = {SMALL_WINDOW}; it.main()"

    async def _launch(self) -> asyncio.subprocess.Process:
        order = {"port": self._port, "api_key": self.api_key, "model": str(MODEL_FILE)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", self.program, stdin=asyncio.subprocess.PIPE, cwd=local_model.BASE_DIR
        )
        assert process.stdin
        process.stdin.write(json.dumps(order).encode() + b"\n")
        return process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[LocalModel]:
    served = LocalModel()
    await served.start()
    try:
        assert await served.ready(seconds=60)
        yield served
    finally:
        await served.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def make(model: LocalModel) -> AsyncIterator[Make]:
    """Makes adapters for it, and closes them."""
    made = []

    def adapter(base_url: str = model.base_url, **settings: Any) -> Adapter:
        made.append(build(endpoint(base_url, **{"api_key": model.api_key} | settings)))
        return made[-1]

    yield adapter
    for one in made:
        await one.aclose()


def asked(text: str, **options: Any) -> CompletionRequest:
    return CompletionRequest(MODEL_NAME, [{"role": "user", "content": text}], {"temperature": 0, "seed": 1} | options)


async def ask(adapter: Adapter, text: str, **options: Any) -> Outcome:
    witness, outcome = Witness(), Outcome()
    try:
        async with aclosing(adapter.stream(asked(text, **options), witness)) as events:
            async for event in events:
                outcome.events.append(event)
    except ProviderError as error:
        outcome.error = error
    outcome.calls = witness.calls
    return outcome


def assert_complete(outcome: Outcome) -> None:
    assert outcome.error is None
    assert outcome.text
    assert outcome.finish in ("stop", "length")
    assert outcome.counts
    assert min(outcome.counts) > 0
    assert outcome.warnings == []


def resends(*outcomes: Outcome) -> int:
    return sum(len(outcome.calls.started) - 1 for outcome in outcomes)


# Many in a row ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
async def test_none_of_many_prompts_in_a_row_fails(make: Make, request: pytest.FixtureRequest):
    """Thirty, with `--size 10` three hundred. The server announces that connections stay open and closes them after
    each streamed answer."""
    adapter, pauses, outcomes = make(), random.Random(5), []
    count = min(300, round(30 * request.config.getoption("size")))
    began = time.monotonic()
    for number in range(count):
        # Three times the same, since reading a prompt that is new takes as long as writing the answer.
        outcome = await ask(adapter, f"What is {number // 3}?", max_tokens=4)
        assert_complete(outcome)
        outcomes.append(outcome)
        if number % 2:
            await asyncio.sleep(pauses.uniform(0, 0.03))
    print(f"{count} prompts in {time.monotonic() - began:.1f} s, {resends(*outcomes)} sent twice")


async def test_connections_that_lie_idle_for_as_long_as_the_server_keeps_them_do_no_harm(make: Make):
    """Whole answers leave theirs open, so the next request may meet the moment when it is closed."""

    async def after(pause: float) -> list[Outcome]:
        adapter = make(whole_answers=True)
        first = await ask(adapter, "Hi", max_tokens=1)
        await asyncio.sleep(pause)
        return [first, await ask(adapter, "Hi", max_tokens=1)]

    lateness = (-0.02, -0.01, -0.002, 0, 0.002, 0.005, 0.01, 0.3)
    pairs = await asyncio.gather(*(after(KEEP_ALIVE_SECONDS + late) for late in lateness))
    outcomes = [outcome for pair in pairs for outcome in pair]
    for outcome in outcomes:
        assert_complete(outcome)
    print(f"{resends(*outcomes)} of {len(pairs)} sent twice")


# What is asked for ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_whole_answer_has_the_text_of_a_streamed_one(make: Make, dialect: str):
    streamed, whole = [
        await ask(make(dialect=dialect, whole_answers=whole, extra_body=AFRESH), "Once upon a time", max_tokens=24)
        for whole in (False, True)
    ]
    for outcome in (streamed, whole):
        assert_complete(outcome)
    assert whole.text == streamed.text
    assert (whole.finish, whole.counts) == (streamed.finish, streamed.counts)
    assert len(streamed.deltas) > len(whole.deltas) == 1


@pytest.mark.parametrize("others", [[], ["@@", "%%", "\N{SNOWMAN}"]], ids=["one", "four"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_ends_before_a_stop_text(make: Make, dialect: str, others: list[str]):
    adapter = make(dialect=dialect, extra_body=AFRESH)
    text = (await ask(adapter, "Once upon a time", max_tokens=24)).text
    stop = text[len(text) // 2 :][:9]  # more than a token: its beginning has to be held back
    outcome = await ask(adapter, "Once upon a time", max_tokens=24, stop=[*others, stop])
    assert_complete(outcome)
    assert outcome.text == text[: text.index(stop)]
    assert outcome.finish == "stop"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("dialect", DIALECTS)
@ANSWERS
async def test_an_answer_ends_at_its_limit(make: Make, dialect: str, field: str, whole_answers: bool):
    adapter = make(dialect=dialect, whole_answers=whole_answers, max_tokens_field=field)
    outcome = await ask(adapter, "Once upon a time", max_tokens=7)
    assert_complete(outcome)
    assert outcome.finish == "length"
    assert outcome.usage
    assert outcome.usage.completion_tokens == 7


async def test_a_seed_decides_what_is_written(make: Make):
    adapter = make(extra_body=AFRESH)
    texts = [
        (await ask(adapter, "Tell me a story.", max_tokens=10, temperature=1, seed=seed)).text
        for seed in (1, 2, 3, 4, 5, 1)
    ]
    assert texts[-1] == texts[0]
    assert len(set(texts)) >= 2


# What ends before its time ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_closed_answer_frees_its_place_at_once(make: Make, model: LocalModel):
    adapter, took = make(), []
    headers = {"Authorization": f"Bearer {model.api_key}"}
    async with httpx.AsyncClient(base_url=model.base_url.removesuffix("v1"), headers=headers) as client:

        async def busy() -> bool:
            return any(slot["is_processing"] for slot in (await client.get("slots", timeout=30)).json())

        for number in range(20):
            deltas = 0
            async with aclosing(adapter.stream(asked(f"Tell me story {number}.", max_tokens=400), Witness())) as events:
                async for event in events:
                    deltas += isinstance(event, TextDelta)
                    if deltas == 3:
                        break
                assert await busy()
            closed = time.monotonic()
            while await busy():
                assert time.monotonic() < closed + 30
                await asyncio.sleep(0.005)
            took.append(time.monotonic() - closed)
    print(f"free after {statistics.median(took) * 1000:.0f} ms (median), {max(took) * 1000:.0f} ms (worst)")
    assert statistics.median(took) < 2


async def test_the_window_cuts_an_answer_which_is_no_failure():
    served = SmallModel()
    await served.start()
    adapters = []
    try:
        assert await served.ready(seconds=60)
        for dialect, whole in zip(DIALECTS, (False, True), strict=True):
            settings = {"api_key": served.api_key, "extra_body": {"ignore_eos": True}}
            adapters.append(build(endpoint(served.base_url, dialect=dialect, whole_answers=whole, **settings)))
            outcome = await ask(adapters[-1], "1 2 3 " * 30)
            assert_complete(outcome)
            assert outcome.finish == "length"
            assert outcome.usage
            assert outcome.usage.total_tokens == SMALL_WINDOW
    finally:
        for adapter in adapters:
            await adapter.aclose()
        await served.stop()


@pytest.mark.parametrize("dialect", DIALECTS)
@ANSWERS
async def test_a_prompt_that_is_longer_than_the_window_is_told_apart(make: Make, dialect: str, whole_answers: bool):
    outcome = await ask(make(dialect=dialect, whole_answers=whole_answers), "word " * 3000)
    assert outcome.code == "context_too_long"
    assert outcome.max_tries == 1


@ANSWERS
async def test_a_wrong_key_is_told_apart_and_not_repeated(make: Make, whole_answers: bool):
    outcome = await ask(make(api_key="sk-wrong-0123456789abcdef", whole_answers=whole_answers), "Hi")
    assert outcome.code == "upstream_auth"
    assert outcome.error
    assert "sk-wrong" not in outcome.error.reason


@ANSWERS
async def test_a_wrong_path_is_told_apart(make: Make, model: LocalModel, whole_answers: bool):
    outcome = await ask(make(f"{model.base_url}/elsewhere", whole_answers=whole_answers), "Hi")
    assert outcome.code == "upstream_not_found"


@ANSWERS
async def test_an_option_of_the_wrong_kind_is_refused_with_the_servers_words(make: Make, whole_answers: bool):
    outcome = await ask(make(whole_answers=whole_answers), "Hi", temperature="hot")
    assert outcome.code == "upstream_rejected"
    assert outcome.error
    assert "temperature" in outcome.error.reason
