"""Every error code of the portal, and all that is decided by one.

A code is stable: it is stored, sent and tested. A new one needs its line here and its sentence in chat/texts/errors.py;
what an admin reads of a model server's code stands in chat/texts/diagnosis.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, StrEnum, auto


class Kind(Flag):
    """Where a code occurs; one may occur in several places."""

    UPSTREAM = auto()
    """How a model server failed: the code of a ProviderError, and of the answer that it ended."""

    PORTAL = auto()
    """How the portal itself ended an answer."""

    REFUSAL = auto()
    """Why a prompt is not taken."""

    ERROR = auto()
    """Why a command had no effect."""

    CLOSING = auto()
    """Why a socket is closed."""


@dataclass(frozen=True)
class Rules:
    """What is decided by a code.

    kind             where it occurs
    is_permanent     sending the same request again cannot help
    max_tries        how often a request may be sent in all while nothing was delivered, if that can help
    is_outage        the provider answers nobody; other codes are about one model, one prompt, or too many of them
    is_key_accepted  a server says this only to those whose key it has accepted; its own errors it says to everybody
    is_no_endpoint   the endpoint doesn't exist, or isn't meant for this model
    is_passing       the next request may not meet this failure, however it is asked
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
    """An error code, and its `rules`."""

    rules: Rules

    # What a model server did
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

    # What the portal did
    SERVER_SHUTDOWN = "server_shutdown", Rules(Kind.PORTAL, blames_model=False)
    SERVER_RESTARTED = "server_restarted", Rules(Kind.PORTAL, blames_model=False)
    QUEUE_TIMEOUT = "queue_timeout", Rules(Kind.PORTAL, blames_model=False)
    INTERNAL = "internal", Rules(Kind.PORTAL | Kind.ERROR, blames_model=False)

    # Why a prompt is not taken
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

    # Why a command had no effect
    INVALID_JSON = "invalid_json", Rules(Kind.ERROR)
    INVALID_COMMAND = "invalid_command", Rules(Kind.ERROR)
    TOO_LARGE = "too_large", Rules(Kind.ERROR)

    # Why a socket is closed
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
        """The codes that occur there, in the order of this table."""
        return tuple(code for code in cls if code.rules.kind & kind)
