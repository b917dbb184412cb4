"""The providers `environment` and `local` follow how the portal was started; an admin's rows stay as they are."""

import http.server
import json
import socket
import threading

import pytest

from chat.environment_models import (
    disable_local_provider,
    is_private_url,
    sync_environment_provider,
    sync_local_provider,
)
from chat.models import LanguageModel, Provider

pytestmark = pytest.mark.django_db

KEY = "sk-environment"


class ModelList(http.server.BaseHTTPRequestHandler):
    """Answers GET …/models with what the server's `answer` holds."""

    def do_GET(self):
        status, body = self.server.answer
        self.server.authorization = self.headers["Authorization"]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def listing():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ModelList) as server:
        server.answer = (200, {"object": "list", "data": [{"id": "first"}, {"id": "second"}]})
        server.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def usable():
    return [model.name for model in LanguageModel.objects.usable()]


def test_the_named_models_are_offered_in_their_order_without_a_system_prompt():
    assert sync_environment_provider("https://api.example.com/v1", KEY, ["b", "a", "b"]) == []

    provider = Provider.objects.get(name="environment")
    assert usable() == ["b", "a"]
    assert provider.credentials().secret == KEY
    assert provider.auth == "bearer"
    assert set(provider.models.values_list("system_prompt", flat=True)) == {""}


def test_without_a_name_the_upstream_is_asked_with_the_key(listing):
    assert sync_environment_provider(listing.base_url, KEY, []) == []

    assert usable() == ["first", "second"]
    assert listing.authorization == f"Bearer {KEY}"


def test_an_upstream_that_gives_no_list_is_a_warning_and_what_was_offered_stays(listing):
    sync_environment_provider(listing.base_url, KEY, [])
    listing.answer = (500, {"error": {"message": "broken"}})

    warnings = sync_environment_provider(listing.base_url, KEY, [])

    assert len(warnings) == 1
    assert "OPENAI_MODEL" in warnings[0]
    assert KEY not in warnings[0]
    assert usable() == ["first", "second"]


def test_names_that_no_database_takes_are_offered_as_it_takes_them(listing):
    listing.answer = (200, {"data": [{"id": "half \ud83d"}, {"id": "zero \x00"}]})

    assert sync_environment_provider(listing.base_url, KEY, []) == []
    assert usable() == ["half ?", "zero ?"]


def test_an_empty_list_is_a_warning_too(listing):
    listing.answer = (200, {"data": []})

    assert len(sync_environment_provider(listing.base_url, "", [])) == 1
    assert usable() == []


def test_another_start_updates_it_and_keeps_what_an_admin_changed():
    sync_environment_provider("https://api.example.com/v1", KEY, ["a", "b"])
    LanguageModel.objects.filter(name="b").update(label="The good one", context_window=8192)
    old = LanguageModel.objects.get(name="a").pk

    sync_environment_provider("http://127.0.0.1:9/v1", "", ["b"])

    provider = Provider.objects.get(name="environment")
    assert (provider.auth, provider.credentials().secret, provider.private_network) == ("none", "", True)
    assert usable() == ["b"]
    assert LanguageModel.objects.get(name="b").label == "The good one"
    # Conversations refer to it: it is switched off and not deleted.
    assert not LanguageModel.objects.get(pk=old).enabled


def test_other_providers_are_never_touched():
    mine = Provider.objects.create(name="mine", base_url="https://mine.example.com/v1")
    LanguageModel.objects.create(provider=mine, name="a", position=5)

    sync_environment_provider("https://api.example.com/v1", KEY, ["a"])
    sync_environment_provider("", "", [])

    mine.refresh_from_db()
    assert mine.enabled
    assert usable() == ["a"]


def test_it_is_disabled_once_when_the_environment_no_longer_names_it():
    sync_environment_provider("https://api.example.com/v1", KEY, ["a"])

    assert len(sync_environment_provider("", "", [])) == 1
    assert sync_environment_provider("", "", []) == []
    assert usable() == []


