"""Totals of usage records, computed by the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from django.db.models import Count, Q, QuerySet, Sum

from chat.models import UsageRecord


@dataclass(frozen=True)
class UsageTotals:
    """Sums over the records whose figures are known; None = no record has the figure."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    counted_tokens: int
    counted_requests: int
    median_ttft_ms: Decimal | None
    costs: Mapping[str, Decimal]
    """Currency → sum."""
    unpriced_requests: int
    """The number of requests without a known cost, because the tokens or the prices are unknown."""

    @property
    def counted_percent(self) -> Decimal | None:
        """The percentage of tokens that the portal counted because the provider reported none; one decimal."""
        if not self.total_tokens:
            return None
        share = Decimal(100 * self.counted_tokens) / self.total_tokens
        return share.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)


def totals_of(records: QuerySet[UsageRecord]) -> UsageTotals:
    """Return the totals of the records. Makes three queries."""
    counted = Q(usage_source=UsageRecord.UsageSource.COUNTED)
    sums = records.aggregate(
        # These two come first, because a sum takes that name.
        counted_tokens=Sum("total_tokens", filter=counted, default=0),
        unpriced_requests=Count("pk", filter=Q(cost=None) & ~Q(total_tokens=0)),
        requests=Count("pk"),
        prompt_tokens=Sum("prompt_tokens", default=0),
        completion_tokens=Sum("completion_tokens", default=0),
        total_tokens=Sum("total_tokens", default=0),
        counted_requests=Count("pk", filter=counted),
        timed=Count("ttft_ms"),
    )
    costs = records.filter(cost__isnull=False).order_by().values_list("currency").annotate(Sum("cost"))
    return UsageTotals(median_ttft_ms=_median_ttft_ms(records, sums.pop("timed")), costs=dict(sorted(costs)), **sums)


def _median_ttft_ms(records: QuerySet[UsageRecord], timed: int) -> Decimal | None:
    """Return the median from the one or two middle rows, because SQLite has no median function."""
    if not timed:
        return None
    ordered = records.filter(ttft_ms__isnull=False).order_by("ttft_ms").values_list("ttft_ms", flat=True)
    middle = [Decimal(value or 0) for value in ordered[(timed - 1) // 2 : timed // 2 + 1]]
    return sum(middle, Decimal(0)) / len(middle) if middle else None
