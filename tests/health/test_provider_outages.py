"""Which providers are marked as not answering: by real answers, and until one answers again."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model

from chat.generation.runner import Runner
from chat.health import provider_outages as module
from chat.health.provider_outages import ROW_SECONDS, ProviderOutages
from chat.models import LanguageModel, Provider, State
from chat.protocol import Send
from tests.support.provider_failures import end, fail, tell
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer, error

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now

    def date(self):
        return NOON + timedelta(seconds=self.now - 1000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outages(clock):
    return ProviderOutages(clock, clock.date)


def test_three_failures_in_a_row_mark_a_provider_and_no_other(outages):
    fail(outages, 2)
    tell(outages, 2, end("upstream_unreachable"))
    assert outages.outage_of(1) is None
    fail(outages, 1, "upstream_overloaded")
    mark = outages.outage_of(1)
    assert (mark.since, mark.code) == (NOON, "upstream_overloaded")
    assert outages.outage_of(2) is None and outages.outage_of(3) is None


def test_it_does_not_answer_since_the_first_of_them(outages, clock):
    for _ in range(3):
        fail(outages, 1)
        clock.now += 60
    assert outages.outage_of(1).since == NOON
    fail(outages, 4)
    assert outages.outage_of(1).since == NOON


@pytest.mark.parametrize(
    "code",
    ["upstream_unreachable", "upstream_dns", "upstream_tls", "upstream_timeout", "upstream_stalled", "upstream_cut",
     "upstream_overloaded", "upstream_error", "upstream_auth"],
)  # fmt: skip
def test_a_provider_that_answers_nobody_is_marked(outages, code):
    fail(outages, code=code)
    assert outages.outage_of(1).code == code


@pytest.mark.parametrize(
    "code", ["upstream_rejected", "context_too_long", "upstream_rate_limited", "upstream_not_found", "answer_empty"]
)
def test_who_says_no_has_answered(outages, code):
    fail(outages, 5, code)
    assert outages.outage_of(1) is None
    fail(outages, 2)
    fail(outages, 1, code)
    fail(outages, 2)
    assert outages.outage_of(1) is None


@pytest.mark.parametrize("one", [end(state=State.STOPPED), end("server_shutdown", State.INTERRUPTED), end("internal")])
def test_what_the_portal_or_its_people_end_tells_nothing(outages, one):
    fail(outages, 2)
    tell(outages, 1, one)
    fail(outages, 1)
    assert outages.outage_of(1) is not None
    tell(outages, 1, one)
    assert outages.outage_of(1) is not None


def test_failures_of_long_ago_do_not_count(outages, clock):
    fail(outages, 2)
    clock.now += ROW_SECONDS + 1
    fail(outages, 2)
    assert outages.outage_of(1) is None
    fail(outages, 1)
    assert outages.outage_of(1) is not None


@pytest.mark.parametrize("one", [end(), end(state=State.STOPPED, deltas=3)])
def test_an_answer_takes_the_mark_away_and_the_row_with_it(outages, one):
    fail(outages)
    tell(outages, 1, one)
    assert outages.outage_of(1) is None and outages.due() == []
    fail(outages, 2)
    assert outages.outage_of(1) is None


def test_a_marked_provider_is_tried_again_after_longer_and_longer_pauses(outages, clock):
    fail(outages)
    assert outages.due() == []
    pauses = []
    for _ in range(6):
        before = clock.now
        while not outages.due():
            clock.now += 1
        pauses.append(clock.now - before)
        outages.record_probe(1, "upstream_unreachable")
        assert outages.due() == []
    assert pauses == [30, 60, 120, 240, 300, 300]
    assert outages.outage_of(1).since == NOON


def test_whoever_has_mended_it_need_not_wait_for_the_end_of_its_pause(outages, clock):
    fail(outages)
    for _ in range(4):
        outages.record_probe(1, "upstream_auth")
    clock.now += 1
    assert outages.due() == []
    outages.probe_soon(1)
    outages.probe_soon(2)  # with which all is well
    assert outages.due() == [1]
    outages.record_probe(1, None)
    assert outages.outage_of(1) is None


def test_a_try_that_began_before_it_was_mended_puts_off_no_other(outages, clock):
    fail(outages)
    clock.now += settings.PROVIDER_PAUSE_SECONDS
    began = clock.now
    clock.now += 1
    outages.probe_soon(1)
    clock.now += 1
    outages.record_probe(1, "upstream_auth", began)
    assert outages.due() == [1]
    outages.record_probe(1, "upstream_auth", clock.now)
    assert outages.due() == []


def test_a_provider_that_is_there_again_is_marked_no_more(outages, clock):
    fail(outages)
    clock.now += settings.PROVIDER_PAUSE_SECONDS
    assert outages.due() == [1]
    outages.record_probe(1, None)
    assert outages.outage_of(1) is None and outages.due() == []


def test_any_no_shows_that_it_is_there_but_not_a_refused_key(outages, clock):
    fail(outages)
    outages.record_probe(1, "upstream_auth")
    assert outages.outage_of(1).code == "upstream_auth"
    outages.record_probe(1, "upstream_not_found")
    assert outages.outage_of(1) is None


def test_after_a_list_of_models_alone_the_next_failure_marks_it_at_once(outages, clock):
    fail(outages)
    outages.record_probe(1, None)
    fail(outages, 1)
    assert outages.outage_of(1) is not None
    tell(outages, 1, end())
    fail(outages, 1)
    assert outages.outage_of(1) is None


def test_who_has_seen_another_number_of_changes_knows_less(outages):
    seen = [outages.changes]
    fail(outages, 2)
    assert outages.changes == seen[-1]
    fail(outages, 1)
    seen.append(outages.changes)
    fail(outages, 1)
    assert outages.changes == seen[-1]
    tell(outages, 1, end())
    seen.append(outages.changes)
    tell(outages, 1, end())
    assert outages.changes == seen[-1] and len(set(seen)) == 3


# In the background ────────────────────────────────────────────────────────────────────────────────────────────────────


async def read(work, *args):
    return await asyncio.to_thread(work, *args)


@pytest.fixture
def quickly(monkeypatch, settings):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    settings.PROVIDER_PAUSE_SECONDS = 0.02


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.django_db(transaction=True)
async def test_the_runner_hears_of_failures_and_tries_again_until_the_provider_is_back(quickly):
    def provider_at(address):
        owner = get_user_model().objects.create_user("owner")
        provider = Provider.objects.create(name="p", base_url=address, private_network=True, max_retries=0)
        LanguageModel.objects.create(provider=provider, name="fake")
        return owner.pk, provider.pk

    with Upstream.start() as upstream:
        upstream.play("fake", error(503))
        upstream.play("GET /v1/models", error(503), error(401), answer("no list, but an answer"))
        owner, provider = await read(provider_at, upstream.base_url)
        runner = Runner()
        await read(runner.open)
        await runner.start()
        try:
            for number in range(3):
                assert runner.outages.outage_of(provider) is None
                accepted = await runner.send(owner, Send(uuid.uuid4(), None, f"hi {number}"))
                async for _ in runner.follow(owner, uuid.UUID(accepted.generation), None, 0):
                    pass
            assert runner.outages.outage_of(provider).code == "upstream_overloaded"
            await until(lambda: runner.outages.outage_of(provider) is None)
            probes = [one for one in upstream.requests if one.method == "GET"]
            assert [one.path for one in probes] == ["/v1/models"] * 3
        finally:
            await runner.drain(0)
            await runner.close()


@pytest.mark.django_db(transaction=True)
async def test_a_provider_out_of_use_is_tried_no_more_and_one_without_its_key_stays_marked(outages, clock):
    def providers():
        gone = Provider.objects.create(name="gone", base_url="http://127.0.0.1:1/v1", enabled=False)
        locked = Provider.objects.create(name="locked", base_url="http://127.0.0.1:1/v1", ciphertext="not ours")
        return gone.pk, locked.pk

    gone, locked = await read(providers)
    for provider in (gone, locked):
        fail(outages, provider=provider)
    clock.now += settings.PROVIDER_PAUSE_SECONDS
    for provider in outages.due():
        await outages.probe(provider, read)
    assert outages.outage_of(gone) is None
    assert outages.outage_of(locked).code == "upstream_auth"


async def test_what_goes_wrong_with_a_probe_ends_no_other(outages, clock, caplog):
    async def read(work, *args):
        raise RuntimeError("no thread is left")

    fail(outages)
    await outages.probe(1, read)
    assert outages.outage_of(1) is not None
    assert "could not be probed" in caplog.text
