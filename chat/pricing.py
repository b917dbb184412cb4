"""Tokens times price: what a request costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

MILLION = 1_000_000
SMALLEST = Decimal("1e-10")
"""Costs are kept to ten decimals: a token at a cent per million costs 0.00000001."""


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
    """What these tokens cost, in the rate's currency; None without a rate or where the tokens are unknown.

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
