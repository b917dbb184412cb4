"""Figures as people read them, in the reader's language."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from django.utils.formats import number_format


def roughly(number: float) -> str:
    """52.4 → '52', 3.27 → '3.3', 0.042 → '0.04': as exactly as one can compare at a glance."""
    decimals = 0 if number >= 9.95 else 1 if number >= 0.095 else 2
    rounded = Decimal(number).quantize(Decimal(10) ** -decimals)  # the other function would cut it off
    return number_format(rounded, decimals, use_l10n=True, force_grouping=True)


def money_in_words(amount: Decimal | None, currency: str) -> str:
    """0.0073, "USD" → “$0.0073”: two decimals, below a tenth two digits that say something; '' for what is unknown.

    static/chat/js/figures.js does the same; tests/js/receipt_cases.json holds both to the same cases.
    """
    if amount is None:
        return ""
    decimals = max(2, 1 - amount.adjusted()) if amount else 0
    rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    number = number_format(rounded, decimals, use_l10n=True, force_grouping=True)
    return f"${number}" if currency == "USD" else f"{number} {currency}"
