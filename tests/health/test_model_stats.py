"""The last hour of each model: what counts, what doesn't, and how it is told."""

from __future__ import annotations

import asyncio

import pytest
from django.db import DatabaseError
from django.utils import timezone, translation

from chat.health import model_stats as module
from chat.health.model_stats import ModelStats, ModelStatsCache, last_hour
from chat.health.provider_outages import ProviderOutages
from chat.models import LanguageModel, Provider, UsageRecord
from chat.texts.model_stats import model_choices, stats_in_words
from tests.support.provider_failures import fail
from tests.support.usage_records import failed, record


@pytest.fixture
def model(db):
    provider = Provider.objects.create(name="upstream", base_url="https://api.example.com/v1")
    return LanguageModel.objects.create(provider=provider, name="gpt-4o-mini")


def test_the_medians_and_the_share_of_errors_of_each_model(model):
    other = LanguageModel.objects.create(provider=model.provider, name="other")
    for ttft_ms, latency in ((100, "10.00"), (400, "20.00"), (9000, "500.00")):
        record(model, ttft_ms=ttft_ms, latency=latency)
    failed(model)
    record(other, ttft_ms=101, latency="8.00", source="api")
    record(other, ttft_ms=200, latency="4.00")
    assert last_hour() == {
        model.pk: ModelStats(ttft_ms=400, tokens_per_second=50.0, error_percent=25, requests=4),
        other.pk: ModelStats(ttft_ms=150, tokens_per_second=187.5, error_percent=0, requests=2),
    }


def test_what_has_no_figure_has_none(model):
    record(model, ttft_ms=None, latency=None)
    assert last_hour() == {model.pk: ModelStats(error_percent=0, requests=1)}
    failed(model, ttft_ms=300)
    assert last_hour() == {model.pk: ModelStats(ttft_ms=300, error_percent=50, requests=2)}


def test_what_tells_nothing_of_the_model_is_left_out(model):
    record(model, minutes=61)
    record(model, source="probe")
    record(model, "running", closed_at=None)
    record(model, "stopped", ttft_ms=None)
    record(model, "interrupted")
    for code in ("context_too_long", "queue_timeout", "internal"):
        failed(model, code)
    gone = record(model)
    UsageRecord.objects.filter(pk=gone.pk).update(model=None)
    assert last_hour() == {}
    record(model, "stopped")
    assert last_hour() == {model.pk: ModelStats(ttft_ms=400, tokens_per_second=50.0, error_percent=0, requests=1)}


def test_few_failures_are_not_none_and_few_answers_are_not_none_either(model):
    for _ in range(300):
        record(model)
    failed(model)
    assert last_hour()[model.pk].error_percent == 1
    UsageRecord.objects.update(state="failed")
    record(model)
    assert last_hour()[model.pk].error_percent == 99
    UsageRecord.objects.update(state="failed")
    assert last_hour()[model.pk].error_percent == 100


def test_only_the_newest_are_looked_at_in_one_query_with_an_index(model, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(module, "RECORDS", 3)
    for minutes in range(5, 10):
        record(model, ttft_ms=minutes, minutes=minutes)
    with django_assert_num_queries(1):
        assert last_hour()[model.pk].ttft_ms == 6
    records = UsageRecord.objects.telling_of_models_since(timezone.now()).values_list("pk")[:3]
    assert "created_at" in records.explain()


def test_the_station_shows_what_it_saw_last_without_a_query(model, django_assert_num_queries):
    cache = ModelStatsCache()
    record(model)
    assert cache.of(model) == ModelStats()
    cache.refresh()
    UsageRecord.objects.all().delete()
    with django_assert_num_queries(0):
        assert cache.of(model).requests == 1
        assert model_choices([model], cache)[0] == {
            "id": str(model.pk),
            "label": "gpt-4o-mini",
            "provider": "upstream",
            "stats": {
                "ttft_ms": 400, "tokens_per_second": 50.0, "error_percent": 0, "requests": 1, "failing": False,
            },
            "note": "0.4 s · 50 tokens/s",
        }  # fmt: skip


def test_of_a_model_that_nobody_asked_nothing_is_told(model):
    cache = ModelStatsCache()
    cache.refresh()
    plain = {"id": str(model.pk), "label": "gpt-4o-mini", "provider": "upstream"}
    assert model_choices([model], cache) == [plain]


def test_every_model_of_a_provider_that_does_not_answer_is_marked(model):
    other = Provider.objects.create(name="other", base_url="https://other.example.com/v1")
    healthy = LanguageModel.objects.create(provider=other, name="healthy")
    record(model)
    outages = ProviderOutages(lambda: 0.0)
    cache = ModelStatsCache(outages)
    cache.refresh()
    fail(outages, provider=model.provider_id)
    choice, unharmed = model_choices([model, healthy], cache)
    assert choice["stats"]["failing"] is True and choice["stats"]["ttft_ms"] == 400
    assert choice["note"] == "not answering now"
    assert unharmed == {"id": str(healthy.pk), "label": "healthy", "provider": "other"}
    assert cache.outage_of(model.provider_id) is not None and cache.outage_of(other.pk) is None


def test_the_words_are_in_the_readers_language_and_notation(model):
    record(model, ttft_ms=1234, latency="0.50")
    cache = ModelStatsCache()
    cache.refresh()
    with translation.override("de"):
        assert stats_in_words(cache.of(model)).startswith("1,2 s · 2.000 ")


async def test_a_database_that_does_not_answer_is_asked_again(monkeypatch, caplog):
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0)
    asked, again = [], asyncio.Event()

    async def read(work):
        asked.append(work)
        if len(asked) == 1:
            raise DatabaseError("locked")
        again.set()

    watching = asyncio.ensure_future(ModelStatsCache().refresh_forever(read))
    await asyncio.wait_for(again.wait(), 5)
    watching.cancel()
    assert "stay as they were" in caplog.text
