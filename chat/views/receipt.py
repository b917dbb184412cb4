"""The receipt of an answer: the stored figures in the reader's number format, with all their digits.

static/chat/js/figures.js does the same for a live answer. tests/js/receipt_cases.json tests both with the same cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from chat.models import UsageRecord
from chat.texts.figures import money_in_words
from chat.texts.finish_reasons import finish_reason_in_words
from chat.timing import speeds


@dataclass(frozen=True)
class Receipt:
    """Each figure in two forms: as stored, for `data-` attributes ('' = unknown), and formatted for display."""

    duration_ms: str = ""
    duration: str = ""
    ttft_ms: str = ""
    ttft: str = ""
    tokens_per_second: str = ""
    speed: str = ""
    prompt_tokens: str = ""
    completion_tokens: str = ""
    tokens: str = ""
    cost: str = ""
    source: str = ""
    source_word: str = ""
    finish: str = ""
    finish_reason: str = ""
    gap: str = ""
    between: str = ""
    characters: str = ""
    deltas: str = ""
    reasoning: str = ""
    cached: str = ""
    attempts: str = ""
    request_id: str = ""
    curve: str = ""
    """Characters over time for the chart: `ms,characters ms,characters …`."""


def receipt_of(usage: UsageRecord, state: str, curve: Iterable[tuple[int, int]] = ()) -> Receipt:
    """Return the receipt of an answer in `state`. `curve`: pairs of milliseconds and characters."""
    rates = speeds(usage.writing_ms, usage.deltas, usage.completion_tokens, usage.characters)
    speed = rates.tokens_per_second
    return Receipt(
        duration_ms=_raw(usage.duration_ms),
        duration=seconds(usage.duration_ms),
        ttft_ms=_raw(usage.ttft_ms),
        ttft=seconds(usage.ttft_ms),
        tokens_per_second=_raw(speed),
        speed=rate(speed),
        prompt_tokens=_raw(usage.prompt_tokens),
        completion_tokens=_raw(usage.completion_tokens),
        tokens=tokens(usage.prompt_tokens, usage.completion_tokens),
        cost=money_in_words(usage.cost, usage.currency),
        source=usage.usage_source,
        source_word=_("estimated") if usage.is_estimated else source_word(usage.usage_source),
        finish=finish_reason_in_words(usage.finish_reason, state),
        finish_reason=usage.finish_reason or "",
        gap=seconds(usage.longest_gap_ms),
        between=milliseconds(rates.inter_token_latency_ms),
        characters=rate(rates.characters_per_second),
        deltas=count(usage.deltas),
        reasoning=count(usage.reasoning_tokens),
        cached=count(usage.cached_tokens),
        attempts=count(usage.attempts),
        request_id=usage.upstream_request_id,
        curve=" ".join(f"{ms},{characters}" for ms, characters in curve),
    )


def seconds(milliseconds: int | None) -> str:
    """Format 442 as '0.442 s', with all digits of whole milliseconds."""
    if milliseconds is None:
        return ""
    return _("%(number)s s") % {"number": grouped(Decimal(milliseconds) / 1000, 3)}


def milliseconds(value: Decimal | None) -> str:
    """Format 20.9 as '20.90 ms'."""
    return "" if value is None else _("%(number)s ms") % {"number": grouped(value, 2)}


def count(number: int | None) -> str:
    """Format 611 as '611', and 0 or None as ''."""
    return grouped(number) if number else ""


def rate(per_second: Decimal | None) -> str:
    """Format 55.1 as '55.10', with as many decimals as are stored."""
    return "" if per_second is None else grouped(per_second, 2)


def tokens(prompt: int | None, completion: int | None) -> str:
    """Format 18 and 2 as '18 in, 2 out'. Words are used because an arrow would flip in right-to-left text."""
    if prompt is None or completion is None:
        return ""
    return _("%(prompt)s in, %(completion)s out") % {"prompt": grouped(prompt), "completion": grouped(completion)}


def source_word(source: str) -> str:
    """Return the translated label of a usage source."""
    return str(UsageRecord.UsageSource(source).label) if source in UsageRecord.UsageSource.values else source


def grouped(number: int | Decimal, decimals: int = 0) -> str:
    """Format a number with the reader's thousands and decimal separators."""
    return number_format(number, decimals, use_l10n=True, force_grouping=True)


def _raw(value: int | Decimal | None) -> str:
    return "" if value is None else str(value)
