"""Compute the cost of a request."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

MILLION = 1_000_000
SMALLEST = Decimal("1e-10")
"""The precision of stored costs. A token at a cent per million costs 0.00000001."""


@dataclass(frozen=True)
class Rate:
    """Prices per million tokens in one currency (ISO 4217). `cached`: prompt tokens from a cache; None = as others."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal | None = None
    currency: str = "USD"


def cost(
    rate: Rate | None, prompt_tokens: int | None, completion_tokens: int | None, cached_tokens: int | None = None
) -> Decimal | None:
    """Return the cost of the tokens in the rate's currency; None without a rate or with unknown tokens.

    ((prompt − cached) · prompt price + cached · cached price + completion · completion price) / 1,000,000. The cached
    tokens are a part of the prompt's (OpenAI's `prompt_tokens_details`), the reasoning tokens one of the completion's.
    """
    if rate is None or prompt_tokens is None or completion_tokens is None:
        return None
    cached = min(cached_tokens or 0, prompt_tokens) if rate.cached is not None else 0
    millionfold = (prompt_tokens - cached) * rate.prompt + completion_tokens * rate.completion
    if rate.cached is not None:
        millionfold += cached * rate.cached
    return (millionfold / MILLION).quantize(SMALLEST, rounding=ROUND_HALF_EVEN)
