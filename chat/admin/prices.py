"""The price list on a model's page, and the current price in the list of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from chat.models import LanguageModel, Price
from chat.pricing import Rate
from chat.texts.figures import money_in_words

UNKNOWN = "–"


class PriceInline(admin.TabularInline):
    """The model's price list, the latest price first."""

    model = Price
    extra = 0
    ordering = ["-valid_from"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Set the width of the field to the length of its values."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "currency":
            field.widget.attrs |= {"size": 4, "class": ""}
        return field


def price_column() -> Callable[[LanguageModel], str]:
    """Return the column with the current prices for a list of models. It makes one query for all rows."""
    rates: Any = SimpleLazyObject(lambda: Price.objects.rates(LanguageModel.objects.values_list("pk", flat=True)))

    @admin.display(description=_("price per million tokens, in and out"))
    def price(model: LanguageModel) -> str:
        return price_in_words(rates.get(model.pk))

    return price


def price_in_words(rate: Rate | None) -> str:
    """Return the prices per million tokens in and out, such as “$0.15 · $0.60”."""
    if rate is None:
        return UNKNOWN
    return f"{money_in_words(rate.prompt, rate.currency)} · {money_in_words(rate.completion, rate.currency)}"
