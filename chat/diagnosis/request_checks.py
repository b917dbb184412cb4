"""Checks of what can be asked for: where to stop, how long to be, to be cancelled, and the legacy endpoint."""

from __future__ import annotations

import asyncio
from time import monotonic

from chat.diagnosis.examination import Examination, Verdict, error_detail
from chat.diagnosis.exchange import Exchange
from chat.diagnosis.questions import LONG_TOKENS, SHORT_TOKENS, Skipped
from chat.finish_reasons import meaning_of

CANCEL_SECONDS = 2.0
LOOK_SECONDS = 0.02

OTHER_LIMIT = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


async def stop(examination: Examination) -> Verdict:
    """A text to stop at is obeyed."""
    before = examination.questions.answered()
    stop = _common_character(before.text)
    exchange = await examination.questions.ask_for(stop=[stop])
    if any(one.field == "stop" for one in exchange.refused):
        return "odd", {"case": "refused", "stop": stop}
    if exchange.error is not None:
        raise exchange.error
    detail = {"stop": stop, "finish_reason": examination.questions.shown(exchange.finish_reason or "")}
    if stop in exchange.text:
        is_end = exchange.text.rstrip().endswith(stop) and exchange.text.count(stop) == 1
        return ("odd", {"case": "returned", **detail}) if is_end else ("bad", {"case": "ignored", **detail})
    if meaning_of(exchange.finish_reason) == "length":
        raise Skipped("unclear")
    return "good", {"case": "obeyed", **detail}


async def max_tokens(examination: Examination) -> Verdict:
    """A limit of tokens is obeyed, by one of its two names."""
    before = examination.questions.answered()
    wanted = examination.endpoint.max_tokens_field
    exchange = await examination.questions.ask_for(max_tokens=SHORT_TOKENS)
    if examination.questions.is_refused(examination.questions.limit_field):
        return "odd", {"case": "refused", "field": wanted}
    if exchange.error is not None:
        raise exchange.error
    outcome, count = await _limit_outcome(examination, exchange)
    detail = {"field": examination.questions.limit_field, "asked": SHORT_TOKENS, "tokens": count}
    if outcome == "obeyed" and (await _tokens(examination, before)) > SHORT_TOKENS + 1:
        is_same = examination.questions.limit_field == wanted
        return ("good", {"case": "obeyed", **detail}) if is_same else ("odd", {"case": "renamed", **detail})
    if outcome != "ignored":  # too short an answer, or one that always ends there
        raise Skipped("unclear")
    other = OTHER_LIMIT[examination.questions.limit_field]
    if not examination.questions.is_refused(other):
        again = await examination.questions.ask_for(max_tokens=SHORT_TOKENS, field=other)
        if again.came and not again.refused and (await _limit_outcome(examination, again))[0] == "obeyed":
            return "odd", {**detail, "case": "renamed", "field": other}
    return "bad", {"case": "ignored", **detail}


async def cancel(examination: Examination) -> Verdict:
    """Leave in the middle, and watch whether the server goes on; only where it lets itself be watched."""
    streamed = examination.questions.stream()
    before = await examination.server_load.running()
    if before is None:
        raise Skipped("unseen")
    pace = float(streamed.stopwatch.timing().writing_ms or 0) / 1000 / max(streamed.stopwatch.timing().deltas - 1, 1)
    during: int | None = None

    async def look() -> bool:
        nonlocal during
        during = await examination.server_load.running()
        return True

    exchange = await examination.questions.ask_at_length(look)
    if exchange.error is not None:
        raise exchange.error
    if during is None or during <= before:
        raise Skipped("too_quick")
    # Within that time it can't have come to its end by itself.
    patience = min(CANCEL_SECONDS, max(pace * LONG_TOKENS / 2, 0.3))
    left_at = monotonic()
    while (running := await examination.server_load.running()) is not None and running > before:
        if monotonic() - left_at > patience:
            detail = {"seen_by": examination.server_load.page, "after_seconds": round(patience, 1)}
            return "bad", {"case": "runs_on", **detail}
        await asyncio.sleep(LOOK_SECONDS)
    after = round(monotonic() - left_at, 2)
    return "good", {"case": "ended", "seen_by": examination.server_load.page, "after_seconds": after}


async def completions(examination: Examination) -> Verdict:
    """The legacy endpoint exists."""
    if examination.endpoint.dialect == "completions":
        examination.questions.answered()
        return "good", {"case": "in_use", "exists": True}
    exchange = await examination.questions.ask_for(max_tokens=SHORT_TOKENS, field="max_tokens", dialect="completions")
    if exchange.came:
        return "good", {"case": "exists", "exists": True}
    if exchange.error is None or exchange.error.code.rules.is_no_endpoint:
        return "good", {"case": "absent", "exists": False}
    return "odd", error_detail(exchange.error)


async def _limit_outcome(examination: Examination, exchange: Exchange) -> tuple[str, int]:
    """`obeyed`, `ignored` or `unclear`, and the tokens that came; some count the end mark, too."""
    count = await _tokens(examination, exchange)
    if count > 2 * SHORT_TOKENS:
        return "ignored", count
    is_cut = meaning_of(exchange.finish_reason) == "length" or count in (SHORT_TOKENS, SHORT_TOKENS + 1)
    return ("obeyed" if is_cut else "unclear"), count


async def _tokens(examination: Examination, exchange: Exchange) -> int:
    """The tokens of an answer."""
    if exchange.usage is not None:
        return exchange.usage.completion_tokens
    return (await asyncio.to_thread(examination.questions.counted, exchange))[1]


def _common_character(text: str) -> str:
    """One that is likely to come again in the middle of another answer to the same question."""
    return next((one for one in "7eaoi" if one in text[1:-1]), "e")
