"""Who may say where requests go: superusers. Staff who may change providers see it."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from chat.models import Provider
from tests.support.admin_pages import SECRET, address, form_of


@pytest.fixture
def colleague(client, db):
    """Staff with every permission on providers, and no superuser."""
    colleague = get_user_model().objects.create_user("colleague", password="the right password", is_staff=True)
    colleague.user_permissions.set(Permission.objects.filter(content_type__model__in=["provider", "languagemodel"]))
    client.force_login(colleague)
    return colleague


def test_staff_changes_a_provider_but_not_where_it_is(client, colleague, provider):
    page = client.get(address("provider", provider)).content.decode()
    for name in ("kind", "base_url", "private_network", "auth"):
        assert f'name="{name}"' not in page
    assert provider.base_url in page
    fields = form_of(
        provider, name="renamed", kind="ollama", base_url="https://evil.example/v1", auth="none", private_network="on"
    )
    assert client.post(address("provider", provider), fields).status_code == 302
    provider.refresh_from_db()
    assert (provider.name, provider.kind, provider.auth) == ("renamed", "openai_compatible", "bearer")
    assert (provider.base_url, provider.private_network) == ("https://api.example.com/v1", False)
    assert provider.credentials().secret == SECRET


def test_staff_gives_a_provider_another_key(client, colleague, provider):
    assert client.post(address("provider", provider), form_of(provider, api_key="sk-another")).status_code == 302
    provider.refresh_from_db()
    assert provider.credentials().secret == "sk-another"


def test_staff_adds_no_provider(client, colleague, provider):
    assert client.get("/admin/chat/provider/add/").status_code == 403
    assert client.post("/admin/chat/provider/add/", form_of(Provider(name="new"))).status_code == 403
    assert "/admin/chat/provider/add/" not in client.get("/admin/chat/provider/").content.decode()
    assert Provider.objects.count() == 1


def test_staff_opens_the_built_in_models_provider(client, colleague, provider):
    Provider.objects.update(kind="local", base_url="http://127.0.0.1:1/v1", private_network=True)
    assert client.get(address("provider", provider)).status_code == 200


def test_an_address_that_is_not_taken_any_more_is_said_to_who_cannot_mend_it(client, colleague, provider):
    Provider.objects.update(base_url="https://127.1/v1")
    answer = client.post(address("provider", provider), form_of(provider))
    assert answer.status_code == 200 and "in an odd way" in answer.content.decode()


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("https://127.1/v1", "in an odd way"),
        ("https://llm.example.org./v1", "in an odd way"),
        ("https://llm.example.org/v1/..;/admin", "must not lead upwards"),
        ("https://llm.ex\u200bample.org/v1", "hidden characters"),
        ("http://169.254.169.254/latest", "No request may go to this address"),
        ("http://[::ffff:127.0.0.1]/v1", "No request may go to this address"),
        ("http://0.0.0.0:8080/v1", "No request may go to this address"),
    ],
)
def test_an_address_that_nobody_may_set_is_refused_with_the_reason(browse, provider, base_url, said):
    answer = browse.post(address("provider", provider), form_of(provider, base_url=base_url, private_network="on"))
    assert answer.status_code == 200 and said in answer.content.decode()
    provider.refresh_from_db()
    assert provider.base_url == "https://api.example.com/v1"


def test_a_host_in_other_letters_is_stored_as_dns_writes_it(browse, provider):
    fields = form_of(provider, base_url="https://bücher.example/v1")
    assert browse.post(address("provider", provider), fields).status_code == 302
    provider.refresh_from_db()
    assert provider.base_url == "https://xn--bcher-kva.example/v1"


@pytest.mark.parametrize("base_url", ["https://API.example.com/v1", "https://api.example.com:443/v1"])
def test_the_same_server_written_otherwise_keeps_its_key(browse, provider, base_url):
    browse.post(address("provider", provider), form_of(provider, base_url=base_url))
    provider.refresh_from_db()
    assert provider.credentials().secret == SECRET