def test_the_local_model_makes_room_for_the_environments():
    sync_local_provider("http://127.0.0.1:1/v1", "local-key")
    assert usable() == ["SmolLM2-135M-Instruct"]

    sync_environment_provider("https://api.example.com/v1", KEY, ["a"])
    assert usable() == ["a"]


def test_every_start_points_the_local_provider_at_its_new_port_and_key():
    sync_local_provider("http://127.0.0.1:1/v1", "first")
    LanguageModel.objects.update(system_prompt="Be kind.")
    disable_local_provider()
    sync_local_provider("http://127.0.0.1:2/v1", "second")

    provider = Provider.objects.get(name="local")
    assert (provider.base_url, provider.credentials().secret) == ("http://127.0.0.1:2/v1", "second")
    assert (provider.kind, provider.enabled, provider.max_parallel) == ("local", True, 2)
    model = provider.models.get()
    assert (model.context_window, model.default_options, model.system_prompt) == (2048, {"temperature": 0}, "Be kind.")


def test_a_model_that_an_admin_adds_comes_before_the_local_one():
    sync_local_provider("http://127.0.0.1:1/v1", "key")
    mine = Provider.objects.create(name="mine", base_url="https://mine.example.com/v1")
    LanguageModel.objects.create(provider=mine, name="mine")

    assert usable()[0] == "mine"


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://api.example.com/v1", True),
        ("https://127.0.0.1/v1", True),
        ("https://10.1.2.3:8443/v1", True),
        ("https://[::1]/v1", True),
        ("https://localhost/v1", True),
        ("https://8.8.8.8/v1", False),
        ("https://name.invalid/v1", False),
    ],
)
def test_private_addresses_are_marked_so(url, private):
    assert is_private_url(url) is private


@pytest.mark.parametrize(
    ("addresses", "private"),
    [
        (["8.8.8.8"], False),
        (["2606:4700::1111", "8.8.8.8"], False),
        (["10.1.2.3"], True),
        (["8.8.8.8", "10.1.2.3"], True),
        (["fd12::1"], True),
        (["127.0.0.1"], True),
    ],
)
def test_a_name_is_as_private_as_its_addresses(monkeypatch, addresses, private):
    entries = [(0, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: entries)
    assert is_private_url("https://model.test/v1") is private
    sync_environment_provider("https://model.test/v1", KEY, ["a"])
    provider = Provider.objects.get(name="environment")
    assert provider.private_network is private
    assert provider.endpoint().private_network is private


def test_the_built_in_models_provider_may_reach_this_machine():
    sync_local_provider("http://127.0.0.1:1/v1", "local-key")
    assert Provider.objects.get(kind="local").endpoint().private_network


def test_a_provider_that_an_admin_called_local_is_never_touched():
    mine = Provider.objects.create(name="local", base_url="http://ollama:11434/v1", private_network=True)
    sync_local_provider("http://127.0.0.1:1/v1", "key")
    sync_local_provider("http://127.0.0.1:2/v1", "key")
    disable_local_provider()
    mine.refresh_from_db()
    assert (mine.base_url, mine.enabled) == ("http://ollama:11434/v1", True)
    built_in = Provider.objects.get(kind="local")
    assert (built_in.name, built_in.base_url, built_in.enabled) == ("local 2", "http://127.0.0.1:2/v1", False)


def test_a_model_that_an_admin_added_to_the_environments_provider_stays():
    sync_environment_provider("http://127.0.0.1:1/v1", "key", ["one"])
    provider = Provider.objects.get(name="environment")
    provider.models.create(name="mine", position=100)
    sync_environment_provider("http://127.0.0.1:1/v1", "key", ["two"])
    assert {model.name: model.enabled for model in provider.models.all()} == {"one": False, "two": True, "mine": True}
