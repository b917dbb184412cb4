"""Stored keys: for one server only, and encrypted with whichever key of the keyring is the newest."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from chat.generation.inputs import Inputs, PreparedRequest
from chat.models import CredentialsUnreadable, Provider
from chat.models.provider import Credentials
from chat.providers import DIALECTS, CompletionRequest, build
from chat.providers.evolution import EvolutionAuth, Token
from chat.providers.http import Sender, open_client
from chat.providers.redaction import _Spelt
from chat.tokens import Encoding

pytestmark = pytest.mark.django_db

SECRET = "sk-canary-0123456789abcdef"
TOKEN_URL = "https://iam.example.com/token"


def stored(name="upstream", secret=SECRET, **fields):
    provider = Provider(name=name, base_url="https://api.example.com/v1")
    for field, value in fields.items():
        setattr(provider, field, value)
    provider.set_credentials(secret, "key-id" if provider.auth == "evolution" else "")
    provider.save()
    return provider


@pytest.fixture
def keys(settings):
    """Makes the keyring: the newest first."""
    made = {name: Fernet.generate_key().decode() for name in ("old", "new", "lost")}

    def use(*names):
        settings.PORTAL_KEYRING = [made[name] for name in names]

    return use


def rotate():
    """What the command prints, and its exit code."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command("rotate_keyring", stdout=out, stderr=err)
    except SystemExit as end:
        code = end.code
    return out.getvalue(), err.getvalue(), code


# To be seen by nobody ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_that_holds_a_secret_shows_it_when_it_is_printed():
    extras = {"extra_headers": {"X": SECRET}, "extra_query": {"key": SECRET}, "extra_body": {"key": SECRET}}
    provider = stored(auth="evolution", token_url=TOKEN_URL, **extras)
    endpoint = replace(provider.endpoint(), key_id=SECRET)
    token = Token(SECRET)

    async def fetch() -> Token:
        return token

    async def holders() -> list[object]:
        auth = EvolutionAuth(fetch)
        assert await auth.token() == SECRET
        adapters = [build(replace(endpoint, dialect=dialect)) for dialect in DIALECTS]
        return [auth, Sender(endpoint), open_client(endpoint), Inputs(provider.pk, endpoint, 0, asked), *adapters]

    asked = PreparedRequest(CompletionRequest("m", []), Encoding("o200k_base", True), 0)
    made = [provider, provider.credentials(), Credentials(SECRET, SECRET), endpoint, token, *asyncio.run(holders())]
    made.append(_Spelt.of(SECRET))
    for one in made:
        texts = (repr(one), str(one), f"{one}", f"{one!r:>3}", f"{[one]}", "%s" % {"it": one})  # noqa: UP031
        assert not [text for text in texts if SECRET in text], type(one).__name__


# One server ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "base_url",
    ["https://evil.example/v1", "http://api.example.com/v1", "https://api.example.com:8443/v1", "https://127.0.0.1"],
)
def test_a_key_cannot_be_read_from_a_row_with_another_server(base_url):
    mine = stored()
    other = Provider.objects.create(name="other", base_url=base_url, ciphertext=mine.ciphertext, private_network=True)
    with pytest.raises(CredentialsUnreadable):
        other.credentials()
    with pytest.raises(CredentialsUnreadable):
        other.endpoint()
    Provider.objects.filter(pk=mine.pk).update(base_url=base_url)
    mine.refresh_from_db()
    with pytest.raises(CredentialsUnreadable):
        mine.credentials()


@pytest.mark.parametrize("base_url", ["https://api.example.com/v2", "https://API.example.com:443/v1/"])
def test_the_path_and_the_spelling_of_its_server_may_change(base_url):
    provider = stored()
    provider.base_url = base_url
    assert provider.credentials().secret == SECRET


def test_a_secret_that_is_exchanged_is_for_the_token_address_too():
    provider = stored(auth="evolution", token_url=TOKEN_URL)
    assert provider.credentials() == (SECRET, "key-id")
    provider.token_url = "https://iam.example.com/other"
    assert provider.credentials() == (SECRET, "key-id")
    provider.token_url = "https://evil.example/token"
    with pytest.raises(CredentialsUnreadable):
        provider.credentials()


def test_a_key_is_not_exchanged_when_it_was_given_for_other_use():
    provider = stored()
    provider.auth, provider.token_url = "evolution", TOKEN_URL
    with pytest.raises(CredentialsUnreadable):
        provider.credentials()


def test_what_an_older_version_stored_is_read(settings):
    provider = stored()
    plain = json.dumps({"api_key": SECRET, "key_id": ""}).encode()
    provider.ciphertext = Fernet(settings.PORTAL_KEYRING[0]).encrypt(plain).decode()
    assert provider.credentials().secret == SECRET
    provider.rotate_credentials()
    provider.base_url = "https://evil.example/v1"
    with pytest.raises(CredentialsUnreadable):
        provider.credentials()


# The keyring ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_rotation_the_old_key_is_not_needed(keys):
    keys("old")
    for name in ("one", "two"):
        stored(name, f"{SECRET}-{name}")
    bare = Provider.objects.create(name="bare", base_url="https://api.example.com/v1")
    entered = dict(Provider.objects.values_list("name", "credentials_set_at"))

    keys("new", "old")
    out, err, code = rotate()
    assert (err, code) == ("", 0)
    assert out == "2 encrypted with the newest key, 0 can't be read\n"
    assert SECRET not in out

    keys("new")
    assert {p.name: p.credentials().secret for p in Provider.objects.all()} == {
        "one": f"{SECRET}-one",
        "two": f"{SECRET}-two",
        "bare": "",
    }
    assert dict(Provider.objects.values_list("name", "credentials_set_at")) == entered
    bare.refresh_from_db()
    assert bare.ciphertext == ""


def test_what_no_key_opens_is_named_and_left_alone(keys):
    keys("lost")
    lost = stored("lost")
    keys("old")
    stored("mine")
    keys("new", "old")
    out, err, code = rotate()
    assert code == 1
    assert "1 can't be read" in out
    assert "lost: left alone" in err and "mine" not in err
    assert Provider.objects.get(pk=lost.pk).ciphertext == lost.ciphertext
    keys("new")
    assert Provider.objects.get(name="mine").credentials().secret == SECRET
    keys("lost")
    assert Provider.objects.get(name="lost").credentials().secret == SECRET


def test_what_belongs_to_another_server_is_left_alone_too(keys):
    keys("old")
    moved = stored()
    Provider.objects.update(base_url="https://evil.example/v1")
    keys("new", "old")
    assert rotate()[2] == 1
    assert Provider.objects.get().ciphertext == moved.ciphertext


def test_with_nothing_stored_there_is_nothing_to_do():
    assert rotate()[1:] == ("", 0)
