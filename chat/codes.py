"""The error codes of the portal, with a table of their rules.

A code is stable: it is stored, sent and tested. A new code needs a line here and a sentence in chat/texts/errors.py.
chat/texts/diagnosis.py has the texts for admins about an upstream's codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, StrEnum, auto


class Kind(Flag):
    """The places where a code may occur, as flags."""

    UPSTREAM = auto()
    """A failure of an upstream: the code of a ProviderError, and of the answer that it ended."""

    PORTAL = auto()
    """The portal ended an answer."""

    REFUSAL = auto()
    """The portal refused a prompt."""

    ERROR = auto()
    """A command had no effect."""

    CLOSING = auto()
    """The portal closed a socket."""


@dataclass(frozen=True)
class Rules:
    """The consequences of a code.

    kind             the places where it may occur
    is_permanent     sending the same request again cannot help
    max_tries        how often a request may be sent in total while no delta was delivered, unless permanent
    is_outage        the provider fails for every request; other codes are about one model, one prompt or the load
    is_key_accepted  servers report this only after accepting the key
    is_no_endpoint   the endpoint doesn't exist, or isn't meant for this model
    is_passing       the next request may succeed without a change
    blames_model     counts as a failure of the model in its statistics
    """

    kind: Kind = Kind.UPSTREAM
    is_permanent: bool = False
    max_tries: int = 3
    is_outage: bool = False
    is_key_accepted: bool = False
    is_no_endpoint: bool = False
    is_passing: bool = False
    blames_model: bool = True


class Code(StrEnum):
    """An error code with its `rules`."""

    rules: Rules

    # Failures of upstreams
    UPSTREAM_UNREACHABLE = "upstream_unreachable", Rules(is_outage=True, is_passing=True)
    UPSTREAM_DNS = "upstream_dns", Rules(max_tries=2, is_outage=True, is_passing=True)
    UPSTREAM_TLS = "upstream_tls", Rules(is_permanent=True, is_outage=True)
    UPSTREAM_TIMEOUT = "upstream_timeout", Rules(is_outage=True)
    UPSTREAM_STALLED = "upstream_stalled", Rules(is_permanent=True, is_outage=True)
    UPSTREAM_CUT = "upstream_cut", Rules(is_outage=True)
    UPSTREAM_INCOMPLETE = "upstream_incomplete", Rules()
    UPSTREAM_MALFORMED = "upstream_malformed", Rules()
    UPSTREAM_BAD_RESPONSE = "upstream_bad_response", Rules(is_permanent=True, is_no_endpoint=True)
    UPSTREAM_REDIRECT = "upstream_redirect", Rules(is_permanent=True)
    UPSTREAM_ENCODING = "upstream_encoding", Rules(is_permanent=True)
    UPSTREAM_AUTH = "upstream_auth", Rules(is_permanent=True, is_outage=True)
    UPSTREAM_FORBIDDEN = "upstream_forbidden", Rules(is_permanent=True)
    UPSTREAM_NOT_FOUND = "upstream_not_found", Rules(is_permanent=True, is_key_accepted=True, is_no_endpoint=True)
    UPSTREAM_REJECTED = "upstream_rejected", Rules(is_permanent=True, is_key_accepted=True, is_no_endpoint=True)
    CONTEXT_TOO_LONG = "context_too_long", Rules(is_permanent=True, is_key_accepted=True, blames_model=False)
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited", Rules(is_key_accepted=True, is_passing=True)
    UPSTREAM_QUOTA = "upstream_quota", Rules(is_permanent=True, is_key_accepted=True, is_passing=True)
    UPSTREAM_OVERLOADED = "upstream_overloaded", Rules(is_outage=True, is_passing=True)
    UPSTREAM_ERROR = "upstream_error", Rules(is_outage=True)
    ANSWER_EMPTY = "answer_empty", Rules(max_tries=2, is_key_accepted=True)
    ANSWER_TOO_LONG = "answer_too_long", Rules(is_permanent=True)

    # Ends by the portal
    SERVER_SHUTDOWN = "server_shutdown", Rules(Kind.PORTAL, blames_model=False)
    SERVER_RESTARTED = "server_restarted", Rules(Kind.PORTAL, blames_model=False)
    QUEUE_TIMEOUT = "queue_timeout", Rules(Kind.PORTAL, blames_model=False)
    INTERNAL = "internal", Rules(Kind.PORTAL | Kind.ERROR, blames_model=False)

    # Refusals of prompts
    EMPTY = "empty", Rules(Kind.REFUSAL)
    TOO_LONG = "too_long", Rules(Kind.REFUSAL)
    NOT_FOUND = "not_found", Rules(Kind.REFUSAL | Kind.ERROR)
    UNKNOWN_MODEL = "unknown_model", Rules(Kind.REFUSAL)
    NO_MODEL = "no_model", Rules(Kind.REFUSAL)
    LIMIT_USER = "limit_user", Rules(Kind.REFUSAL)
    RATE_LIMITED = "rate_limited", Rules(Kind.REFUSAL)
    BUDGET = "budget", Rules(Kind.REFUSAL)
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch", Rules(Kind.REFUSAL)
    BUSY_TRY_AGAIN = "busy_try_again", Rules(Kind.REFUSAL)
    STORAGE_FULL = "storage_full", Rules(Kind.REFUSAL)
    SERVER_RESTARTING = "server_restarting", Rules(Kind.REFUSAL)

    # Errors of commands
    INVALID_JSON = "invalid_json", Rules(Kind.ERROR)
    INVALID_COMMAND = "invalid_command", Rules(Kind.ERROR)
    TOO_LARGE = "too_large", Rules(Kind.ERROR)

    # Closed sockets
    LOG_IN = "log_in", Rules(Kind.CLOSING)
    FORBIDDEN = "forbidden", Rules(Kind.CLOSING)
    TOO_FAST = "too_fast", Rules(Kind.CLOSING)
    RESTARTING = "restarting", Rules(Kind.CLOSING)
    TOO_SLOW = "too_slow", Rules(Kind.CLOSING)
    TOO_MANY_SOCKETS = "too_many_sockets", Rules(Kind.CLOSING)

    def __new__(cls, value: str, rules: Rules = Rules()) -> Code:
        code = str.__new__(cls, value)
        code._value_ = value
        code.rules = rules
        return code

    @classmethod
    def of(cls, kind: Kind) -> tuple[Code, ...]:
        """Return the codes of a kind, in the order of this table."""
        return tuple(code for code in cls if code.rules.kind & kind)
