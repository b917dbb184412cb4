"""No secret reaches the log, whoever writes it there."""

from __future__ import annotations

import base64
import io
import logging
from urllib.parse import quote

import pytest
from django.conf import settings

from chat.models import Provider
from chat.providers.redaction import MASK, learn
from chatsite.masking import SecretsFilter

SECRET = "plain words/as a+key"


@pytest.fixture
def log():
    """What the portal's own handler writes."""
    (handler,) = (one for one in logging.getLogger().handlers if any(isinstance(f, SecretsFilter) for f in one.filters))
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


class Holder:
    """Shows a secret when it is looked at."""

    def __repr__(self):
        return f"Holder({SECRET})"


class Broken:
    """Can't be shown, and says why with a secret."""

    def __str__(self):
        raise ValueError(SECRET)


def fail(secret):
    """Raise from an error with the secret in its arguments."""
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise RuntimeError("no good", secret) from error


def test_a_secret_is_masked_in_the_text_and_in_the_arguments(log):
    learn(SECRET)
    logger = logging.getLogger("chat.somewhere")
    logger.warning("key %s of %r in %s", SECRET, Holder(), {"key": SECRET})
    logger.warning("url https://x.example/?key=%s", quote(SECRET, safe=""))
    logger.warning("basic %s", base64.b64encode(f"user:{SECRET}".encode()).decode())
    logger.warning("hex " + SECRET.encode().hex())
    logger.warning(Exception(SECRET))
    text = log.getvalue()
    assert text.count("\n") == 5 and text.count(MASK) >= 7
    for written in (
        SECRET,
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode()[:-4],
    ):
        assert written not in text


@pytest.mark.parametrize("secret", ["sk-proj-Ab12Cd34Ef56Gh78Ij90Kl", SECRET])
def test_a_secret_is_masked_in_a_traceback_and_its_causes(log, secret):
    learn(SECRET)
    try:
        fail(secret)
    except RuntimeError:
        logging.getLogger("django.request").exception("it failed")
    text = log.getvalue()
    assert "Traceback" in text and "RuntimeError" in text and "test_masking.py" in text
    assert secret not in text
    logging.getLogger("chat").warning("here", stack_info=True)
    assert "Stack (most recent call last)" in log.getvalue()


def test_a_record_that_cannot_be_shown_is_logged_without_its_arguments(log, capsys):
    learn(SECRET)
    logging.getLogger("chat").warning("%s", Broken())
    logging.getLogger("chat").warning("%d and %s", SECRET)
    text = log.getvalue() + "".join(capsys.readouterr())
    assert text.count("could not be formatted") == 2
    assert SECRET not in text and "Logging error" not in text


def test_the_portals_own_secrets_are_known_from_the_start(log):
    logging.getLogger("twisted").error("%s and %s", settings.SECRET_KEY, settings.PORTAL_KEYRING)
    text = log.getvalue()
    assert settings.SECRET_KEY not in text and settings.PORTAL_KEYRING[0] not in text


@pytest.mark.django_db
def test_a_providers_key_is_known_as_soon_as_it_is_used(log):
    provider = Provider(name="upstream", base_url="https://api.example.com/v1")
    provider.set_credentials("entered words of a key")
    logging.getLogger("chat").warning("entered words of a key")
    provider.ciphertext = Provider(name="x", base_url=provider.base_url).ciphertext or provider.ciphertext
    assert provider.endpoint().api_key == "entered words of a key"
    assert "entered words" not in log.getvalue()


def test_every_handler_masks_and_the_http_libraries_tell_no_addresses(log):
    assert all("secrets" in handler["filters"] for handler in settings.LOGGING["handlers"].values())
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING
    logging.getLogger("httpx").info("HTTP Request: POST https://x.example/v1?key=k")
    assert log.getvalue() == ""
