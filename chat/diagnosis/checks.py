"""One examination: the checks, in their order. No failure of upstream's is raised: what goes wrong is looked for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from chat.codes import Code
from chat.diagnosis.exchange import Exchange
from chat.diagnosis.questions import LONG_TOKENS, SHORT_TOKENS, Questions, Skipped
from chat.diagnosis.report import CHECKS, Finding
from chat.diagnosis.server_load import Inside
from chat.finish_reasons import meaning_of
from chat.providers.base import Endpoint, ProviderError
from chat.providers.base_url import BadAddress, clean_base_url
from chat.providers.errors import TokenFailed
from chat.providers.ip_rules import is_private
from chat.providers.listing import ListedModel, list_models
from chat.providers.resolver import Resolver
from chat.providers.think_tags import CLOSING, OPENING

CHECK_SECONDS = 60.0
CONNECT_SECONDS = 5.0
LIST_SECONDS = 15.0
CANCEL_SECONDS = 2.0
LOOK_SECONDS = 0.02

OTHER_LIMIT = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

OBSTACLES = frozenset({"address", "tls", "auth"})
"""Checks without which no other can be made."""

Verdict = tuple[str, dict[str, Any]]
"""A result, and details: `case` names the situation; `code` and `reason` an error; `because` why it was skipped."""


async def examine(
    endpoint: Endpoint,
    model: str,
    *,
    encoding: str = "",
    seconds: float = CHECK_SECONDS,
    note: Callable[[Exchange], None] | None = None,
) -> AsyncGenerator[Finding, None]:
    """Make every check and yield what it found, in the order of CHECKS. Closing this closes all connections.

    encoding  the name of tiktoken's table for the model; '' = by its name
    seconds   for each question to the model
    note      told of every question that is asked, before its answer comes
    """
    visit = _Visit(Questions(endpoint, model, encoding, seconds, note))
    try:
        for check in CHECKS:
            yield await visit.make(check)
    finally:
        await visit.inside.aclose()


class _Visit:
    """One examination: what was learned so far is what the next check builds upon."""

    def __init__(self, questions: Questions) -> None:
        self._asked = questions
        self._endpoint = questions.endpoint
        self.inside = Inside(questions.endpoint)
        self._is_private = False
        self._obstacle = ""
        self._carried: dict[str, float] = {}
        self._listed: list[ListedModel] = []
        self._list_error: ProviderError | None = None

    async def make(self, check: str) -> Finding:
        """Make one check. Never raises what an upstream did."""
        began, known_refused = monotonic(), len(self._asked.refused)
        method: Callable[[], Awaitable[Verdict]] = getattr(self, f"_{check}")
        try:
            if self._obstacle:
                raise Skipped(self._obstacle)
            result, detail = await method()
        except Skipped as skipped:
            result, detail = "skipped", {"because": str(skipped)}
        except ProviderError as error:
            result, detail = "bad", _told(error)
        if result == "bad" and detail.get("case") != "plain_http":
            self._obstacle = self._obstacle or _obstacle(check, detail)
        if check == "models":
            detail["model"] = self._asked.model
        if refused := self._asked.refused[known_refused:]:
            detail["refused"] = [{"field": one.field, "model": one.model, "instead": one.instead} for one in refused]
        return Finding(check, result, round(monotonic() - began + self._carried.pop(check, 0.0), 3), detail)

    # The way there ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _address(self) -> Verdict:
        try:
            parts = urlsplit(clean_base_url(self._endpoint.base_url))
        except BadAddress as error:
            raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, str(error)) from error
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await _resolved(parts.hostname or "", port, self._endpoint.limits.connect)
        self._is_private = all(is_private(one) for one in addresses)
        limits = replace(self._endpoint.limits, connect=min(self._endpoint.limits.connect, CONNECT_SECONDS))
        began = monotonic()
        try:
            self._listed = await list_models(replace(self._endpoint, limits=limits), LIST_SECONDS)
        except ProviderError as error:
            self._list_error = error
            # The list has more time than a connection: what is over sooner never was one.
            is_silent = error.code == Code.UPSTREAM_TIMEOUT and monotonic() - began < LIST_SECONDS * 0.9
            is_lost = is_silent or error.code in (Code.UPSTREAM_DNS, Code.UPSTREAM_UNREACHABLE)
            if is_lost and not isinstance(error, TokenFailed):  # without a token nothing was asked here
                raise
        return "good", {"case": "found", "host": parts.hostname, "port": port, "addresses": addresses[:4]}

    async def _tls(self) -> Verdict:
        is_https = self._endpoint.base_url.strip().lower().startswith("https:")
        if is_https and isinstance(self._list_error, TokenFailed):
            raise Skipped("unclear")
        if is_https and self._list_error is not None and self._list_error.code == Code.UPSTREAM_TLS:
            raise self._list_error
        if is_https:
            return "good", {"case": "certificate"}
        return ("good", {"case": "private_http"}) if self._is_private else ("bad", {"case": "plain_http"})

    async def _auth(self) -> Verdict:
        """By the first question: a list of models is often given to everybody."""
        if self._list_error is not None and self._list_error.code == Code.UPSTREAM_AUTH:
            raise self._list_error
        began = monotonic()
        self._asked.whole = await self._asked.ask(whole_answers=True)
        spent = monotonic() - began
        self._carried = {"auth": -spent, "whole_answer": spent}
        error = self._asked.whole.error
        if isinstance(error, TokenFailed) or (error is not None and error.code == Code.UPSTREAM_AUTH):
            raise error
        if error is not None and error.code == Code.UPSTREAM_FORBIDDEN:
            return "odd", _told(error)
        if error is not None and not self._has_looked_at_the_key(error):
            raise Skipped("unclear")
        has_key = self._endpoint.auth != "none" and bool(self._endpoint.api_key.strip())
        return "good", {"case": "accepted" if has_key else "no_key"}

    def _has_looked_at_the_key(self, error: ProviderError) -> bool:
        """Nothing is found at a wrong address either, whatever the key."""
        return error.code.rules.is_key_accepted and (error.code != Code.UPSTREAM_NOT_FOUND or self._list_error is None)

    async def _models(self) -> Verdict:
        if self._list_error is not None:
            return "odd", {"case": "no_list", **_told(self._list_error)}
        name, count = self._asked.model.removeprefix("models/"), len(self._listed)
        found = next((one for one in self._listed if one.name == name), None)
        if found is None:
            if self._asked.whole is not None and self._asked.whole.code == Code.UPSTREAM_NOT_FOUND:
                return "bad", {"case": "missing", "count": count}
            return "odd", {"case": "not_listed", "count": count}
        # What a running llama.cpp has room for may be less than what its model was made for.
        window = await self.inside.context_window() or found.context_window
        return "good", {"case": "listed", "count": count, "context_window": window}

    # Answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _whole_answer(self) -> Verdict:
        if self._asked.whole is None:
            raise Skipped("unclear")
        return self._came(self._asked.whole)

    async def _streamed_answer(self) -> Verdict:
        exchange = self._asked.streamed = await self._asked.ask(whole_answers=False)
        if exchange.error is not None and self._asked.present.whole_answers and self._asked.is_whole:
            return "odd", _told(exchange.error)  # known already
        result, detail = self._came(exchange)
        if exchange.came and "whole_answer" in exchange.warnings:
            return "odd", {**detail, "case": "whole"}
        if exchange.came and exchange.warnings and result == "good":
            return "odd", {**detail, "case": "warned", "warnings": exchange.warnings}
        return result, detail

    def _came(self, exchange: Exchange) -> Verdict:
        """An answer, its first words, and whether it begins with reasoning."""
        if exchange.error is not None:
            raise exchange.error
        if not exchange.came:
            if meaning_of(exchange.finish_reason) == "length":  # all of them went into reasoning that isn't shown
                return "odd", {"case": "silent", "finish_reason": exchange.finish_reason or ""}
            raise ProviderError(Code.ANSWER_EMPTY)
        detail: dict[str, Any] = {
            "case": "came",
            "text": self._asked.shown(exchange.text or exchange.reasoning),
            "response_model": self._asked.shown(exchange.response_model),
            "finish_reason": self._asked.shown(exchange.finish_reason or ""),
            "deltas": exchange.stopwatch.timing().deltas,
        }
        if tags := _think_tags(exchange.text):
            is_known = tags == self._asked.present.think_tags
            return "good" if is_known else "odd", {**detail, "case": "thinks", "think_tags": tags}
        return "good", detail

    async def _time_saved(self) -> Verdict:
        streamed = self._asked.stream()
        first_ms = streamed.stopwatch.timing().ttft_ms
        whole = self._asked.whole if self._asked.whole is not None and self._asked.is_whole else streamed
        whole_ms = whole.stopwatch.timing().duration_ms
        if first_ms is None or not whole_ms:
            raise Skipped("unclear")
        saved = whole_ms - first_ms
        detail = {
            "first_seconds": first_ms / 1000,
            "whole_seconds": whole_ms / 1000,
            "saved_seconds": saved / 1000,
            "percent": round(100 * saved / whole_ms),
        }
        is_much = 10 * saved >= whole_ms
        return ("good", {"case": "saved", **detail}) if is_much else ("odd", {"case": "nothing", **detail})

    async def _really_streams(self) -> Verdict:
        """By pieces and time: a buffer on the way gives much at once, late, and little time between first and last."""
        streamed = self._asked.stream()
        timing = streamed.stopwatch.timing()
        length = len(streamed.text) + len(streamed.reasoning)
        spread, duration = float(timing.writing_ms or 0) / 1000, (timing.duration_ms or 0) / 1000
        detail = {
            "deltas": timing.deltas,
            "pieces": streamed.pieces,
            "spread_seconds": round(spread, 3),
            "whole_seconds": duration,
        }
        if length < 8:
            raise Skipped("too_short")
        if streamed.pieces == 1:
            return "bad", {"case": "one_piece", **detail}
        if streamed.pieces * 8 < timing.deltas and spread * 10 < duration:
            return "odd", {"case": "lumps", **detail}
        return "good", {"case": "flows", **detail}

    # Numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _include_usage(self) -> Verdict:
        streamed = self._asked.stream()
        is_refused = any(one.field == "stream_options" for one in streamed.refused)
        place = "never"
        if streamed.usage_places:
            # Once before the end is enough: whoever counts there counts in every chunk.
            place = "every_chunk" if "text_chunk" in streamed.usage_places else streamed.usage_places[-1]
        detail: dict[str, Any] = {"asked": "refused" if is_refused else "taken", "place": place}
        if streamed.usage is not None:
            detail["prompt_tokens"] = streamed.usage.prompt_tokens
            detail["completion_tokens"] = streamed.usage.completion_tokens
            return "good", {"case": "unasked" if is_refused else "came", **detail}
        return "odd", {"case": "refused" if is_refused else "never", **detail}

    async def _count(self) -> Verdict:
        answers = [one for one in (self._asked.streamed, self._asked.whole) if one is not None and one.came]
        exchange = next((one for one in answers if one.usage is not None), None)
        if exchange is None or exchange.usage is None:
            raise Skipped("no_usage" if answers else "no_answer")
        usage = exchange.usage
        prompt, completion = await asyncio.to_thread(self._asked.counted, exchange)
        hidden = (usage.reasoning_tokens or 0) if not exchange.reasoning else 0
        pairs = {"prompt": (prompt, usage.prompt_tokens), "completion": (completion, usage.completion_tokens - hidden)}
        detail: dict[str, Any] = {
            name: {"ours": ours, "theirs": theirs, "percent": _off_by(ours, theirs)}
            for name, (ours, theirs) in pairs.items()
        }
        detail |= {"encoding": self._asked.encoding.name, "is_exact": self._asked.encoding.is_exact}
        agrees = all(abs(ours - theirs) <= max(4, theirs / 10) for ours, theirs in pairs.values())
        return ("good", {"case": "agrees", **detail}) if agrees else ("odd", {"case": "differs", **detail})

    async def _rate_limits(self) -> Verdict:
        headers: dict[str, str] = {}
        for exchange in self._asked.all:
            headers |= exchange.rate_limits
        told = {"headers": {name[:60]: self._asked.shown(value) for name, value in sorted(headers.items())[:12]}}
        for exchange in self._asked.all:
            if exchange.error is not None and exchange.error.code in (Code.UPSTREAM_RATE_LIMITED, Code.UPSTREAM_QUOTA):
                return "odd", {**told, **_told(exchange.error)}
        return "good", {"case": "told" if headers else "silent", **told}

    # What can be asked for ────────────────────────────────────────────────────────────────────────────────────────

    async def _stop(self) -> Verdict:
        before = self._asked.answered()
        stop = _common_character(before.text)
        exchange = await self._asked.ask_for(stop=[stop])
        if any(one.field == "stop" for one in exchange.refused):
            return "odd", {"case": "refused", "stop": stop}
        if exchange.error is not None:
            raise exchange.error
        detail = {"stop": stop, "finish_reason": self._asked.shown(exchange.finish_reason or "")}
        if stop in exchange.text:
            is_end = exchange.text.rstrip().endswith(stop) and exchange.text.count(stop) == 1
            return ("odd", {"case": "returned", **detail}) if is_end else ("bad", {"case": "ignored", **detail})
        if meaning_of(exchange.finish_reason) == "length":
            raise Skipped("unclear")
        return "good", {"case": "obeyed", **detail}

    async def _max_tokens(self) -> Verdict:
        before = self._asked.answered()
        wanted = self._endpoint.max_tokens_field
        exchange = await self._asked.ask_for(max_tokens=SHORT_TOKENS)
        if self._asked.is_refused(self._asked.limit_field):
            return "odd", {"case": "refused", "field": wanted}
        if exchange.error is not None:
            raise exchange.error
        outcome, count = await self._limit_outcome(exchange)
        detail = {"field": self._asked.limit_field, "asked": SHORT_TOKENS, "tokens": count}
        if outcome == "obeyed" and (await self._tokens(before)) > SHORT_TOKENS + 1:
            is_same = self._asked.limit_field == wanted
            return ("good", {"case": "obeyed", **detail}) if is_same else ("odd", {"case": "renamed", **detail})
        if outcome != "ignored":  # too short an answer, or one that always ends there
            raise Skipped("unclear")
        other = OTHER_LIMIT[self._asked.limit_field]
        if not self._asked.is_refused(other):
            again = await self._asked.ask_for(max_tokens=SHORT_TOKENS, field=other)
            if again.came and not again.refused and (await self._limit_outcome(again))[0] == "obeyed":
                return "odd", {**detail, "case": "renamed", "field": other}
        return "bad", {"case": "ignored", **detail}

    async def _limit_outcome(self, exchange: Exchange) -> tuple[str, int]:
        """`obeyed`, `ignored` or `unclear`, and the tokens that came; some count the end mark, too."""
        count = await self._tokens(exchange)
        if count > 2 * SHORT_TOKENS:
            return "ignored", count
        is_cut = meaning_of(exchange.finish_reason) == "length" or count in (SHORT_TOKENS, SHORT_TOKENS + 1)
        return ("obeyed" if is_cut else "unclear"), count

    async def _tokens(self, exchange: Exchange) -> int:
        """The tokens of an answer."""
        if exchange.usage is not None:
            return exchange.usage.completion_tokens
        return (await asyncio.to_thread(self._asked.counted, exchange))[1]

    async def _cancel(self) -> Verdict:
        """Leave in the middle, and watch whether the server goes on; only where it lets itself be watched."""
        streamed = self._asked.stream()
        before = await self.inside.running()
        if before is None:
            raise Skipped("unseen")
        pace = (
            float(streamed.stopwatch.timing().writing_ms or 0) / 1000 / max(streamed.stopwatch.timing().deltas - 1, 1)
        )
        during: int | None = None

        async def look() -> bool:
            nonlocal during
            during = await self.inside.running()
            return True

        exchange = await self._asked.ask_at_length(look)
        if exchange.error is not None:
            raise exchange.error
        if during is None or during <= before:
            raise Skipped("too_quick")
        # Within that time it can't have come to its end by itself.
        patience = min(CANCEL_SECONDS, max(pace * LONG_TOKENS / 2, 0.3))
        left_at = monotonic()
        while (running := await self.inside.running()) is not None and running > before:
            if monotonic() - left_at > patience:
                return "bad", {"case": "runs_on", "seen_by": self.inside.page, "after_seconds": round(patience, 1)}
            await asyncio.sleep(LOOK_SECONDS)
        after = round(monotonic() - left_at, 2)
        return "good", {"case": "ended", "seen_by": self.inside.page, "after_seconds": after}

    async def _completions(self) -> Verdict:
        if self._endpoint.dialect == "completions":
            self._asked.answered()
            return "good", {"case": "in_use", "exists": True}
        exchange = await self._asked.ask_for(max_tokens=SHORT_TOKENS, field="max_tokens", dialect="completions")
        if exchange.came:
            return "good", {"case": "exists", "exists": True}
        if exchange.error is None or exchange.error.code.rules.is_no_endpoint:
            return "good", {"case": "absent", "exists": False}
        return "odd", _told(exchange.error)


def _obstacle(check: str, detail: Mapping[str, Any]) -> str:
    """What is said of the checks after a bad one; '' when they can be made."""
    if check not in OBSTACLES:
        return ""
    return "key_refused" if detail.get("code") == Code.UPSTREAM_AUTH else "no_connection"


async def _resolved(host: str, port: int, seconds: float) -> list[str]:
    """The addresses that a name stands for. Raises ProviderError."""
    try:
        async with asyncio.timeout(seconds):
            return await Resolver().addresses(host, port)
    except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
        raise ProviderError(Code.UPSTREAM_DNS) from error


def _told(error: ProviderError) -> dict[str, Any]:
    detail: dict[str, Any] = {"code": error.code, "reason": error.reason}
    if error.retry_after is not None and math.isfinite(error.retry_after):
        detail["retry_after"] = round(error.retry_after, 1)
    return detail


def _think_tags(text: str) -> str:
    """What the provider's setting for reasoning should be, as far as this text shows; '' for no reasoning."""
    if text.lstrip().startswith(OPENING):
        return "tagged"
    return "opened" if CLOSING in text and OPENING not in text else ""


def _common_character(text: str) -> str:
    """One that is likely to come again in the middle of another answer to the same question."""
    return next((one for one in "7eaoi" if one in text[1:-1]), "e")


def _off_by(ours: int, theirs: int) -> int | None:
    """How far our count is off, in per cent of theirs."""
    return round(100 * (ours - theirs) / theirs) if theirs else None
