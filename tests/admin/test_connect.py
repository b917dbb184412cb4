"""Connecting a provider: presets, tidied addresses, keys that are never shown, and the choice of its models."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

from chat.models import LanguageModel, Price, Provider
from chat.pricing import Rate
from chat.providers import PRESETS
from tests.support.admin_pages import address, form_of
from tests.support.upstream import Upstream, document, error, html

LIST = "GET /v1/models"
SECRET = "evolution-secret-0123456789"


def add(browse, **fields):
    new = form_of(Provider(), **{"private_network": "on", **fields})
    return browse.post("/admin/chat/provider/add/", new | {"_save": "Save"}, follow=True)


@pytest.fixture
def connected(upstream: Upstream, db):
    return Provider.objects.create(name="here", base_url=upstream.base_url, private_network=True, auth="none")


def models_page(provider):
    return f"/admin/chat/provider/{provider.pk}/models/"


@pytest.mark.parametrize("kind", PRESETS)
def test_a_kind_fills_in_what_is_known_of_such_servers(browse, kind):
    preset = PRESETS[kind]
    written = {"base_url": "https://mine.example.com/v1"} if "YOUR-" in preset.base_url or not preset.base_url else {}
    secrets = {"key_id": "id", "api_key": "secret"} if preset.auth == "evolution" else {}
    fields = form_of(Provider(), name="new", kind=kind, base_url="", auth="bearer", **secrets) | written
    answer = browse.post("/admin/chat/provider/add/", fields)
    assert answer.status_code == 302, answer.context["adminform"].errors
    made = Provider.objects.get()
    assert made.auth == preset.auth
    assert made.base_url == (written.get("base_url") or preset.base_url)
    assert {name: getattr(made, name) for name in preset.fields} == dict(preset.fields)


def test_what_was_written_wins_over_the_kind(browse):
    fields = {"kind": "ollama", "base_url": "http://gpu:11434/v1", "auth": "bearer", "preset": "ollama"}
    add(browse, name="new", **fields)
    made = Provider.objects.get()
    assert (made.base_url, made.auth, made.continuation) == ("http://gpu:11434/v1", "bearer", "ask")


def test_a_placeholder_has_to_be_filled_in(browse):
    answer = add(browse, name="new", kind="azure", base_url="")
    assert "Put your own name in the place of YOUR-" in answer.content.decode()
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (" https://llm.example.org/v1/chat/completions ", "https://llm.example.org/v1"),
        ("https://llm.example.org//v1/v1/", "https://llm.example.org/v1"),
    ],
)
def test_a_tidied_address_is_shown(browse, written, stored):
    page = add(browse, name="new", base_url=written).content.decode()
    assert Provider.objects.get().base_url == stored
    assert f"{written.strip()} became {stored}" in page


def test_an_address_that_was_right_is_not_talked_about(browse):
    assert "tidied" not in add(browse, name="new", base_url="https://llm.example.org/v1/").content.decode()


def test_a_key_id_and_its_secret_are_kept_and_not_shown(browse):
    fields = {"kind": "evolution", "base_url": "https://one.cloud.ru/v1", "key_id": "the-key-id", "api_key": SECRET}
    add(browse, name="new", **fields)
    made = Provider.objects.get()
    assert made.credentials() == (SECRET, "the-key-id")
    assert made.token_url == "https://iam.api.cloud.ru/api/v1/auth/token"
    endpoint = made.endpoint()
    assert (endpoint.auth, endpoint.key_id, endpoint.api_key) == ("evolution", "the-key-id", SECRET)
    page = browse.get(address("provider", made)).content.decode()
    assert "set, …6789, on " in page
    assert SECRET not in page and "the-key-id" not in page and "the-key-id" not in made.ciphertext


@pytest.mark.parametrize("given", [{"key_id": "id"}, {"api_key": "secret"}])
def test_half_a_pair_is_refused(browse, given):
    answer = add(browse, name="new", kind="evolution", base_url="https://one.cloud.ru/v1", **given)
    assert "Enter the key id and its secret together." in answer.content.decode()


def test_another_token_address_takes_the_credentials_away(browse):
    fields = {"kind": "evolution", "base_url": "https://one.cloud.ru/v1", "key_id": "id", "api_key": SECRET}
    add(browse, name="new", **fields)
    made = Provider.objects.get()
    moved = form_of(made, token_url="https://evil.example/token")
    page = browse.post(address("provider", made), moved, follow=True).content.decode()
    made.refresh_from_db()
    assert made.ciphertext == "" and "was deleted" in page


def test_a_new_provider_leads_to_its_models(browse, upstream: Upstream):
    upstream.play(LIST, document({"data": [{"id": "a", "max_model_len": 8192}, {"id": "text-embedding-x"}]}))
    page = add(browse, name="new", base_url=upstream.base_url, auth="none")
    made = Provider.objects.get()
    assert page.redirect_chain == [(models_page(made), 302)]
    shown = page.content.decode()
    assert 'value="a"' in shown and "8,192" in shown
    assert "1 that can’t chat" in shown.replace("&#x27;", "’")


def test_the_chosen_models_are_offered_in_their_order_with_what_is_known_of_them(browse, connected, upstream: Upstream):
    listed = [{"id": name, "context_length": size} for name, size in (("a", 1000), ("b", 2000), ("c", 3000))]
    upstream.play(LIST, document(listed))
    group = Group.objects.create(name="research")
    old = LanguageModel.objects.create(provider=connected, name="c", label="Old", position=5)
    by_hand = LanguageModel.objects.create(provider=connected, name="by hand")
    answer = browse.post(models_page(connected), {"offer": ["b", "a"], "groups": [group.pk]}, follow=True)
    assert "3 models are offered." in answer.content.decode()
    made = LanguageModel.objects.filter(name__in=("a", "b")).order_by("position")
    assert [(model.name, model.context_window) for model in made] == [("a", 1000), ("b", 2000)]
    assert [list(model.groups.all()) for model in made] == [[group], [group]]
    for model, enabled in ((old, False), (by_hand, True)):
        model.refresh_from_db()
        assert model.enabled is enabled
    browse.post(models_page(connected), {"offer": ["c"]})
    old.refresh_from_db()
    assert (old.enabled, old.label, old.position) == (True, "Old", 5)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (error(401), "Enter it again;"),
        (html(), "This address doesn’t answer like a model API."),
        (error(500), "The server had an error of its own."),
        (document({"data": []}), "The server lists no models."),
    ],
)
def test_a_list_that_cannot_be_had_says_why_and_changes_nothing(browse, connected, upstream: Upstream, script, said):
    upstream.play(LIST, script)
    kept = LanguageModel.objects.create(provider=connected, name="kept")
    for answer in (browse.get(models_page(connected)), browse.post(models_page(connected), {"offer": ["x"]})):
        assert said in answer.content.decode()
    kept.refresh_from_db()
    assert kept.enabled and LanguageModel.objects.count() == 1


def test_what_a_server_calls_its_models_is_shown_as_text(browse, connected, upstream: Upstream):
    upstream.play(LIST, document({"data": [{"id": "<script>alert(1)</script>", "type": "<b>"}]}))
    shown = browse.get(models_page(connected)).content.decode()
    assert "<script>alert(1)" not in shown and "&lt;script&gt;alert(1)" in shown


def test_prices_are_shown_where_they_are_told(browse, connected, upstream: Upstream):
    upstream.play(LIST, document({"data": [{"id": "a", "pricing": {"prompt": "0.0000025", "completion": "0.00001"}}]}))
    assert "$2.50 · $10.00" in browse.get(models_page(connected)).content.decode()


def test_told_prices_are_stored_with_what_is_offered_and_an_admins_own_stay(browse, connected, upstream: Upstream):
    told = {"prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000125"}
    upstream.play(
        LIST, document({"data": [{"id": name, "pricing": told} for name in ("new", "known", "priced", "no")]})
    )
    LanguageModel.objects.create(provider=connected, name="known")
    priced = LanguageModel.objects.create(provider=connected, name="priced")
    Price.objects.create(model=priced, prompt=1, completion=2)
    for _ in range(2):
        browse.post(models_page(connected), {"offer": ["new", "known", "priced"]})
    assert {price.model.name: price.rate for price in Price.objects.select_related("model")} == {
        "new": Rate(Decimal("2.5"), Decimal(10), Decimal("1.25")),
        "known": Rate(Decimal("2.5"), Decimal(10), Decimal("1.25")),
        "priced": Rate(Decimal(1), Decimal(2)),
    }


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        (["view_provider"], False),
        (["change_provider", "add_languagemodel"], False),  # what is left out is taken away from people
        (["change_provider", "change_languagemodel"], False),
        (["change_provider", "add_languagemodel", "change_languagemodel"], True),
    ],
)
def test_only_who_may_change_provider_and_models_sees_the_list(client, connected, upstream: Upstream, rights, may):
    upstream.play(LIST, document({"data": [{"id": "a"}]}))
    colleague = get_user_model().objects.create_user("colleague", password="x", is_staff=True)
    colleague.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(colleague)
    assert client.get(models_page(connected)).status_code == (200 if may else 403)
    assert (models_page(connected) in client.get(address("provider", connected)).content.decode()) is may


def test_the_choice_of_models_stands_in_the_history(browse, connected, upstream: Upstream):
    upstream.play(LIST, document({"data": [{"id": "a"}]}))
    browse.post(models_page(connected), {"offer": ["a"]})
    assert LogEntry.objects.get().get_change_message() == "Changed models."


def test_a_choice_with_something_wrong_in_it_is_shown_again(browse, connected, upstream: Upstream):
    upstream.play(LIST, document({"data": [{"id": "a"}, {"id": "b"}]}))
    Group.objects.create(name="research")
    shown = browse.post(models_page(connected), {"offer": ["b"], "groups": ["999"]}).content.decode()
    assert re.findall(r'value="(\w)" checked', shown) == ["b"]
    assert not LanguageModel.objects.exists()


@pytest.mark.parametrize("end", ["abc/models/", "abc/examine/", "999/models/"])
def test_a_provider_that_is_none_is_not_found(browse, db, end):
    assert browse.get(f"/admin/chat/provider/{end}", follow=True).status_code in (200, 404)


def test_a_model_of_a_group_is_offered_to_its_people_only(connected):
    people = get_user_model().objects
    owner, colleague = people.create_user("owner"), people.create_user("colleague")
    for group in ("research", "support"):
        owner.groups.add(Group.objects.create(name=group))
    theirs = LanguageModel.objects.create(provider=connected, name="theirs", position=1)
    theirs.groups.set(Group.objects.all())
    everybodys = LanguageModel.objects.create(provider=connected, name="everybody's", position=2)
    assert list(LanguageModel.objects.usable_by(owner.pk)) == [theirs, everybodys]
    assert list(LanguageModel.objects.usable_by(colleague.pk)) == [everybodys]
