"""Checks of the first two answers: one in one piece, one as a stream."""

from __future__ import annotations

import asyncio
from typing import Any

from chat.codes import Code
from chat.diagnosis.examination import Examination, Verdict, error_detail
from chat.diagnosis.exchange import Exchange
from chat.diagnosis.questions import Skipped
from chat.finish_reasons import meaning_of
from chat.providers.base import ProviderError
from chat.providers.think_tags import CLOSING, OPENING


async def whole_answer(examination: Examination) -> Verdict:
    """The first question is answered in one piece."""
    if examination.questions.whole is None:
        raise Skipped("unclear")
    return _came(examination, examination.questions.whole)


async def streamed_answer(examination: Examination) -> Verdict:
    """The same question is answered as a stream."""
    exchange = examination.questions.streamed = await examination.questions.ask(whole_answers=False)
    if exchange.error is not None and examination.questions.present.whole_answers and examination.questions.is_whole:
        return "odd", error_detail(exchange.error)  # known already
    result, detail = _came(examination, exchange)
    if exchange.came and "whole_answer" in exchange.warnings:
        return "odd", {**detail, "case": "whole"}
    if exchange.came and exchange.warnings and result == "good":
        return "odd", {**detail, "case": "warned", "warnings": exchange.warnings}
    return result, detail


async def time_saved(examination: Examination) -> Verdict:
    """The first words of the stream are there sooner than the whole answer."""
    questions = examination.questions
    streamed = questions.stream()
    first_ms = streamed.stopwatch.timing().ttft_ms
    whole = questions.whole if questions.whole is not None and questions.is_whole else streamed
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


async def really_streams(examination: Examination) -> Verdict:
    """By pieces and time: a buffer on the way gives much at once, late, and little time between first and last."""
    streamed = examination.questions.stream()
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


async def include_usage(examination: Examination) -> Verdict:
    """Usage is reported for a stream."""
    streamed = examination.questions.stream()
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


async def count(examination: Examination) -> Verdict:
    """The portal counts tokens as the server does."""
    questions = examination.questions
    answers = [one for one in (questions.streamed, questions.whole) if one is not None and one.came]
    exchange = next((one for one in answers if one.usage is not None), None)
    if exchange is None or exchange.usage is None:
        raise Skipped("no_usage" if answers else "no_answer")
    usage = exchange.usage
    prompt, completion = await asyncio.to_thread(examination.questions.counted, exchange)
    hidden = (usage.reasoning_tokens or 0) if not exchange.reasoning else 0
    pairs = {"prompt": (prompt, usage.prompt_tokens), "completion": (completion, usage.completion_tokens - hidden)}
    detail: dict[str, Any] = {
        name: {"ours": ours, "theirs": theirs, "percent": _off_by(ours, theirs)}
        for name, (ours, theirs) in pairs.items()
    }
    detail |= {"encoding": examination.questions.encoding.name, "is_exact": examination.questions.encoding.is_exact}
    agrees = all(abs(ours - theirs) <= max(4, theirs / 10) for ours, theirs in pairs.values())
    return ("good", {"case": "agrees", **detail}) if agrees else ("odd", {"case": "differs", **detail})


async def rate_limits(examination: Examination) -> Verdict:
    """The headers about rate limits."""
    headers: dict[str, str] = {}
    for exchange in examination.questions.all:
        headers |= exchange.rate_limits
    shown = {"headers": {name[:60]: examination.questions.shown(value) for name, value in sorted(headers.items())[:12]}}
    for exchange in examination.questions.all:
        if exchange.error is not None and exchange.error.code in (Code.UPSTREAM_RATE_LIMITED, Code.UPSTREAM_QUOTA):
            return "odd", {**shown, **error_detail(exchange.error)}
    return "good", {"case": "told" if headers else "silent", **shown}


def _came(examination: Examination, exchange: Exchange) -> Verdict:
    """An answer, its first words, and whether it begins with reasoning."""
    if exchange.error is not None:
        raise exchange.error
    if not exchange.came:
        if meaning_of(exchange.finish_reason) == "length":  # all of them went into reasoning that isn't shown
            return "odd", {"case": "silent", "finish_reason": exchange.finish_reason or ""}
        raise ProviderError(Code.ANSWER_EMPTY)
    detail: dict[str, Any] = {
        "case": "came",
        "text": examination.questions.shown(exchange.text or exchange.reasoning),
        "response_model": examination.questions.shown(exchange.response_model),
        "finish_reason": examination.questions.shown(exchange.finish_reason or ""),
        "deltas": exchange.stopwatch.timing().deltas,
    }
    if tags := _think_tags(exchange.text):
        is_known = tags == examination.questions.present.think_tags
        return "good" if is_known else "odd", {**detail, "case": "thinks", "think_tags": tags}
    return "good", detail


def _think_tags(text: str) -> str:
    """What the provider's setting for reasoning should be, as far as this text shows; '' for no reasoning."""
    if text.lstrip().startswith(OPENING):
        return "tagged"
    return "opened" if CLOSING in text and OPENING not in text else ""


def _off_by(ours: int, theirs: int) -> int | None:
    """How far our count is off, in per cent of theirs."""
    return round(100 * (ours - theirs) / theirs) if theirs else None
