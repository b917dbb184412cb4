"""Diagnosis in the admin: who may call it, what it will take, the findings as they come, the card, and its advice."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import AsyncClient, Client
from django.utils import timezone

from chat.diagnosis import CHECKS, estimate
from chat.diagnosis import runs as examination
from chat.integrity import breaches
from chat.models import LanguageModel, Price, Provider, UsageRecord
from chat.pricing import Rate
from chat.texts.figures import money_in_words
from tests.support.admin_pages import SECRET, form_of
from tests.support.upstream import Gate, Upstream, answer, document

LINES = {"Accept": "application/x-ndjson"}
NOT_YET = 'data-part="not-examined"'


@pytest.fixture
def provider(db, upstream: Upstream):
    """A provider that refuses one field, and whose answers begin with reasoning."""
    one = Provider(name="upstream", base_url=upstream.base_url, private_network=True)
    one.set_credentials(SECRET)
    one.save()
    LanguageModel.objects.create(provider=one, name="behaving:refuses-usage+thinks")
    upstream.play("GET /v1/models", document({"data": [{"id": one.models.get().name, "context_length": 8192}]}))
    return one


@pytest.fixture
def colleague(db):
    return get_user_model().objects.create_user("colleague", password="the right password", is_staff=True)


def page(provider, end="examine/"):
    return f"/admin/chat/provider/{provider.pk}/{end}"


def model_of(provider):
    return provider.models.get().name


def examined(browse: Client, provider, model: str = "") -> str:
    """The page that answers a browser without scripts."""
    answer_ = browse.post(page(provider), {"model": model or model_of(provider)})
    assert answer_.status_code == 200
    text: str = async_to_sync(read)(answer_)
    provider.refresh_from_db()
    return text


async def read(answer_) -> str:
    """All of a streamed answer."""
    return b"".join([part async for part in answer_.streaming_content]).decode()


def shown(text: str) -> dict[str, str]:
    """Check → result, of all findings in a piece of HTML."""
    return dict(re.findall(r'data-check="(\w+)" data-result="(\w+)"', text))


# Before ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_it_takes_is_said_before_and_nothing_is_asked(browse, provider, upstream):
    text = browse.get(page(provider)).content.decode()
    told = estimate()
    assert f"at most {told.requests} questions and about {told.tokens} tokens" in text
    assert f'value="{model_of(provider)}"' in text and NOT_YET in text
    assert upstream.requests == []


def test_what_it_may_cost_is_said_before_where_a_price_is_set(browse, provider):
    assert "No price is set for this model." in browse.get(page(provider)).content.decode()
    rate = Rate(Decimal("0.15"), Decimal("0.60"))
    Price.objects.create(model=provider.models.get(), prompt=rate.prompt, completion=rate.completion)
    shown_ = browse.get(page(provider)).content.decode()
    money = money_in_words(estimate(rate).money, "USD")
    assert money.startswith("$0.000") and f"this is at most {money}." in shown_
    assert f'<option value="{model_of(provider)}">{money}</option>' in shown_


def test_the_prices_of_many_models_are_read_at_once(
    browse, provider, django_assert_num_queries, django_assert_max_num_queries
):
    with django_assert_max_num_queries(30) as before:
        browse.get(page(provider))
    for number in range(20):
        LanguageModel.objects.create(provider=provider, name=f"model {number}")
    with django_assert_num_queries(len(before)):
        browse.get(page(provider))


def test_probes_have_their_cost(browse, provider, upstream):
    Price.objects.create(model=provider.models.get(), prompt=Decimal(1_000_000), completion=Decimal(1_000_000))
    examined(browse, provider)
    records = UsageRecord.objects.filter(source="probe")
    assert records and all(record.cost == record.total_tokens for record in records)


def test_a_provider_that_was_not_examined_says_so(browse, provider):
    text = browse.get(page(provider, "change/")).content.decode()
    assert NOT_YET in text and page(provider) in text and shown(text) == {}


def test_who_may_not_change_models_sets_nothing_of_them(colleague, provider, browse):
    examined(browse, provider)
    rights = Permission.objects.filter(codename__in=("view_provider", "change_provider"))
    colleague.user_permissions.set(rights)
    theirs = Client()
    theirs.force_login(colleague)
    theirs.post(page(provider, "examine/use/"))
    provider.refresh_from_db()
    assert provider.usage_mode == "never" and provider.models.get().context_window is None
    browse.post(page(provider, "examine/use/"))
    assert provider.models.get().context_window == 8192


def test_a_new_provider_has_no_diagnosis_yet(browse):
    assert "diagnosis-heading" not in browse.get("/admin/chat/provider/add/").content.decode()


def test_a_provider_without_models_asks_for_a_name(browse, provider, upstream):
    provider.models.all().delete()
    assert browse.get(page(provider)).status_code == 200
    answer_ = browse.post(page(provider), {"model": " "})
    assert answer_.status_code == 200 and NOT_YET in answer_.content.decode()
    assert upstream.requests == []


# Who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("codename", [None, "view_provider", "change_languagemodel"])
def test_only_those_who_may_change_it_have_it_examined(client, provider, colleague, upstream, codename):
    if codename:
        colleague.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(colleague)
    assert client.get(page(provider)).status_code == 403
    assert client.post(page(provider), {"model": "behaving"}).status_code == 403
    assert client.post(page(provider), {"model": "behaving"}, headers=LINES).status_code == 403
    assert client.post(page(provider, "examine/use/")).status_code == 403
    assert upstream.requests == []


def test_who_may_look_only_sees_the_card_without_a_button(browse, provider, colleague):
    examined(browse, provider)
    colleague.user_permissions.add(Permission.objects.get(codename="view_provider"))
    browse.force_login(colleague)
    text = browse.get(page(provider, "change/")).content.decode()
    assert list(shown(text)) == list(CHECKS)
    assert page(provider) not in text


def test_who_may_change_providers_may(client, provider, colleague):
    colleague.user_permissions.add(Permission.objects.get(codename="change_provider"))
    client.force_login(colleague)
    assert list(shown(examined(client, provider))) == list(CHECKS)


def test_a_stranger_is_sent_to_log_in_and_a_forged_form_is_refused(client, staff, provider, upstream):
    assert client.get(page(provider)).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff)
    assert strict.post(page(provider), {"model": "behaving"}).status_code == 403
    assert strict.post(page(provider, "examine/use/")).status_code == 403
    assert upstream.requests == []


def test_a_provider_that_is_not_there(browse, provider):
    provider.pk += 1
    assert browse.get(page(provider)).status_code == 404


# The examination ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
async def test_each_finding_is_told_as_it_comes_and_then_the_card(async_client: AsyncClient, staff, provider, upstream):
    await async_client.aforce_login(staff)
    upstream.play("slow", answer("1, 2, ", Gate("here"), "3, 4, 5"))
    response: Any = await async_client.post(page(provider), {"model": "slow"}, headers=LINES)
    assert response.status_code == 200 and response["Content-Type"] == "application/x-ndjson"
    lines: list[dict[str, str]] = []
    opened = False
    async for part in response.streaming_content:
        lines += [json.loads(line) for line in part.splitlines()]
        if len(lines) == 2:
            # Address and connection are told; the first question waits, and so does everything behind it.
            assert [list(shown(line["finding"])) for line in lines] == [["address"], ["tls"]]
            upstream.open("here")
            opened = True
    assert opened
    *findings, last = lines
    assert [list(shown(line["finding"]))[0] for line in findings] == list(CHECKS)
    assert list(shown(last["card"])) == list(CHECKS)
    await provider.arefresh_from_db()
    assert [finding["check"] for finding in provider.findings] == list(CHECKS)
    assert provider.examined_at is not None


def test_without_a_script_the_answer_is_the_card(browse, provider):
    text = examined(browse, provider)
    assert list(shown(text)) == list(CHECKS)
    assert shown(text)["include_usage"] == "odd" and shown(text)["auth"] == "good"
    assert "stream_options" in text and NOT_YET not in text
    assert f"with the model {model_of(provider)}" in text
    stored = browse.get(page(provider, "change/")).content.decode()
    assert shown(stored) == shown(text)


def test_what_was_asked_stands_in_the_ledger(browse, provider, staff, upstream):
    examined(browse, provider)
    records = list(UsageRecord.objects.order_by("id"))
    questions = [request for request in upstream.requests if request.method == "POST"]
    assert len(records) == 5 < len(questions), "a question that was refused cost nothing"
    for record in records:
        assert (record.user, record.user_name, record.provider, record.model) == (
            staff, "staff", provider, provider.models.get(),
        )  # fmt: skip
        assert (record.source, record.state, record.attempts) == ("probe", "completed", 1)
        assert record.generation is None and record.closed_at >= record.created_at
        assert record.ttft_ms is not None and record.duration_ms >= record.ttft_ms
    whole, streamed, *_others = records
    assert (whole.usage_source, whole.prompt_tokens, whole.completion_tokens) == ("reported", 15, 62)
    assert streamed.usage_source == "counted" and streamed.is_estimated and streamed.total_tokens > 70
    assert browse.get("/admin/chat/usagerecord/?source__exact=probe").status_code == 200
    assert breaches() == {}


@pytest.mark.django_db(transaction=True)
async def test_tokens_that_cannot_be_counted_leave_no_open_record(provider, monkeypatch):
    def fails(*_: Any) -> None:
        raise RuntimeError("no table")

    monkeypatch.setattr(examination, "count_usage", fails)
    with pytest.raises(RuntimeError, match="no table"):
        async for _finding in examination.examine(provider, await sync_to_async(model_of)(provider)):
            pass
    assert not await UsageRecord.objects.filter(closed_at=None).aexists()


@pytest.mark.django_db(transaction=True)
async def test_leaving_ends_it_and_what_was_asked_is_in_the_ledger(
    async_client: AsyncClient, staff, provider, upstream
):
    await async_client.aforce_login(staff)
    upstream.play("slow", answer("1, 2, ", Gate("here"), "3"))
    response: Any = await async_client.post(page(provider), {"model": "slow"}, headers=LINES)

    reading = asyncio.create_task(read(response))
    request = await asyncio.to_thread(upstream.wait_for_gate, "here")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.to_thread(upstream.wait_for_close, request)
    record = await UsageRecord.objects.aget()
    assert (record.state, record.source, record.usage_source) == ("stopped", "probe", "counted")
    await provider.arefresh_from_db()
    assert provider.examined_at is None, "half an examination is none"
    upstream.open("here")
    again = await async_client.post(page(provider), {"model": "slow"}, headers=LINES)
    assert '"card"' in await read(again)


@pytest.mark.django_db(transaction=True)
async def test_a_provider_is_examined_once_at_a_time(async_client: AsyncClient, staff, provider, upstream):
    await async_client.aforce_login(staff)
    upstream.play("slow", answer("1, 2, ", Gate("here"), "3"))
    first: Any = await async_client.post(page(provider), {"model": "slow"}, headers=LINES)
    parts = first.streaming_content
    await anext(parts)
    second: Any = await async_client.post(page(provider), {"model": "behaving"}, headers=LINES)
    told = [json.loads(part) async for part in second.streaming_content]
    assert len(told) == 1 and "being examined already" in told[0]["refusal"]
    plain = await read(await async_client.post(page(provider), {"model": "behaving"}))
    assert "being examined already" in plain and "<h1>" in plain
    await parts.aclose()
    assert upstream.count("behaving") == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "changed",
    [{"base_url": "https://other.example/v1"}, {"token_url": "https://other.example/token"}, None],
    ids=["address", "token address", "deleted"],
)
@pytest.mark.parametrize("has_script", [True, False], ids=["lines", "page"])
async def test_findings_of_the_server_before_are_neither_kept_nor_shown_as_the_new_ones(
    async_client: AsyncClient, staff, provider, upstream, changed, has_script
):
    await async_client.aforce_login(staff)
    row = Provider.objects.filter(pk=provider.pk)
    old = [{"check": "auth", "result": "good", "seconds": 0, "detail": {"case": "accepted"}}]
    await row.aupdate(findings=old, examined_at=timezone.now())
    upstream.play("slow", answer("1, 2, ", Gate("here"), "3"))
    response: Any = await async_client.post(page(provider), {"model": "slow"}, headers=LINES if has_script else {})
    reading = asyncio.create_task(read(response))
    await asyncio.to_thread(upstream.wait_for_gate, "here")
    if changed:
        await row.aupdate(findings=[], examined_at=None, **changed)  # as an admin's form does it
    else:
        await row.adelete()
    upstream.open("here")
    text = await reading
    assert "are about another server" in text and '"card":' not in text
    assert has_script or (shown(text) == {} and NOT_YET in text)
    kept = await row.values_list("findings", "examined_at").afirst()
    assert kept == (([], None) if changed else None)


def test_a_key_that_nobody_can_read_is_said(browse, provider, upstream, settings):
    settings.PORTAL_KEYRING = [b"YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlcjE="]
    text = examined(browse, provider)
    assert "can’t be read with PORTAL_KEYRING" in text
    assert upstream.requests == []


def test_what_a_model_says_is_text_and_no_key_is_shown(browse, provider, upstream):
    upstream.play(model_of(provider), answer("<script>alert(1)</script>", "<b>and</b>", f" {SECRET}"))
    text = examined(browse, provider)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script>alert" not in text and "<b>and" not in text
    for one in (text, browse.get(page(provider, "change/")).content.decode()):
        assert SECRET not in one and provider.ciphertext not in one
    assert SECRET not in json.dumps([entry.change_message for entry in LogEntry.objects.all()])


# The advice ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_findings_suggest_is_shown_and_can_be_used(browse, provider):
    text = examined(browse, provider)
    assert re.findall(r'<li data-field="(\w+)">', text) == ["usage_mode", "think_tags", "context_window"]
    assert "ask, and stop asking when it is refused</span> → <strong>never ask</strong>" in text
    assert "unknown</span> → <strong>8,192</strong>" in text
    answer_ = browse.post(page(provider, "examine/use/"), follow=True)
    assert "in use from now on" in answer_.content.decode()
    provider.refresh_from_db()
    assert (provider.usage_mode, provider.think_tags) == ("never", "tagged")
    assert provider.models.get().context_window == 8192
    assert provider.credentials().secret == SECRET
    assert LogEntry.objects.get().get_change_message().startswith("Changed")
    # Nothing is left to suggest.
    assert "changes__now" not in browse.get(page(provider)).content.decode()
    assert "changes__now" not in examined(browse, provider)


def test_nothing_is_used_without_findings(browse, provider):
    browse.post(page(provider, "examine/use/"))
    provider.refresh_from_db()
    assert (provider.usage_mode, provider.think_tags) == ("auto", "kept")
    assert not LogEntry.objects.exists()
    assert browse.get(page(provider, "examine/use/")).status_code == 405


def test_a_model_that_is_not_offered_has_no_window_to_set(browse, provider):
    provider.models.all().update(name="another")
    examined(browse, provider, "behaving")
    text = browse.get(page(provider)).content.decode()
    assert "changes__now" not in text


def test_findings_belong_to_their_server(browse, provider):
    examined(browse, provider)
    browse.post(page(provider, "change/"), form_of(provider, private_network="on", name="renamed"))
    provider.refresh_from_db()
    assert provider.findings and provider.examined_at
    moved = form_of(provider, base_url="https://other.example/v1")
    browse.post(page(provider, "change/"), moved)
    provider.refresh_from_db()
    assert (provider.findings, provider.examined_at) == ([], None)


def test_findings_of_another_version_do_no_harm(browse, provider):
    provider.findings = [
        {"check": "of old", "result": "strange", "seconds": 1, "detail": {"case": "whatever"}},
        {"check": "count", "result": "good", "seconds": 0, "detail": {"case": "agrees"}},
        {"check": "auth", "result": "bad", "seconds": 0.1, "detail": {"code": "never_heard_of"}},
    ]
    provider.examined_at = timezone.now()
    provider.save()
    assert "never_heard_of" in browse.get(page(provider, "change/")).content.decode()
    assert examination.suggested_settings(provider) == {}
