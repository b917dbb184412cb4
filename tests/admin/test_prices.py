"""Prices in the admin: entered on a model's page, and the one of today in the list of models."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from chat.models import LanguageModel, Price, Provider
from chat.pricing import Rate

LIST = "/admin/chat/languagemodel/"


@pytest.fixture
def model(db) -> LanguageModel:
    provider = Provider.objects.create(name="upstream", base_url="https://llm.example.org/v1")
    return LanguageModel.objects.create(provider=provider, name="gpt-4o-mini", position=1)


def form(model: LanguageModel, **price: str) -> dict[str, object]:
    """What the browser sends for a model and one new price."""
    now = timezone.localtime()
    entered = {"prompt": "2.5", "completion": "10", "cached": "", "currency": "USD"} | price
    moment = {"valid_from_0": f"{now:%Y-%m-%d}", "valid_from_1": f"{now:%H:%M:%S}"}
    return {
        "provider": model.provider_id, "name": model.name, "default_options": "{}", "position": 1, "enabled": "on",
        "prices-TOTAL_FORMS": 1, "prices-INITIAL_FORMS": 0,
        **{f"prices-0-{name}": value for name, value in (entered | moment).items()},
    }  # fmt: skip


def shown(browse) -> list[str]:
    return re.findall(r'<td class="field-price">(.*?)</td>', browse.get(LIST).content.decode())


def test_a_price_is_entered_on_the_page_of_its_model(browse, model):
    assert browse.post(f"{LIST}{model.pk}/change/", form(model)).status_code == 302
    assert Price.objects.rate(model.pk) == Rate(Decimal("2.5"), Decimal(10))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"currency": "usd"}, "Three capital letters"),
        ({"prompt": "-1"}, "greater than or equal to 0"),
        ({"prompt": "1,5 $"}, "Enter a number"),
        ({"completion": ""}, "This field is required"),
        ({"prompt": "0.0000001"}, "no more than 6 decimal places"),
    ],
)
def test_a_price_with_something_wrong_says_what(browse, model, wrong, said):
    page = browse.post(f"{LIST}{model.pk}/change/", form(model, **wrong))
    assert page.status_code == 200 and said in page.content.decode()
    assert not Price.objects.exists()


def test_the_list_shows_the_price_of_today_and_unknown_is_no_zero(browse, model):
    LanguageModel.objects.create(provider=model.provider, name="another", position=2)
    today = timezone.now()
    for days, prompt in ((-30, "9"), (-1, "0.15"), (1, "7")):
        Price.objects.create(model=model, prompt=prompt, completion="0.6", valid_from=today + timedelta(days=days))
    assert shown(browse) == ["$0.15 · $0.60", "–"]


def test_the_prices_of_many_models_are_read_at_once(
    browse, model, django_assert_num_queries, django_assert_max_num_queries
):
    with django_assert_max_num_queries(30) as before:
        shown(browse)
    for number in range(20):
        more = LanguageModel.objects.create(provider=model.provider, name=f"model {number}")
        Price.objects.create(model=more, prompt=1, completion=1)
    with django_assert_num_queries(len(before)):
        assert len(shown(browse)) == 21
