"""What a request costs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chat.pricing import Rate, cost

MINI = Rate(Decimal("0.15"), Decimal("0.60"))
CACHED = Rate(Decimal("2.50"), Decimal("10"), Decimal("1.25"), "EUR")


@pytest.mark.parametrize(
    ("rate", "tokens", "amount"),
    [
        (MINI, (1_000_000, 1_000_000, None), "0.75"),
        (MINI, (36, 298, None), "0.0001842"),
        (MINI, (0, 0, None), "0"),
        (MINI, (1000, 0, 1000), "0.00015"),  # without a price of their own, cached tokens cost what the others cost
        (CACHED, (1000, 10, 800), "0.0016"),
        (CACHED, (1000, 10, None), "0.0026"),
        (CACHED, (1000, 10, 4000), "0.00135"),  # nobody has more tokens in a cache than in the prompt
        (Rate(Decimal("0.000001"), Decimal(0)), (1, 0, None), "0"),
        (Rate(Decimal("999999999999"), Decimal("999999999999")), (2**31, 2**31, None), "4294967295995705.032704"),
        (None, (36, 298, None), None),
        (MINI, (None, 298, None), None),
        (MINI, (36, None, None), None),
    ],
)
def test_tokens_times_price(rate, tokens, amount):
    assert cost(rate, *tokens) == (None if amount is None else Decimal(amount))
