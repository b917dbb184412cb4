"""The price list: which price holds when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from chat.models import LanguageModel, Price, Provider
from chat.pricing import Rate

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 5, 3, tzinfo=UTC)


@pytest.fixture
def model() -> LanguageModel:
    provider = Provider.objects.create(name="upstream", base_url="https://llm.example.org/v1")
    return LanguageModel.objects.create(provider=provider, name="gpt-4o-mini")


def price(model: LanguageModel, prompt: str, valid_from: datetime, **fields) -> Price:
    return Price.objects.create(
        model=model, prompt=Decimal(prompt), completion=Decimal(1), valid_from=valid_from, **fields
    )


@pytest.mark.parametrize(
    ("moment", "prompt"),
    [(DAY - timedelta(seconds=1), None), (DAY, "1"), (DAY + timedelta(hours=30), "1"), (DAY + timedelta(days=2), "2")],
)
def test_a_price_holds_until_the_next_one_begins(model, moment, prompt):
    price(model, "2", DAY + timedelta(days=2))
    price(model, "1", DAY)
    price(LanguageModel.objects.create(provider=model.provider, name="another"), "9", DAY)
    rate = Price.objects.rate(model.pk, moment)
    assert (rate.prompt if rate else None) == (Decimal(prompt) if prompt else None)


def test_without_a_price_there_is_no_rate(model):
    assert Price.objects.rate(model.pk) is None


def test_a_price_that_begins_tomorrow_does_not_hold_today(model):
    price(model, "1", datetime.now(UTC) + timedelta(days=1))
    assert Price.objects.rate(model.pk) is None


def test_the_rate_is_what_was_entered(model):
    price(model, "0.150000", DAY, cached=Decimal("0.075"), currency="EUR")
    assert Price.objects.rate(model.pk) == Rate(Decimal("0.15"), Decimal(1), Decimal("0.075"), "EUR")
    assert str(Price.objects.get()) == "gpt-4o-mini: 0.15 / 1 EUR"


@pytest.mark.parametrize(
    "fields", [{"currency": "usd"}, {"currency": "$"}, {"prompt": Decimal("-0.1")}, {"cached": Decimal(-1)}]
)
def test_bad_prices_are_refused(model, fields):
    bad = Price(**{"model": model, "prompt": Decimal(1), "completion": Decimal(1), **fields})
    with pytest.raises(ValidationError) as refused:
        bad.full_clean()
    assert set(refused.value.message_dict) == set(fields)
