"""The usage list: totals of everything that matches, and the ways to the person, the generation, the conversation."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from chat.models import UsageRecord

LIST = "/admin/chat/usagerecord/"
NOTHING = {"requests": "0", "prompt_tokens": "0", "completion_tokens": "0", "total_tokens": "0", "counted": "–",
           "median_ttft_ms": "–", "cost": "–"}  # fmt: skip


def record(user_name="owner", state="completed", source="reported", tokens=(100, 50), ttft_ms=None, **fields):
    prompt, completion = tokens
    total = None if prompt is None else prompt + completion
    values = {"provider_name": "upstream", "model_name": "gpt-4o-mini", **fields}
    return UsageRecord.objects.create(
        user_name=user_name, state=state, usage_source=source, ttft_ms=ttft_ms, prompt_tokens=prompt,
        completion_tokens=completion, total_tokens=total, **values,
    )  # fmt: skip


def totals(browse, query=""):
    page = browse.get(f"{LIST}?{query}")
    assert page.status_code == 200
    figures = r'data-total="(\w+)">([^<]*)</span>(?:\s*<span class="totals__unit">([^<]*)</span>)?'
    return {name: f"{value} {unit}".rstrip() for name, value, unit in re.findall(figures, page.content.decode())}


@pytest.fixture
def ledger(staff):
    """Five records with different people, providers, models, states, sources, days and times."""
    day = datetime(2026, 3, 14, 12, tzinfo=UTC)
    record("owner", ttft_ms=100, created_at=day, user=staff)
    record("owner", ttft_ms=300, created_at=day, model_name="gpt-4o")
    record("colleague", ttft_ms=905, source="counted", tokens=(30, 20), provider_name="another")
    record("colleague", state="failed", source="counted", tokens=(0, 0))
    record("colleague", state="interrupted", source="unknown", tokens=(None, None))


def test_an_empty_ledger_has_no_share_and_no_median(browse):
    assert totals(browse) == NOTHING


def test_totals_are_of_all_records(browse, ledger):
    assert totals(browse) == {
        "requests": "5", "prompt_tokens": "230", "completion_tokens": "120", "total_tokens": "350",
        "counted": "14.3 %", "median_ttft_ms": "300 ms", "cost": "–",
    }  # fmt: skip
    assert "of tokens, 2 requests" in browse.get(LIST).content.decode()


def test_costs_are_summed_by_currency_and_what_is_unknown_is_said(browse, staff):
    record(cost=Decimal("0.0073"), currency="USD")
    record(cost=Decimal("39.99"), currency="USD")
    record(cost=Decimal("0.5"), currency="EUR")
    assert totals(browse)["cost"] == "0.50 EUR + $40.00"
    text = browse.get(LIST).content.decode()
    assert "without 1 request" not in text and "$0.0073" in text
    record(tokens=(0, 0), source="counted", state="failed")  # nothing was sent, whatever it would have cost
    assert "without 1 request" not in browse.get(LIST).content.decode()
    record()
    assert "without 1 request" in browse.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("query", "requests", "tokens", "counted", "median"),
    [
        ("provider_name=another", "1", "50", "100.0 %", "905 ms"),
        ("model_name=gpt-4o", "1", "150", "0.0 %", "300 ms"),
        ("state__exact=completed", "3", "350", "14.3 %", "300 ms"),
        ("state__exact=failed", "1", "0", "–", "–"),
        ("usage_source__exact=reported", "2", "300", "0.0 %", "200 ms"),
        ("usage_source__exact=unknown", "1", "0", "–", "–"),
        ("created_at__year=2026&created_at__month=3&created_at__day=14", "2", "300", "0.0 %", "200 ms"),
        ("q=colleague", "3", "50", "100.0 %", "905 ms"),
        ("q=colleague&state__exact=completed", "1", "50", "100.0 %", "905 ms"),
        ("source__exact=probe", "0", "0", "–", "–"),
        ("q=nobody", "0", "0", "–", "–"),
    ],
)
def test_totals_follow_filters_search_and_dates(browse, ledger, query, requests, tokens, counted, median):
    found = totals(browse, query)
    assert found["requests"] == requests and found["total_tokens"] == tokens
    assert found["counted"] == counted and found["median_ttft_ms"] == median


def test_totals_follow_the_filter_by_user(browse, staff, ledger):
    assert totals(browse, f"user__id__exact={staff.pk}")["requests"] == "1"


def test_totals_are_of_all_pages_in_a_fixed_number_of_queries(browse, django_assert_max_num_queries):
    for number in range(230):
        record(ttft_ms=number, tokens=(10_000, 1))
    with django_assert_max_num_queries(16):
        found = totals(browse, "p=2")
    assert found["requests"] == "230" and found["prompt_tokens"] == "2,300,000"
    assert found["median_ttft_ms"] == "114.5 ms"


def test_a_record_leads_to_its_generation_and_person(browse, staff, rows):
    generation = f'href="/admin/chat/generation/{rows["generation"].pk}/change/"'
    person = f'href="/admin/chat/user/{staff.pk}/change/"'
    for address in (LIST, f"{LIST}{rows['usagerecord'].pk}/change/"):
        page = browse.get(address).content.decode()
        assert generation in page and person in page


def test_a_generation_leads_to_its_conversation_and_usage_record(browse, rows):
    page = browse.get(f"/admin/chat/generation/{rows['generation'].pk}/change/").content.decode()
    assert f'href="/admin/chat/conversation/{rows["conversation"].pk}/change/">About rivers</a>' in page
    assert f'href="/admin/chat/usagerecord/{rows["usagerecord"].pk}/change/"' in page


def test_a_record_stays_readable_when_what_it_tells_of_is_gone(browse, rows):
    rows["conversation"].delete()
    get_user_model().objects.create_user("gone").delete()
    UsageRecord.objects.update(user=None)
    for address in (LIST, f"{LIST}{rows['usagerecord'].pk}/change/"):
        answer = browse.get(address)
        assert answer.status_code == 200 and "/admin/chat/generation/" not in re.sub(
            r"(?s)<nav.*?</nav>", "", answer.content.decode()
        )


def test_links_lead_nobody_to_a_closed_door(client, staff, rows):
    staff = get_user_model().objects.create_user("staff-2", password="the right password", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_usagerecord"]))
    client.force_login(staff)
    for address in (LIST, f"{LIST}{rows['usagerecord'].pk}/change/"):
        page = client.get(address).content.decode()
        assert "/admin/chat/generation/" not in page and "/admin/chat/user/" not in page
        assert "gpt-4o-mini" in page and "staff" in page


def test_the_title_of_a_conversation_needs_the_permission_for_conversations(client, rows):
    staff = get_user_model().objects.create_user("staff-2", password="the right password", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_generation"))
    client.force_login(staff)
    page = client.get(f"/admin/chat/generation/{rows['generation'].pk}/change/").content.decode()
    assert "About rivers" not in page and "/admin/chat/conversation/" not in page
    assert "/admin/chat/message/" not in page and "/admin/chat/usagerecord/" not in page


HEADS = ["opened", "user_link", "provider_and_model", "state", "tokens_in", "tokens_out", "money", "usage_source",
         "first_token", "duration", "speed", "generation_link"]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "first"),
    [
        ("opened", "beta"),
        ("user_link", "alpha"),
        ("provider_and_model", "beta"),
        ("state", "alpha"),
        ("tokens_in", "beta"),
        ("tokens_out", "alpha"),
        ("money", "beta"),
        ("usage_source", "alpha"),
        ("first_token", "beta"),
        ("duration", "beta"),
    ],
)
def test_the_list_is_sorted_by_what_its_columns_show(browse, head, first):
    record("alpha", tokens=(1000, 9), ttft_ms=100, duration_ms=1000, provider_name="b", model_name="a",
           created_at=datetime(2026, 3, 14, tzinfo=UTC), source="counted", cost=Decimal(2), currency="USD")  # fmt: skip
    record("beta", tokens=(9, 1000), ttft_ms=90, duration_ms=900, provider_name="a", model_name="z", state="failed",
           created_at=datetime(2026, 1, 1, tzinfo=UTC), cost=Decimal(1), currency="USD")  # fmt: skip
    heads = re.findall(r'<th scope="col" class="[^"]*column-(\w+)', browse.get(LIST).content.decode())
    assert heads == HEADS
    for sign in ("", "-"):
        page = browse.get(f"{LIST}?o={sign}{heads.index(head)}").content.decode()  # no boxes to tick, so from 0
        names = re.findall(r'<td class="field-user_link">(.*?)</td>', page)
        assert sorted(names) == ["alpha", "beta"] and names[-1 if sign else 0] == first


def test_every_number_has_its_unit_and_an_unknown_one_is_no_zero(browse):
    record(tokens=(1204, 31), ttft_ms=405, duration_ms=19213, created_at=datetime(2026, 11, 22, 7, 54, 3, tzinfo=UTC))
    record(tokens=(None, None), created_at=datetime(2026, 1, 1, tzinfo=UTC))
    page = browse.get(LIST).content.decode()
    cells = {name: re.findall(rf'class="field-{name}">(?:<a[^>]*>)?(.*?)(?:</a>)?</t[dh]>', page) for name in HEADS}
    assert cells["tokens_in"] == ["1,204", "–"] and cells["tokens_out"] == ["31", "–"]
    assert cells["first_token"] == ["405 ms", "–"] and cells["duration"] == ["19,213 ms", "–"]
    assert cells["provider_and_model"][0] == "upstream / gpt-4o-mini"
    assert ">22 Nov 07:54:03</time>" in cells["opened"][0]
    assert 'title="22 November 2026 07:54:03 UTC"' in cells["opened"][0]


def test_the_newest_record_stands_first(browse, ledger):
    record("latest", created_at=datetime(2027, 1, 1, tzinfo=UTC))
    record("oldest", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    names = re.findall(r'<td class="field-user_link">(.*?)</td>', browse.get(LIST).content.decode())
    assert (names[0], names[-1]) == ("latest", "oldest")
