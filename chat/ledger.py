"""The ledger: only this module opens and closes usage records. A record can exist without a conversation.

All functions run in the caller's transaction. Only the writer writes records of answers.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from chat import pricing
from chat.codes import Code
from chat.models import Generation, LanguageModel, Price, Provider, State, UsageRecord, User, priced
from chat.pricing import Rate
from chat.providers import UsageReported
from chat.timing import Timing, speeds


@dataclass(frozen=True)
class Usage:
    """Token counts and their origin. All counts are None if they are unknown.

    counted_with  the encoding, if the portal counted
    is_estimated  whether that encoding is not the model's own
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    source: str = UsageRecord.UsageSource.UNKNOWN
    counted_with: str = ""
    is_estimated: bool = False

    def cost(self, rate: Rate | None) -> Decimal | None:
        """Return the cost of the tokens in the currency of the rate; None = unknown."""
        return pricing.cost(rate, self.prompt_tokens, self.completion_tokens, self.cached_tokens)


def reported(usage: UsageReported) -> Usage:
    """Convert the usage that an upstream reported."""
    return Usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.reasoning_tokens,
        usage.cached_tokens,
        source=UsageRecord.UsageSource.REPORTED,
    )


NOTHING_SENT = Usage(0, 0, 0, source=UsageRecord.UsageSource.COUNTED)


@dataclass(frozen=True)
class Outcome:
    """The end of a request, with all values for its record.

    rate        the prices that were valid when the record was opened; None = no price was set
    characters  code points of the content that this request wrote
    """

    state: State
    usage: Usage = NOTHING_SENT
    timing: Timing = field(default_factory=Timing)
    rate: Rate | None = None
    characters: int = 0
    attempts: int = 0
    finish_reason: str | None = None
    error_code: str = ""
    upstream_request_id: str = ""
    response_model: str = ""


def open_record(
    *,
    user: User | None,
    user_name: str,
    provider: Provider | None,
    provider_name: str,
    model: LanguageModel | None,
    model_name: str,
    source: str = UsageRecord.Source.CHAT,
    created_at: datetime | None = None,
    generation: Generation | None = None,
) -> UsageRecord:
    """Open the record of one request with the current prices. Names are copied, because rows may be deleted."""
    created_at = created_at or timezone.now()
    return UsageRecord.objects.create(
        generation=generation,
        user=user,
        user_name=user_name,
        provider=provider,
        provider_name=provider_name,
        model=model,
        model_name=model_name[:200],
        source=source,
        created_at=created_at,
        # guard: a request keeps the price it was asked at
        **priced(Price.objects.rate(model.pk, created_at) if model else None),
    )


def mark_running(generation: uuid.UUID) -> None:
    """Set the state of the generation's record to running."""
    UsageRecord.objects.unclosed().filter(generation=generation).update(state=State.RUNNING)


def note_progress(record: int, timing: Timing, attempts: int, finish_reason: str | None) -> None:
    """Store the progress of a running request, so that the record keeps it after a kill."""
    UsageRecord.objects.unclosed().filter(pk=record).update(
        finish_reason=finish_reason, attempts=attempts, **_times(timing)
    )


def close_record(record: int, outcome: Outcome) -> bool:
    """Close a record with its outcome and its cost. Return False, without a change, if it is closed already."""
    # guard: a usage record is closed once
    return UsageRecord.objects.unclosed().filter(pk=record).update(**_facts(outcome)) == 1


def close_abandoned() -> int:
    """Close records whose generations were deleted while an earlier process ran them. Return their number."""
    return (
        UsageRecord.objects.unclosed()
        .filter(generation=None)
        .update(state=State.INTERRUPTED, error_code=Code.SERVER_RESTARTED, closed_at=timezone.now())
    )


def _facts(outcome: Outcome) -> dict[str, Any]:
    usage, timing = outcome.usage, outcome.timing
    rates = speeds(timing.writing_ms, timing.deltas, usage.completion_tokens, outcome.characters)
    return {
        "closed_at": timezone.now(),
        "state": outcome.state,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cached_tokens": usage.cached_tokens,
        "usage_source": usage.source,
        "counted_with": usage.counted_with,
        "is_estimated": usage.is_estimated,
        "cost": usage.cost(outcome.rate),
        "inter_token_latency_ms": rates.inter_token_latency_ms,
        "characters": outcome.characters,
        "attempts": outcome.attempts,
        "finish_reason": outcome.finish_reason,
        "error_code": outcome.error_code,
        "upstream_request_id": outcome.upstream_request_id[:200],
        "response_model": outcome.response_model[:200],
        **_times(timing),
    }


def _times(timing: Timing) -> dict[str, Any]:
    return {
        "ttft_ms": timing.ttft_ms,
        "duration_ms": timing.duration_ms,
        "writing_ms": timing.writing_ms,
        "longest_gap_ms": timing.longest_gap_ms,
        "deltas": timing.deltas,
    }
