"""From the events of the core to the frames of the socket, with the sentence for each code in the reader's language."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from django.utils import translation

from chat.codes import Code
from chat.generation.accept import Refusal
from chat.generation.events import AnswerEnded, Event, StatusChanged
from chat.ledger import Usage
from chat.pricing import Rate
from chat.protocol import UNSET, Bye, Delta, Error, Finished, Refused, Snapshot, Status, objects
from chat.texts.errors import sentence
from chat.texts.finish_reasons import why_not_whole
from chat.timing import Timing, speeds


def frame_of(event: Event, language: str) -> Snapshot | Delta | Status | Finished:
    """The frame of an event. `language`: a code that Django knows."""
    if isinstance(event, StatusChanged):
        return _status(event, language)
    if isinstance(event, AnswerEnded):
        return _finished(event, language)
    return event


def refused(key: uuid.UUID, refusal: Refusal, language: str) -> Refused:
    """The answer to a prompt that is not taken."""
    message = _sentence(refusal.code, refusal.parameters, language)
    return Refused(str(key), refusal.code, message, refusal.retry_after_ms or UNSET)


def error(code: Code, language: str, ref: str | None = None) -> Error:
    """The answer to a command that had no effect; `ref` is what it was about."""
    return Error(code, _sentence(code, {}, language), ref)


def bye(code: Code, language: str) -> Bye:
    """Why the socket is closed."""
    return Bye(code, _sentence(code, {}, language))


def _status(event: StatusChanged, language: str) -> Status:
    known: dict[str, Any] = {
        one.name: value for one in fields(event) if (value := getattr(event, one.name)) is not None
    }
    del known["parameters"]
    known["generation"] = str(event.generation)
    if event.code is not None:
        known["message"] = _sentence(event.code, event.parameters, language)
    return Status(**known)


def _finished(event: AnswerEnded, language: str) -> Finished:
    with translation.override(language):
        reason = why_not_whole(event.state, event.code or "", event.finish_reason, event.parameters)
    return Finished(
        generation=str(event.generation),
        seq=event.seq,
        state=event.state,
        finish_reason=event.finish_reason,
        usage=_usage(event.usage, event.rate),
        timing=_timing(event.timing, event.usage.completion_tokens, event.characters),
        length=event.length,
        sha256=event.sha256,
        code=event.code,
        message=reason or UNSET,
    )


def _usage(usage: Usage, rate: Rate | None) -> objects.Usage:
    known: objects.Usage = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "source": str(usage.source),
    }
    if usage.reasoning_tokens is not None:
        known["reasoning_tokens"] = usage.reasoning_tokens
    if usage.cached_tokens is not None:
        known["cached_tokens"] = usage.cached_tokens
    if usage.is_estimated:
        known["estimated"] = True
    cost = usage.cost(rate)
    if rate is not None and cost is not None:
        known |= {"cost": _decimal_string(cost), "currency": rate.currency}
    return known


def _timing(timing: Timing, completion_tokens: int | None, characters: int) -> objects.Timing:
    rates = speeds(timing.writing_ms, timing.deltas, completion_tokens, characters)
    return {
        "ttft_ms": timing.ttft_ms,
        "duration_ms": timing.duration_ms,
        "inter_token_latency_ms": _number(rates.inter_token_latency_ms),
        "tokens_per_second": _number(rates.tokens_per_second),
        "characters_per_second": _number(rates.characters_per_second),
        "deltas": timing.deltas,
        "longest_gap_ms": timing.longest_gap_ms,
    }


def _sentence(code: str, parameters: Mapping[str, Any], language: str) -> str:
    with translation.override(language):
        return sentence(code, parameters)


def _decimal_string(value: Decimal) -> str:
    """0.0073000000 → '0.0073'."""
    return f"{value.normalize():f}"


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
