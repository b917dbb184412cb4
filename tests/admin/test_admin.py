"""The admin: everything is there, chats and figures can't be rewritten, and no key ever comes out."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from chat.models import LanguageModel, Provider
from tests.support.admin_pages import SECRET, address, form_of

NAMES = ["provider", "languagemodel", "conversation", "message", "generation", "segment", "usagerecord"]
READ_ONLY = ["conversation", "message", "generation", "segment", "usagerecord"]


@pytest.mark.parametrize("name", NAMES)
def test_every_list_and_every_row_opens(browse, rows, name):
    assert browse.get(address(name)).status_code == 200
    assert browse.get(address(name) + "?q=upstream").status_code == 200
    assert browse.get(address(name, rows[name])).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_no_page_shows_the_key_or_its_ciphertext(browse, rows, provider, name):
    browse.post(address("provider", provider), form_of(provider, api_key=SECRET, name="renamed"))
    provider.refresh_from_db()
    assert provider.credentials().secret == SECRET
    for page in (address(name), address(name, rows[name]), address(name, rows[name], "history"), "/admin/"):
        text = browse.get(page).content.decode()
        assert SECRET not in text and provider.ciphertext not in text, page
    assert not any(SECRET in entry.change_message for entry in LogEntry.objects.all())


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_happened_cannot_be_changed_added_or_deleted(browse, rows, name):
    assert browse.get(address(name) + "add/").status_code == 403
    assert browse.post(address(name, rows[name]), {}).status_code == 403
    assert browse.post(address(name, rows[name], "delete"), {"post": "yes"}).status_code == 403
    page = browse.get(address(name, rows[name])).content.decode()
    assert 'name="_save"' not in page


def test_long_texts_are_shortened_and_plain(browse, rows):
    page = browse.get(address("message", rows["message"])).content.decode()
    assert "&lt;b&gt;long" in page and "<b>long" not in page
    assert "x" * 400 in page and "x" * 501 not in page
    assert "y" * 501 not in browse.get(address("segment", rows["segment"])).content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "state__exact=running",
        "usage_source__exact=counted",
        "user__id__exact=1",
        "provider_name=upstream",
        "model_name=gpt-4o-mini",
        "created_at__year=2026",
    ],
)
def test_usage_can_be_filtered(browse, rows, query):
    answer = browse.get(f"{address('usagerecord')}?{query}")
    assert answer.status_code == 200


def test_staff_without_the_permission_reads_no_conversation(client, rows):
    colleague = get_user_model().objects.create_user("colleague", password="the right password", is_staff=True)
    colleague.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    client.force_login(colleague)
    assert client.get(address("usagerecord")).status_code == 200
    for name in ("conversation", "message", "generation", "provider"):
        assert client.get(address(name)).status_code == 403
        assert client.get(address(name, rows[name])).status_code == 403


def test_who_may_only_look_at_providers_sees_whether_there_is_a_key(client, rows, provider):
    colleague = get_user_model().objects.create_user("colleague", password="the right password", is_staff=True)
    colleague.user_permissions.add(Permission.objects.get(codename="view_provider"))
    client.force_login(colleague)
    page = client.get(address("provider", provider)).content.decode()
    assert 'type="password"' not in page and SECRET not in page and provider.ciphertext not in page


def test_a_provider_is_added_with_its_key_and_a_model(browse):
    model = {
        "models-0-name": "gpt-4o",
        "models-0-default_options": "{}",
        "models-0-position": 1,
        "models-0-enabled": "on",
    }
    inline = {"models-TOTAL_FORMS": 1, "models-INITIAL_FORMS": 0, **model}
    new = Provider(name="another", base_url="https://llm.example.org/v1")
    answer = browse.post("/admin/chat/provider/add/", {**form_of(new, api_key=f"  {SECRET}\n"), **inline})
    assert answer.status_code == 302
    assert Provider.objects.get(name="another").credentials().secret == SECRET
    assert LanguageModel.objects.get().name == "gpt-4o"


def test_saving_without_a_key_keeps_the_stored_one(browse, provider):
    browse.post(address("provider", provider), form_of(provider, name="renamed"))
    provider.refresh_from_db()
    assert (provider.name, provider.credentials().secret) == ("renamed", SECRET)


def test_a_stored_key_can_be_deleted(browse, provider):
    browse.post(address("provider", provider), form_of(provider, forget_key="on"))
    provider.refresh_from_db()
    assert provider.ciphertext == ""


@pytest.mark.parametrize(
    "base_url", ["https://evil.example/v1", "https://api.example.com:8443/v1", "http://api.example.com/v1"]
)
def test_the_key_does_not_follow_the_address_to_another_server(browse, provider, base_url):
    fields = form_of(provider, base_url=base_url, private_network="on")
    answer = browse.post(address("provider", provider), fields, follow=True)
    provider.refresh_from_db()
    assert (provider.base_url, provider.ciphertext) == (base_url, "")
    assert "the stored API key was deleted" in answer.content.decode()


def test_unless_a_new_one_comes_with_it(browse, provider):
    fields = form_of(provider, base_url="https://other.example/v1", api_key="sk-new")
    answer = browse.post(address("provider", provider), fields, follow=True)
    provider.refresh_from_db()
    assert provider.credentials().secret == "sk-new"
    assert "was deleted" not in answer.content.decode()


def test_another_path_on_the_same_server_keeps_the_key(browse, provider):
    browse.post(address("provider", provider), form_of(provider, base_url="https://api.example.com/v2"))
    provider.refresh_from_db()
    assert provider.credentials().secret == SECRET


@pytest.mark.parametrize("changed", [{"base_url": "https://other.example/v1"}, {"dialect": "completions"}], ids=str)
def test_a_moved_provider_or_one_of_another_dialect_is_asked_for_usage_again(browse, provider, changed):
    Provider.objects.update(refused_fields={"": ["stream_options"]})
    browse.post(address("provider", provider), form_of(provider, **changed))
    provider.refresh_from_db()
    assert provider.refused_fields == {}


def test_fields_that_a_server_refused_are_shown_and_can_be_sent_again(browse, provider):
    page = address("provider", provider)
    assert "not sent any more" not in browse.get(page).content.decode()
    Provider.objects.update(refused_fields={"": ["stream_options"], "o9": ["temperature"]})
    shown = browse.get(page).content.decode()
    assert "not sent any more" in shown and "stream_options, temperature (o9)" in shown
    browse.post(page, form_of(provider, name="renamed"))
    provider.refresh_from_db()
    assert (provider.name, provider.refused_fields) == ("renamed", {"": ["stream_options"], "o9": ["temperature"]})
    browse.post(page, form_of(provider, send_again="on"))
    provider.refresh_from_db()
    assert provider.refused_fields == {}


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("sk-0123456789-wxyz", "…wxyz"), ("a-key-of-sixteen", "…teen"), ("fifteen-letters", None), ("ollama", None)],
)
def test_of_a_short_key_not_even_the_end_is_shown(browse, provider, secret, shown):
    browse.post(address("provider", provider), form_of(provider, api_key=secret))
    found = re.search(r"\bset,(?: (…\w+),)? on ", browse.get(address("provider", provider)).content.decode())
    assert found and found[1] == shown


def test_a_new_key_that_comes_with_an_error_is_asked_for_again(browse, provider):
    page = browse.post(address("provider", provider), form_of(provider, name="", api_key="sk-new-0123456789"))
    assert "Enter the key again" in page.content.decode() and "sk-new" not in page.content.decode()
    page = browse.post(address("provider", provider), form_of(provider, name=""))
    assert "Enter the key again" not in page.content.decode()


@pytest.mark.parametrize("name", ["extra_headers", "extra_query", "extra_body"])
@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": %s}' % ("9" * 5000), "[" * 100_000]
)
def test_what_no_database_can_store_is_no_json(browse, provider, name, text):
    page = browse.post(address("provider", provider), form_of(provider, **{name: text, "name": "renamed"}))
    assert page.status_code == 200 and "errorlist" in page.content.decode()
    provider.refresh_from_db()
    assert provider.name != "renamed" and getattr(provider, name) == {}


def test_a_header_is_a_text(browse, provider):
    page = browse.post(address("provider", provider), form_of(provider, extra_headers='{"X-Team": 7}'))
    assert "Each header needs a text in quotes." in page.content.decode()
    browse.post(address("provider", provider), form_of(provider, extra_headers='{"X-Team": "7"}'))
    provider.refresh_from_db()
    assert provider.extra_headers == {"X-Team": "7"}


def test_default_options_of_a_model_are_json_that_can_be_stored(browse, rows):
    model = rows["languagemodel"]
    values = {"provider": model.provider_id, "name": model.name, "position": 1, "prices-TOTAL_FORMS": 0,
              "prices-INITIAL_FORMS": 0}  # fmt: skip
    page = browse.post(address("languagemodel", model), {**values, "default_options": '{"temperature": NaN}'})
    assert page.status_code == 200 and "Enter a valid JSON." in page.content.decode()


def test_plain_http_is_refused_outside_a_private_network(browse, provider):
    answer = browse.post(address("provider", provider), form_of(provider, base_url="http://api.example.com/v1"))
    assert answer.status_code == 200 and "Use https" in answer.content.decode()


def test_an_empty_address_is_filled_in_by_the_kind(browse):
    new = Provider(name="another", kind="openrouter", base_url="")
    assert browse.post("/admin/chat/provider/add/", form_of(new)).status_code == 302
    assert Provider.objects.get(name="another").base_url == "https://openrouter.ai/api/v1"


@pytest.mark.parametrize(
    ("base_url", "private", "is_taken"),
    [
        ("https://llm.example.org/v1/chat/completions", False, True),
        ("http://llm.example.org/v1", False, False),
        ("http://ollama:11434/v1", False, False),
        ("http://ollama:11434/v1", True, True),
        ("https://127.0.0.1/v1", False, False),
        ("https://[::1]/v1", False, False),
        ("https://10.1.2.3/v1", False, False),
        ("https://10.1.2.3/v1", True, True),
        ("https://localhost/v1", False, False),
        ("https://user:secret@llm.example.org/v1", True, False),
        ("https://llm.example.org:99999/v1", True, False),
        ("ftp://llm.example.org/v1", True, False),
        ("llm.example.org", True, False),
        ("", True, False),
    ],
)
def test_an_address_is_taken_or_refused_with_the_reason(browse, base_url, private, is_taken):
    new = Provider(name="another", base_url=base_url)
    answer = browse.post("/admin/chat/provider/add/", form_of(new, **({"private_network": "on"} if private else {})))
    assert answer.status_code == (302 if is_taken else 200)
    assert Provider.objects.filter(name="another").exists() is is_taken
    if not is_taken:
        assert "errorlist" in answer.content.decode()
