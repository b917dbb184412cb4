"""The chat page as the server makes it: whose it is, what stands on it, under which policy."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.health.model_stats import ModelStatsCache
from chat.health.provider_outages import ProviderOutages
from chat.models import Conversation, LanguageModel, Message, Provider, State
from chat.views.modules import LANGUAGES, LIBRARIES
from chatsite import finders
from tests.support.conversations import add_generation, make_conversation
from tests.support.provider_failures import fail
from tests.support.scoped_client import ScopedClient
from tests.support.usage_records import record

STATIC = Path(settings.BASE_DIR) / "static" / "chat"


def page_of(client, conversation):
    answer = client.get(f"/chat/{conversation.pk}/")
    assert answer.status_code == 200
    return answer.content.decode()


def without_templates(page):
    return re.sub(r"<template.*?</template>", "", page, flags=re.S)


def articles(page):
    return re.findall(r"<article.*?</article>", without_templates(page), re.S)


def test_the_root_leads_to_a_new_conversation(browse, model):
    assert browse.get("/")["Location"] == "/chat/"
    page = browse.get("/chat/").content.decode()
    assert page.count('<textarea class="composer__box" id="prompt" name="prompt"') == 1
    assert page.count('name="prompt"') == 1
    assert page.count('data-action="send"') == 1
    assert without_templates(page).count('data-action="stop"') == 1
    assert articles(page) == []


def test_nobody_sees_a_page_without_logging_in(client, owner, model):
    conversation = make_conversation(owner, model)
    for address in ("/chat/", f"/chat/{conversation.pk}/", "/accounts/password_change/"):
        assert client.get(address)["Location"].startswith("/accounts/login/?next=")


def test_a_foreign_conversation_is_as_unknown_as_none(client, owner, colleague, model):
    conversation = make_conversation(owner, model)
    client.force_login(owner)
    assert "prompt 0" in page_of(client, conversation)
    client.force_login(colleague)
    foreign = client.get(f"/chat/{conversation.pk}/")
    never = uuid.uuid4()
    unknown = client.get(f"/chat/{never}/")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content.replace(str(conversation.pk).encode(), str(never).encode()) == unknown.content
    assert "About rivers" not in client.get("/chat/").content.decode()


def test_messages_carry_what_the_script_needs(browse, owner, model):
    prompt, answer = articles(page_of(browse, make_conversation(owner, model)))
    assert re.search(r'data-message-id="[0-9a-f-]{36}" data-role="user"', prompt)
    assert re.search(r'data-role="assistant" data-state="completed" data-generation="[0-9a-f-]{36}"', answer)
    assert 'data-part="content" dir="auto">prompt 0</div>' in prompt
    assert 'data-part="content" dir="auto">answer 0</div>' in answer
    assert "GPT-4o mini" in answer


def test_the_receipt_shows_the_stored_numbers(browse, owner, model):
    _, answer = articles(page_of(browse, make_conversation(owner, model)))
    for shown in ("19.213 s", "0.442 s", "1.67", "1,204 in, 31 out", ">reported<", ">finished<"):
        assert shown in answer, shown
    for raw in ('data-duration-ms="19213"', 'data-ttft-ms="442"', 'data-tokens-per-second="1.67"'):
        assert raw in answer, raw
    assert 'aria-busy="true"' not in answer


def test_an_open_answer_waits_for_the_script_with_its_generation(browse, owner, model):
    _, answer = articles(page_of(browse, make_conversation(owner, model, state=State.RUNNING)))
    assert 'data-state="running"' in answer and 'aria-busy="true"' in answer
    assert "answer 0" not in answer
    assert "receipt--live" in answer


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (State.STOPPED, "", "You stopped this answer."),
        (State.INTERRUPTED, "", "The server restarted while this was being written."),
        (State.FAILED, "upstream_quota", "The account at the model provider is used up."),
    ],
)
def test_an_answer_that_is_not_whole_says_why_and_offers_another(browse, owner, model, state, code, words):
    conversation = make_conversation(owner, model, state=state, error_code=code)
    _, answer = articles(page_of(browse, conversation))
    assert re.search(r'data-part="failure" role="group" aria-label="[^"]*">', answer)
    assert words in answer and 'data-action="retry"' in answer and "answer 0" in answer


def test_turns_that_were_left_out_are_said_at_the_answer(browse, owner, model):
    conversation = make_conversation(owner, model, turns_left_out=3)
    assert "3 earlier turns were left out" in page_of(browse, conversation)


def test_only_the_newest_answer_to_a_prompt_is_shown(browse, owner, model):
    conversation = make_conversation(owner, model)
    prompt = Message.objects.get(role="user")
    again = Message.objects.create(conversation=conversation, parent=prompt, role="assistant", content="a better one")
    add_generation(owner, model, again, State.COMPLETED)
    page = page_of(browse, conversation)
    assert "a better one" in page and "answer 0" not in page


def test_text_never_becomes_markup(browse, owner, model):
    conversation = make_conversation(owner, model)
    payload = "</div><script>alert(1)</script><img src=x onerror=alert(1)>"
    Message.objects.update(content=payload)
    Conversation.objects.update(title=payload)
    LanguageModel.objects.update(label=payload)
    page = page_of(browse, conversation)
    assert "<script>alert" not in page and "<img" not in page


def test_a_long_conversation_takes_as_few_queries_as_a_short_one(browse, owner, model):
    def queries(turns):
        conversation = make_conversation(owner, model, turns)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page = page_of(browse, conversation)
        assert len(articles(page)) == 2 * turns
        return len(captured)

    few = queries(2)
    assert queries(100) == few
    assert few <= 10


def test_the_list_holds_ones_own_conversations_the_latest_first(browse, owner, colleague, model):
    for title in ("first", "second"):
        Conversation.objects.create(owner=owner, title=title)
    Conversation.objects.create(owner=colleague, title="foreign")
    page = browse.get("/chat/").content.decode()
    assert re.findall(r'entry__title" dir="auto">([^<]*)<', without_templates(page)) == ["second", "first"]


def test_the_picker_is_there_only_when_there_is_a_choice(browse, model):
    assert 'data-part="models" hidden' in browse.get("/chat/").content.decode()
    other = LanguageModel.objects.create(provider=model.provider, name="other", position=1)
    page = browse.get("/chat/").content.decode()
    assert 'data-part="models">' in page
    options = re.findall(r'<option value="(\d+)"( selected)?', page)
    assert options == [(str(other.pk), " selected"), (str(model.pk), "")]


@pytest.mark.django_db(transaction=True)
async def test_the_picker_says_how_the_models_do(owner, model):
    other = await LanguageModel.objects.acreate(provider=model.provider, name="other", position=1)
    outages = ProviderOutages(lambda: 0.0)
    cache = ModelStatsCache(outages)
    browser = ScopedClient(model_stats=cache)
    await browser.aforce_login(owner)

    async def shown():
        page = (await browser.get("/chat/")).content.decode()
        return re.findall(r'<option value="\d+".*? data-label="(.*?)">(.*?)</option>', page)

    assert await shown() == [("other", "other"), ("GPT-4o mini", "GPT-4o mini")]
    await sync_to_async(record)(model, ttft_ms=412, latency="19.12")
    await sync_to_async(cache.refresh)()
    assert await shown() == [("other", "other"), ("GPT-4o mini", "GPT-4o mini · 0.4 s · 52 tokens/s")]
    fail(outages, provider=model.provider_id)
    assert await shown() == [("other", "other · not answering now"), ("GPT-4o mini", "GPT-4o mini · not answering now")]
    await other.adelete()
    page = (await browser.get("/chat/")).content.decode()
    assert ">GPT-4o mini · not answering now</span>" in page


def test_the_conversations_own_model_is_chosen_while_it_may_be_used(browse, owner, model):
    other = LanguageModel.objects.create(provider=model.provider, name="other", position=1)
    conversation = make_conversation(owner, model)
    assert f'<option value="{model.pk}" selected' in page_of(browse, conversation)
    model.enabled = False
    model.save()
    LanguageModel.objects.create(provider=model.provider, name="third", position=2)
    assert f'<option value="{other.pk}" selected' in page_of(browse, conversation)


def test_without_a_model_the_page_says_what_to_do(client, owner, staff):
    client.force_login(owner)
    page = client.get("/chat/").content.decode()
    assert "No model is set up yet" in page and "ask the administrator" in page
    assert "<textarea" not in page and "/admin/" not in page
    client.force_login(staff)
    page = client.get("/chat/").content.decode()
    assert 'href="/admin/chat/provider/add/"' in page and "OPENAI_API_KEY" in page


def test_the_small_local_model_is_called_what_it_is(browse, owner, model):
    notice = 'data-part="local-notice"'
    assert notice not in browse.get("/chat/").content.decode()
    local = Provider.objects.create(name="local", kind="local", base_url="http://127.0.0.1:1/v1", private_network=True)
    small = LanguageModel.objects.create(provider=local, name="small")
    assert f"{notice} hidden" in browse.get("/chat/").content.decode()
    small.position = 1
    small.save()
    page = browse.get("/chat/").content.decode()
    assert f"{notice}>" in page and "How to connect a real one" in page


def test_the_policy_allows_scripts_by_nonce_alone_and_demands_trusted_types(browse, model):
    answer = browse.get("/chat/")
    policy = answer["Content-Security-Policy"]
    page = answer.content.decode()
    nonce = re.search(r"script-src [^;]*'nonce-([^']+)'", policy)
    assert nonce
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
    assert "require-trusted-types-for 'script'" in policy and "trusted-types dompurify" in policy
    for tag in re.findall(r"<script(?![^>]*application/json)[^>]*>", page):
        assert f'nonce="{nonce[1]}"' in tag
    assert " style=" not in page and "<style" not in page and not re.search(r"\son\w+=", page)


def test_the_admin_is_left_its_own_scripts(client, staff):
    client.force_login(staff)
    policy = client.get("/admin/")["Content-Security-Policy"]
    assert "trusted-types" not in policy and "unsafe-inline" not in policy


@pytest.mark.parametrize("address", ["/chat/", "/accounts/login/", "/accounts/password_change/"])
def test_pages_are_kept_in_no_cache(client, owner, model, address):
    if address != "/accounts/login/":
        client.force_login(owner)
    assert "no-store" in client.get(address)["Cache-Control"]


def test_the_import_map_names_every_module_and_nothing_else(browse, model):
    page = browse.get("/chat/").content.decode()
    found = re.search(r'<script type="importmap"[^>]*>(.*?)</script>', page, re.S)
    assert found
    names = set(json.loads(found[1])["imports"])
    files = {f"chat/{file.stem}" for file in (STATIC / "js").glob("*.js")}
    assert {name for name in names if name.startswith("chat/")} == files
    assert names - files == {*LIBRARIES, "highlight", *(f"highlight/{name}" for name in LANGUAGES)}
    assert page.index("importmap") < page.index('type="module"')


def test_the_libraries_are_those_that_are_published():
    assert set(LIBRARIES.values()) <= set(finders.VENDOR_FILES)
    assert set(LANGUAGES) == set(finders.LANGUAGES)
    aliases = re.search(r"ALIASES = \{(.*?)\};", (STATIC / "js" / "highlight.js").read_text(), re.S)
    assert aliases
    assert set(re.findall(r': "(\w+)"', aliases[1])) <= set(LANGUAGES)


def test_unknown_addresses_and_stale_forms_get_pages_of_our_own(client, db, settings):
    page = client.get("/no/<b>such</b>/page/").content.decode()
    assert "There is nothing here" in page and "404 · <code>/no/&lt;b&gt;such&lt;/b&gt;/page/</code>" in page
    strict = type(client)(enforce_csrf_checks=True)
    answer = strict.post("/accounts/login/", {"username": "a", "password": "b"})
    assert answer.status_code == 403 and "This form has expired" in answer.content.decode()


def test_a_user_without_staff_rights_has_no_link_to_the_admin(client, owner, staff, model):
    client.force_login(owner)
    assert 'href="/admin/"' not in client.get("/chat/").content.decode()
    client.force_login(staff)
    assert 'href="/admin/"' in client.get("/chat/").content.decode()


def test_the_cast_is_what_the_tests_think(owner, staff):
    assert not get_user_model().objects.get(username="owner").is_staff and staff.is_superuser
