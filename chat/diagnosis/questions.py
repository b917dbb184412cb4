"""The questions of one examination, and what was learned from their answers of how to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from chat import tokens
from chat.diagnosis.exchange import Exchange
from chat.pricing import Rate, cost
from chat.providers.base import CompletionRequest, Endpoint, UnsupportedField, plain_text
from chat.providers.redaction import redact

PROMPT = "Count from 1 to 20."
LONG_PROMPT = "Count from 1 to 200."
ANSWER_TOKENS = 64
SHORT_TOKENS = 16
LONG_TOKENS = 256
PROMPT_TOKENS = 30
"""With what a chat template puts around it."""
SHOWN_CHARACTERS = 80

ANSWERS = (ANSWER_TOKENS, ANSWER_TOKENS, ANSWER_TOKENS, SHORT_TOKENS, SHORT_TOKENS, LONG_TOKENS, SHORT_TOKENS)
"""The most tokens that may be asked for, question by question."""

TRIED_FIELDS = frozenset({"stream_options", "stop", "max_tokens", "max_completion_tokens"})
"""What is sent whether or not it was refused before: the server may have learned it."""


@dataclass(frozen=True)
class Estimate:
    """What an examination takes at most; `money` in the currency of the rate, None without one."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    money: Decimal | None = None

    @property
    def tokens(self) -> int:
        """Of both kinds."""
        return self.prompt_tokens + self.completion_tokens


def estimate(rate: Rate | None = None) -> Estimate:
    """What it will take, before it is begun."""
    requests = len(ANSWERS)
    prompt, completion = requests * PROMPT_TOKENS, sum(ANSWERS)
    return Estimate(requests, prompt, completion, cost(rate, prompt, completion))


class Skipped(Exception):
    """A check that can't be made, and why."""


class Questions:
    """Asks one model of one endpoint, in the way that is known to work by then.

    present   the endpoint as the admin has set it
    endpoint  the same without what is to be found out: every field is tried, and nothing is taken out of the text
    refused   the fields that upstream didn't take so far
    all       every question
    whole, streamed  the first ones, with the whole answer and with a stream; None as long as they weren't asked
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        encoding: str,
        seconds: float,
        note: Callable[[Exchange], None] | None,
    ) -> None:
        refused = frozenset(pair for pair in endpoint.refused_fields if pair[1] not in TRIED_FIELDS)
        self.present = endpoint
        self.endpoint = replace(endpoint, refused_fields=refused, usage_mode="auto", think_tags="kept")
        self.model = model
        self.encoding = tokens.encoding_for(model, encoding)
        self.refused: list[UnsupportedField] = []
        self.all: list[Exchange] = []
        self.whole: Exchange | None = None
        self.streamed: Exchange | None = None
        self._seconds = seconds
        self._note = note

    def answered(self) -> Exchange:
        """An answer that came, the streamed one if there is a choice. Raises Skipped."""
        for exchange in (self.streamed, self.whole):
            if exchange is not None and exchange.came:
                return exchange
        raise Skipped("no_answer")

    def stream(self) -> Exchange:
        """The answer that came as a stream. Raises Skipped."""
        self.answered()
        if self.streamed is None or not self.streamed.came or "whole_answer" in self.streamed.warnings:
            raise Skipped("no_stream")
        return self.streamed

    @property
    def is_whole(self) -> bool:
        """A whole answer came when one was asked for."""
        return self.whole is not None and self.whole.came

    async def ask(self, *, whole_answers: bool) -> Exchange:
        """The plain question."""
        endpoint = replace(self._learned(), whole_answers=whole_answers)
        return await self._run(endpoint, PROMPT, {"max_tokens": ANSWER_TOKENS})

    async def ask_for(
        self, *, max_tokens: int = ANSWER_TOKENS, field: str = "", dialect: str = "", stop: list[str] | None = None
    ) -> Exchange:
        """The same question again, with something that is to be tried, in the way that works."""
        endpoint = self._learned()
        is_streamed = self.streamed is not None and self.streamed.came
        endpoint = replace(
            endpoint,
            whole_answers=not is_streamed and self.is_whole,
            max_tokens_field=field or endpoint.max_tokens_field,
            dialect=dialect or endpoint.dialect,
        )
        options = {"max_tokens": max_tokens} | ({} if stop is None else {"stop": stop})
        return await self._run(endpoint, PROMPT, options)

    async def ask_at_length(self, leave: Callable[[], Awaitable[bool]]) -> Exchange:
        """A question with a long answer, streamed, until `leave` says so at one of its deltas."""
        return await self._run(self._learned(), LONG_PROMPT, {"max_tokens": LONG_TOKENS}, leave)

    @property
    def limit_field(self) -> str:
        """What the limit of an answer is called there, as far as is known."""
        return next((one.instead for one in reversed(self.refused) if one.instead), self.endpoint.max_tokens_field)

    def is_refused(self, field: str) -> bool:
        """Whether upstream didn't take the field."""
        return any(one.field == field for one in self.refused)

    def counted(self, exchange: Exchange) -> tuple[int, int]:
        """Our own count of prompt and completion; slow, for a thread."""
        messages, name = exchange.request.messages, self.encoding.name
        if exchange.endpoint.dialect == "completions":
            prompt = tokens.count_text(plain_text(messages), name)
        else:
            prompt = tokens.count_prompt(messages, name, self.model)
        return prompt, tokens.count_text(exchange.text, name) + tokens.count_text(exchange.reasoning, name)

    def shown(self, text: str) -> str:
        """The beginning, on one line, fit to be stored and shown as plain text; a server may repeat our key."""
        line = redact(text, self.endpoint.secrets)
        line = "".join(character for character in line if character.isprintable())
        return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"

    def _learned(self) -> Endpoint:
        """The endpoint, with what was learned of it so far."""
        refused = {(one.model, one.field) for one in self.refused}
        return replace(
            self.endpoint,
            max_tokens_field=self.limit_field,
            refused_fields=self.endpoint.refused_fields | refused,
            whole_answers=False,
        )

    async def _run(
        self,
        endpoint: Endpoint,
        prompt: str,
        options: Mapping[str, Any],
        leave: Callable[[], Awaitable[bool]] | None = None,
    ) -> Exchange:
        request = CompletionRequest(self.model, [{"role": "user", "content": prompt}], options)
        exchange = Exchange(endpoint, request)
        self.all.append(exchange)
        if self._note is not None:
            self._note(exchange)
        await exchange.ask(self._seconds, leave)
        if endpoint.dialect == self.endpoint.dialect:  # what another endpoint refuses says nothing of this one
            self.refused += exchange.refused
        return exchange
