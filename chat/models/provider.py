"""Providers: upstreams with a base URL and credentials."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import TextChoices  # `models` is also the name of a relation here
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.providers import PRESETS, BadAddress, clean_base_url, clean_url, origin_of, redaction
from chat.providers.base import Endpoint, TimeLimits
from chat.providers.ip_rules import is_ip, is_private, may_be_reached

ADDRESS_FAULTS = {
    "form": _("The address must begin with http:// or https:// and name a host."),
    "userinfo": _("The address must not hold a user name or a password."),
    "query": _("The address must not hold a query or a #fragment."),
    "port": _("The address names a port that does not exist."),
    "characters": _("The address must not hold spaces, backslashes or hidden characters."),
    "host": _("The address names its host in an odd way. Write a name, or an IP address in full."),
    "path": _("The path of the address must not lead upwards (..)."),
}

PLACEHOLDER = "YOUR-"
"""The prefix of the parts of a preset that the admin must replace."""


class CredentialsUnreadable(Exception):
    """No key of PORTAL_KEYRING decrypts a provider's credentials, or they were entered for another server."""


class Credentials(NamedTuple):
    """An API key, or a secret with its key id."""

    secret: str
    key_id: str = ""

    def __repr__(self) -> str:
        """Hide the values."""
        return "Credentials(…)"


