"""`manage.py compare_streaming`: measure how much sooner the first words arrive if an answer is streamed.

It repeats the measurement of the notebook "How to stream completions" with its prompts. The built-in model, or one of
the portal's models, answers each prompt in one piece and as a stream.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from chat import tokens
from chat.codes import Code
from chat.local_model import MODEL_NAME, LocalModel
from chat.models import CredentialsUnreadable, LanguageModel
from chat.providers import (
    Adapter,
    CompletionRequest,
    Endpoint,
    ProviderError,
    TextDelta,
    UsageReported,
    build,
    plain_text,
)
from chat.providers.call import Call
from chat.texts.errors import sentence
from chat.timing import Timing, speeds

CHAT, COMPLETION = "chat_completions", "completions"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Prompt:
    """A prompt, its dialect and its token limit."""

    label: str
    dialect: str
    text: str
    max_tokens: int


PROMPTS = (
    Prompt(
        "Count to 100",
        CHAT,
        "Count to 100, with a comma between each number and no newlines. E.g., 1, 2, 3, ...",
        400,  # a model this small may never end
    ),
    Prompt("What's 1+1?", CHAT, "What's 1+1? Answer in one word.", 400),
    Prompt("1,2,3, (legacy)", COMPLETION, "1,2,3,", 193),
)
TINY = "Hi"
TINY_TOKENS = 16


@dataclass(frozen=True)
class Subject:
    """The measured model, with an endpoint for each of its dialects and the encoding for counting."""

    name: str
    endpoints: Mapping[str, Endpoint]
    options: Mapping[str, Any] = field(default_factory=dict)
    encoding: str = ""

    def request(self, text: str, max_tokens: int) -> CompletionRequest:
        """Return a request with one user message."""
        options = {**self.options, "temperature": 0, "max_tokens": max_tokens}
        return CompletionRequest(self.name, [{"role": "user", "content": text}], options)


@dataclass(frozen=True)
class Answer:
    """One measured answer."""

    text: str
    written: str  # the text and the reasoning
    usage: UsageReported | None
    timing: Timing


Measured = dict[Prompt, list[tuple[Answer, Answer]]]
"""Prompt → its runs, each with the whole and the streamed answer."""


@dataclass(frozen=True)
class Comparison:
    """The medians of a prompt's runs. Times are milliseconds after the request; None = unknown."""

    prompt: str
    dialect: str
    whole_answer_ms: int
    first_words_ms: int
    whole_stream_ms: int
    saved_ms: int
    saved_percent: int
    deltas: int
    prompt_tokens: int
    completion_tokens: int
    usage_source: str
    tokens_per_second: float | None
    same_text: bool


class _Collecting(Call):
    """A call that keeps all deltas."""

    def __init__(self) -> None:
        super().__init__()
        self.collected: list[TextDelta] = []

    def on_delta(self, delta: TextDelta) -> None:
        super().on_delta(delta)
        self.collected.append(delta)


