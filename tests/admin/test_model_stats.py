"""How models do and which providers do not answer, where an admin looks for it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async

from chat.admin.model_stats import in_words
from chat.health.model_stats import ModelStatsCache
from chat.health.provider_outages import ProviderOutage, ProviderOutages
from chat.models import LanguageModel, Provider
from tests.support.admin_pages import form_of
from tests.support.provider_failures import fail
from tests.support.scoped_client import ScopedClient
from tests.support.usage_records import failed, record

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outages():
    return ProviderOutages(lambda: 0.0)


@pytest.fixture
def cache(outages):
    return ModelStatsCache(outages)


@pytest.fixture
def client_of_portal(cache):
    """A browser at a portal that knows the cache."""
    return ScopedClient(model_stats=cache)


@pytest.fixture
def look(staff, client_of_portal):
    """The same, with the admin before it."""

    async def look(address):
        await client_of_portal.aforce_login(staff)
        answer = await client_of_portal.get(address)
        assert answer.status_code == 200
        return answer.content.decode()

    return look


@pytest.fixture
def models(provider):
    known = LanguageModel.objects.create(provider=provider, name="known", position=1)
    LanguageModel.objects.create(provider=provider, name="never-asked", position=2)
    for _ in range(3):
        record(known, ttft_ms=412, latency="19.12")
    failed(known)


def cells(page, name):
    return re.findall(rf'<td class="field-{name}[^"]*">(.*?)</td>', page)


async def test_the_list_of_models_shows_their_last_hour(look, models, cache):
    await sync_to_async(cache.refresh)()
    page = await look("/admin/chat/languagemodel/")
    assert cells(page, "first_token") == ["0.4 s", "–"]
    assert cells(page, "speed") == ["52", "–"]
    assert cells(page, "errors") == ["25 % of 4", "–"]
    assert [re.sub("&nbsp;|-", "", cell) for cell in cells(page, "present")] == ["", ""]


async def test_the_page_of_a_provider_shows_those_of_its_models(look, models, provider, cache):
    await sync_to_async(cache.refresh)()
    page = await look(f"/admin/chat/provider/{provider.pk}/change/")
    assert re.findall(r'<div class="readonly">(.*?)</div>', page)[-6:-3] == ["–", "–", "–"]
    for figure in ("0.4 s", "52", "25 % of 4"):
        assert f'<div class="readonly">{figure}</div>' in page
    assert "not answering" not in page


async def test_a_provider_that_does_not_answer_is_marked_on_every_page(look, models, provider, cache, outages):
    fail(outages, provider=provider.pk)
    mark = re.escape(in_words(cache.outage_of(provider.pk)))
    for name, rows in (("languagemodel", 2), ("provider", 1)):
        found = cells(await look(f"/admin/chat/{name}/"), "present")
        assert len(found) == rows
        assert all(re.fullmatch(f'<span title="[^"]*, upstream_unreachable">{mark}</span>', cell) for cell in found)
    page = await look(f"/admin/chat/provider/{provider.pk}/change/")
    assert re.search(f'class="warning">This provider is {mark}: Nothing accepts the connection.', page)
    assert "not answering" not in await look("/admin/chat/provider/add/")


async def test_a_provider_that_was_changed_is_tried_again_at_once(look, client_of_portal, provider, outages):
    fail(outages, provider=provider.pk)
    await look("/admin/")
    form = form_of(provider, private_network="on", name="renamed")
    answer = await client_of_portal.post(f"/admin/chat/provider/{provider.pk}/change/", form | {"name": ""})
    assert answer.status_code == 200 and outages.due() == [], "it was not saved"
    answer = await client_of_portal.post(f"/admin/chat/provider/{provider.pk}/change/", form)
    assert answer.status_code == 302
    assert outages.due() == [provider.pk]


def test_a_mark_of_another_day_says_which():
    noon = datetime.now(UTC).replace(hour=12, minute=5)
    assert in_words(ProviderOutage(noon, "upstream_auth")) == "not answering since 12:05"
    before = noon - timedelta(days=1)
    assert in_words(ProviderOutage(before, "upstream_auth")) == f"not answering since {before.day} {before:%b} 12:05"


def test_without_a_portal_around_it_nothing_is_known(browse, models, provider):
    for address in ("languagemodel/", "provider/", f"provider/{provider.pk}/change/"):
        page = browse.get(f"/admin/chat/{address}").content.decode()
        assert "not answering" not in page and "0.4 s" not in page
    assert Provider.objects.count() == 1