class Provider(models.Model):
    """A configured upstream. Its credentials are stored encrypted; only `credentials()` decrypts them."""

    class Auth(TextChoices):
        """The authentication of requests."""

        BEARER = "bearer", _("API key (Bearer)")
        API_KEY_HEADER = "api_key_header", _("API key in the header api-key (Azure)")
        EVOLUTION = "evolution", _("Key id and secret (Evolution, cloud.ru)")
        NONE = "none", _("None")

    class Dialect(TextChoices):
        """The API that requests use."""

        CHAT_COMPLETIONS = "chat_completions", _("Chat Completions: messages")
        COMPLETIONS = "completions", _("Completions (legacy): one plain text")

    class UsageMode(TextChoices):
        """Whether streaming requests ask for token usage (`stream_options`)."""

        AUTO = "auto", _("ask, and stop asking when it is refused")
        ASK = "ask", _("always ask")
        NEVER = "never", _("never ask")

    class ThinkTags(TextChoices):
        """The handling of reasoning that arrives within the text, between <think> and </think>."""

        KEPT = "kept", _("leave it in the text")
        TAGGED = "tagged", _("<think>…</think> before the answer is reasoning")
        OPENED = "opened", _("everything before </think> is reasoning")

    class Continuation(TextChoices):
        """The way to make a model continue a cut answer."""

        ASK = "ask", _("ask the model to go on")
        PREFILL = "prefill", _("send the cut answer as the beginning of the new one")

    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=40, default="openai_compatible")
    base_url = models.CharField(_("base URL"), max_length=500)  # URLField refuses one-word hosts of private networks
    auth = models.CharField(_("authentication"), max_length=20, choices=Auth.choices, default=Auth.BEARER)
    dialect = models.CharField(
        _("dialect"),
        max_length=20,
        choices=Dialect.choices,
        default=Dialect.CHAT_COMPLETIONS,
        help_text=_(
            "Base models know no messages: they get the conversation as one text, and go on where it ends. "
            "Some servers stop after 16 tokens unless a model’s default options say max_tokens."
        ),
    )
    token_url = models.CharField(
        _("token address"),
        max_length=500,
        blank=True,
        help_text=_("Where a key id and its secret are exchanged for a token."),
    )
    ciphertext = models.TextField(_("credentials (encrypted)"), blank=True, editable=False)
    credentials_set_at = models.DateTimeField(_("credentials entered"), null=True, editable=False)
    usage_mode = models.CharField(_("usage"), max_length=10, choices=UsageMode.choices, default=UsageMode.AUTO)
    refused_fields = models.JSONField(_("fields that are not sent any more"), default=dict, editable=False)
    """Model ('' = all models) → the request fields that the server refused."""
    max_tokens_field = models.CharField(
        _("field for the answer’s limit"),
        max_length=30,
        default="max_tokens",
        choices=[("max_tokens", "max_tokens"), ("max_completion_tokens", "max_completion_tokens")],
    )
    whole_answers = models.BooleanField(
        _("whole answers"),
        default=False,
        help_text=_(
            "Asks for each answer in one piece, for servers that cannot stream: nothing is seen until its end."
        ),
    )
    think_tags = models.CharField(
        _("reasoning in the text"),
        max_length=10,
        choices=ThinkTags.choices,
        default=ThinkTags.KEPT,
        help_text=_("For servers that do not tell a model’s reasoning apart by themselves."),
    )
    continuation = models.CharField(
        _("to continue an answer"),
        max_length=10,
        choices=Continuation.choices,
        default=Continuation.ASK,
        help_text=_("llama.cpp, Ollama and some others go on where the last answer of a conversation ends."),
    )
    extra_headers = models.JSONField(_("extra headers"), default=dict, blank=True)
    extra_query = models.JSONField(_("extra query"), default=dict, blank=True)
    extra_body = models.JSONField(_("extra body"), default=dict, blank=True)
    connect_seconds = models.FloatField(_("limit to connect (s)"), default=5, validators=[MinValueValidator(0.1)])
    first_byte_seconds = models.FloatField(
        _("limit to the first byte (s)"), default=120, validators=[MinValueValidator(0.1)]
    )
    idle_seconds = models.FloatField(_("limit of silence (s)"), default=60, validators=[MinValueValidator(0.1)])
    total_seconds = models.FloatField(
        _("limit of a whole answer (s)"), default=900, validators=[MinValueValidator(0.1)]
    )
    max_retries = models.PositiveSmallIntegerField(_("automatic retries"), default=2)
    max_parallel = models.PositiveIntegerField(_("answers at once"), default=0, help_text=_("0 = no limit"))
    private_network = models.BooleanField(
        _("private network"),
        default=False,
        help_text=_("Allows plain http, and addresses of this machine and of private networks."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    findings = models.JSONField(_("findings"), default=list, editable=False)
    examined_at = models.DateTimeField(_("examined"), null=True, editable=False)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse addresses that would send the key unencrypted, and extras that aren't JSON objects."""
        preset = PRESETS.get(self.kind)
        if preset is not None and not self.base_url:
            self.base_url = preset.base_url
        self.base_url = self._clean_address("base_url", clean_base_url)
        if self.auth == self.Auth.EVOLUTION:
            self.token_url = self._clean_address("token_url", clean_url)
        else:
            self.token_url = ""
        for name in ("extra_headers", "extra_query", "extra_body"):
            if not isinstance(getattr(self, name), dict):
                raise ValidationError({name: _("A JSON object is needed, for example {}.")})
        if not all(isinstance(value, str) for value in self.extra_headers.values()):
            raise ValidationError({"extra_headers": _("Each header needs a text in quotes.")})

    def _clean_address(self, field: str, clean: Callable[[str], str]) -> str:
        """Return the normalised address in `field`. Raises ValidationError."""
        try:
            address = clean(getattr(self, field))
        except BadAddress as error:
            raise ValidationError({field: ADDRESS_FAULTS[error.fault]}) from error
        if PLACEHOLDER in address:
            raise ValidationError({field: _("Put your own name in the place of %s…") % PLACEHOLDER})
        host = urlsplit(address).hostname or ""
        if is_ip(host) and not may_be_reached(host, private_network=True):
            raise ValidationError({field: _("No request may go to this address: it is reserved for other things.")})
        if not self.private_network and (not address.startswith("https:") or is_private(host)):
            raise ValidationError({field: _("Use https, or mark the provider as being in a private network.")})
        return address

    def set_credentials(self, secret: str, key_id: str = "") -> None:
        """Encrypt the credentials with the newest key of PORTAL_KEYRING, bound to the servers of the current addresses.

        '' deletes the stored credentials. Does not save.
        """
        redaction.learn(secret, key_id)
        plain = json.dumps({"api_key": secret, "key_id": key_id, "for": self._origins()}).encode()
        self.ciphertext = _keyring().encrypt(plain).decode() if secret else ""
        self.credentials_set_at = timezone.now() if secret else None

    def credentials(self) -> Credentials:
        """Decrypt the stored credentials. Both fields are '' if none are stored.

        Raises CredentialsUnreadable if no key of PORTAL_KEYRING decrypts them, or if they were entered for another
        server: write access to the row must not be enough to send a key elsewhere.
        """
        if not self.ciphertext:
            return Credentials("", "")
        try:
            stored = json.loads(_keyring().decrypt(self.ciphertext.encode()))
            credentials = Credentials(str(stored["api_key"]), str(stored.get("key_id", "")))
        except (InvalidToken, ValueError, KeyError) as error:
            raise CredentialsUnreadable(self.name) from error
        redaction.learn(*credentials)
        # Older versions stored no server.
        if stored.get("for", self._origins()) != self._origins():
            raise CredentialsUnreadable(self.name)
        return credentials

    def rotate_credentials(self) -> None:
        """Encrypt the stored credentials again with the newest key. Does not save. Raises CredentialsUnreadable."""
        entered_at = self.credentials_set_at
        self.set_credentials(*self.credentials())
        self.credentials_set_at = entered_at

    def _origins(self) -> list[str]:
        """Return the origins of the servers that receive the credentials."""
        addresses = [self.base_url, self.token_url] if self.auth == self.Auth.EVOLUTION else [self.base_url]
        return [origin_of(address) for address in addresses]

    def endpoint(self) -> Endpoint:
        """Return the settings for an adapter, with decrypted credentials. Raises CredentialsUnreadable."""
        credentials = Credentials("", "") if self.auth == self.Auth.NONE else self.credentials()
        return Endpoint(
            base_url=self.base_url,
            dialect=self.dialect,
            auth=self.auth,
            api_key=credentials.secret,
            key_id=credentials.key_id,
            token_url=self.token_url,
            usage_mode=self.usage_mode,
            whole_answers=self.whole_answers,
            think_tags=self.think_tags,
            max_tokens_field=self.max_tokens_field,
            extra_headers=self.extra_headers,
            extra_query=self.extra_query,
            extra_body=self.extra_body,
            limits=TimeLimits(
                connect=self.connect_seconds,
                first_byte=self.first_byte_seconds,
                idle=self.idle_seconds,
                total=self.total_seconds,
            ),
            max_parallel=self.max_parallel,
            private_network=self.private_network,
            refused_fields=frozenset((model, name) for model, names in self.refused_fields.items() for name in names),
        )

    def refuse(self, field: str, model: str = "") -> None:
        """Record that the server refuses `field` for `model` ('' = for all models). Does not save."""
        names = self.refused_fields.setdefault(model, [])
        if field not in names:
            names.append(field)

    def origin_differs(self, base_url: str, token_url: str | None = None) -> bool:
        """Return whether an address has another scheme, host or port. If so, stored credentials must be deleted."""
        pairs = [(self.base_url, base_url), (self.token_url, self.token_url if token_url is None else token_url)]
        return any(origin_of(old) != origin_of(new) for old, new in pairs)


def _keyring() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.PORTAL_KEYRING])