class Command(BaseCommand):
    """Prints the table to stdout and the progress to stderr. Stores nothing. Exit code 1 if the model fails."""

    help = "Compare whole answers with streamed ones: the prompts of the notebook 'How to stream completions'."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", metavar="NAME", help="a model of the portal; otherwise the built-in one")
        parser.add_argument("--runs", type=_positive, default=3, metavar="N", help="medians of so many runs (3)")
        parser.add_argument(
            "--max-tokens", type=_positive, metavar="N", help="cut every answer there, to be done sooner"
        )
        parser.add_argument("--json", action="store_true", help="the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        runs, limit = options["runs"], options["max_tokens"]
        prompts = [replace(one, max_tokens=min(one.max_tokens, limit or one.max_tokens)) for one in PROMPTS]
        try:
            if options["model"]:
                subject = configured(options["model"])
                answers = asyncio.run(self._measure(subject, prompts, runs))
            else:
                subject, answers = asyncio.run(self._measure_built_in(prompts, runs))
        except ProviderError as error:
            raise CommandError(in_words(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("Stopped.")
            sys.exit(130)
        compared = [comparison(prompt, pairs, subject) for prompt, pairs in answers.items()]
        if options["json"]:
            rows = [asdict(one) for one in compared]
            self.stdout.write(json.dumps({"model": subject.name, "runs": runs, "prompts": rows}, indent=2))
        else:
            self.stdout.write(report(subject.name, runs, compared))

    async def _measure_built_in(self, prompts: Sequence[Prompt], runs: int) -> tuple[Subject, Measured]:
        if not LocalModel.available():
            raise CommandError("The built-in model isn't here or is left out. " + _choice())
        self._say("Starting the built-in model ...")
        model = LocalModel()
        try:
            await model.start()
            if not await model.ready(READY_SECONDS):
                raise CommandError("The built-in model did not start.")
            # Otherwise the server would cache the prompt, and the second answer would look faster.
            endpoint = Endpoint(
                model.base_url, api_key=model.api_key, extra_body={"cache_prompt": False}, private_network=True
            )
            subject = Subject(MODEL_NAME, {name: replace(endpoint, dialect=name) for name in (CHAT, COMPLETION)})
            return subject, await self._measure(subject, prompts, runs)
        finally:
            await model.stop()

    async def _measure(self, subject: Subject, prompts: Sequence[Prompt], runs: int) -> Measured:
        async with AsyncExitStack() as stack:
            ways: dict[tuple[str, bool], Adapter] = {}
            for dialect, endpoint in subject.endpoints.items():
                for whole in (True, False):
                    adapter = ways[dialect, whole] = build(replace(endpoint, whole_answers=whole))
                    stack.push_async_callback(adapter.aclose)
            self._say("Warming up with a tiny request each way, which is not counted ...")
            for (dialect, _), adapter in ways.items():
                await ask(adapter, subject.request(TINY, TINY_TOKENS), subject.endpoints[dialect].limits.total)
            measured: Measured = {}
            for prompt in (prompt for prompt in prompts if prompt.dialect in subject.endpoints):
                for run in range(runs):
                    pair = []
                    for whole in (True, False):
                        answer = await self._answer(subject, prompt, ways[prompt.dialect, whole])
                        pair.append(answer)
                        seconds = _seconds(answer.timing.duration_ms or 0)
                        way = "whole answer" if whole else "stream"
                        self._say(f"{prompt.label}, run {run + 1} of {runs}, {way}: {seconds} s")
                    measured.setdefault(prompt, []).append((pair[0], pair[1]))
            return measured

    async def _answer(self, subject: Subject, prompt: Prompt, adapter: Adapter) -> Answer:
        request = subject.request(prompt.text, prompt.max_tokens)
        answer = await ask(adapter, request, subject.endpoints[prompt.dialect].limits.total)
        if not answer.written:
            raise ProviderError(Code.ANSWER_EMPTY)
        return answer

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def configured(name: str) -> Subject:
    """Return a model of the portal by its name or label. Raises CommandError."""
    try:
        models = list(LanguageModel.objects.usable())
    except DatabaseError as error:
        raise CommandError("The database can't be read; ./run.py setup prepares it.") from error
    found = [model for model in models if name in (model.name, model.label)]
    found = found or [model for model in models if name == f"{model.provider.name}/{model.name}"]
    if len(found) > 1:
        ways = ", ".join(f"{model.provider.name}/{model.name}" for model in found)
        raise CommandError(f"There are several models {name!r}; say which: {ways}")
    if not found:
        raise CommandError(f"There is no enabled model {name!r}. {_choice(models)}")
    model = found[0]
    try:
        endpoint = model.provider.endpoint()
    except CredentialsUnreadable as error:
        raise CommandError(f"No key of PORTAL_KEYRING opens the credentials of provider {error}.") from error
    encoding = tokens.encoding_for(model.name, model.encoding).name
    return Subject(model.name, {endpoint.dialect: endpoint}, model.default_options, encoding)


async def ask(adapter: Adapter, request: CompletionRequest, limit: float) -> Answer:
    """Return the answer with its times. `limit`: seconds for the whole answer. Raises ProviderError."""
    call = _Collecting()
    await call.run(request, lambda: nullcontext(adapter), limit)
    text = "".join(delta.text for delta in call.collected)
    reasoning = "".join(delta.reasoning for delta in call.collected)
    return Answer(text, reasoning + text, call.usage, call.stopwatch.timing())


def comparison(prompt: Prompt, pairs: Sequence[tuple[Answer, Answer]], subject: Subject) -> Comparison:
    """Return the medians of a prompt's runs. Tokens are those of the streamed answers."""
    streamed = [stream for _, stream in pairs]
    usages = [usage(stream, prompt, subject) for stream in streamed]
    whole_answer_ms = _median(whole.timing.duration_ms for whole, _ in pairs)
    first_words_ms = _median(stream.timing.ttft_ms for stream in streamed)
    rates = [
        speeds(stream.timing.writing_ms, stream.timing.deltas, completion, len(stream.written)).tokens_per_second
        for stream, (_, completion, _) in zip(streamed, usages, strict=True)
    ]
    known = [float(rate) for rate in rates if rate is not None]
    return Comparison(
        prompt=prompt.text,
        dialect=prompt.dialect,
        whole_answer_ms=whole_answer_ms,
        first_words_ms=first_words_ms,
        whole_stream_ms=_median(stream.timing.duration_ms for stream in streamed),
        saved_ms=whole_answer_ms - first_words_ms,
        saved_percent=round(100 * (whole_answer_ms - first_words_ms) / max(whole_answer_ms, 1)),
        deltas=_median(stream.timing.deltas for stream in streamed),
        prompt_tokens=_median(prompt_tokens for prompt_tokens, _, _ in usages),
        completion_tokens=_median(completion_tokens for _, completion_tokens, _ in usages),
        usage_source="reported" if all(source == "reported" for _, _, source in usages) else "counted",
        tokens_per_second=statistics.median(known) if known else None,
        same_text=len({answer.text for pair in pairs for answer in pair}) == 1,
    )


def usage(answer: Answer, prompt: Prompt, subject: Subject) -> tuple[int, int, str]:
    """Return the tokens of the prompt and of the answer, and the source of the counts."""
    if answer.usage is not None:
        return answer.usage.prompt_tokens, answer.usage.completion_tokens, "reported"
    encoding = subject.encoding or tokens.encoding_for(subject.name).name
    messages = subject.request(prompt.text, prompt.max_tokens).messages
    if prompt.dialect == COMPLETION:
        prompt_tokens = tokens.count_text(plain_text(messages), encoding)
    else:
        prompt_tokens = tokens.count_prompt(messages, encoding, subject.name)
    return prompt_tokens, tokens.count_text(answer.written, encoding), "counted"


HEADINGS = (
    ("", "", "prompt"),
    ("whole", "answer", "after s"),
    ("first", "words", "after s"),
    ("whole", "stream", "after s"),
    ("saved till", "first words", "s     %"),
    ("", "", "deltas"),
    ("", "prompt", "tokens"),
    ("", "answer", "tokens"),
    ("", "tokens", "counted"),
    ("", "tokens", "per s"),
)


def report(name: str, runs: int, compared: Sequence[Comparison]) -> str:
    """Return the table with a heading and notes."""
    medians = f"medians of {runs} runs" if runs > 1 else "one run"
    labels = {prompt.text: prompt.label for prompt in PROMPTS}
    rows = [
        (
            labels[one.prompt] + ("" if one.same_text else " *"),
            _seconds(one.whole_answer_ms),
            _seconds(one.first_words_ms),
            _seconds(one.whole_stream_ms),
            f"{_seconds(one.saved_ms)}  {one.saved_percent:>2} %",
            str(one.deltas),
            str(one.prompt_tokens),
            str(one.completion_tokens),
            one.usage_source,
            "-" if one.tokens_per_second is None else f"{one.tokens_per_second:.1f}",
        )
        for one in compared
    ]
    lines = [f"{name}, temperature 0, {medians}", "", *table([*zip(*HEADINGS, strict=True), *rows])]
    if not all(one.same_text for one in compared):
        lines += ["", "* The answers were not all the same, so their times compare only roughly."]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines: the first column left-aligned, the others right-aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def in_words(error: ProviderError) -> str:
    """Return the sentence for a failure, with its code and upstream's message."""
    said = sentence(error.code, {"reason": error.reason, "limit": error.reason, "retry_after": error.retry_after})
    own_words = f": {error.reason}" if error.reason and error.reason not in said else ""
    return f"{said} ({error.code}{own_words})"


def _choice(models: Sequence[LanguageModel] | None = None) -> str:
    if models is None:
        return "Name a model of the portal with --model."
    if not models:
        return "The portal has none."
    names = (model.name if model.label in ("", model.name) else f"{model.name} ({model.label})" for model in models)
    return f"There are: {', '.join(names)}"


def _median(values: Iterable[int | None]) -> int:
    return round(statistics.median(value or 0 for value in values))


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.2f}"


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("a number from 1 on is needed")
    return int(text)
