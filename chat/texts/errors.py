"""Codes → the sentences a person reads, in the reader's language. The database and the wire keep code and parameters.

Knows no model, no socket and no page. Parameters that sentences use:

    reason       upstream's own text, redacted
    retry_after  how many seconds to wait; broken ones are rounded up
    limit        the limit that was reached
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from chat.finish_reasons import meaning_of

SENTENCES: Mapping[str, Any] = {
    # What an upstream did
    "upstream_unreachable": _("The model server can't be reached."),
    "upstream_dns": _("The model server's address wasn't found. Please tell your admin."),
    "upstream_tls": _("No secure connection to the model server. Please tell your admin."),
    "upstream_timeout": _("The model didn't start to answer in time."),
    "upstream_stalled": _("The answer stopped arriving. What came is kept."),
    "upstream_cut": _("The connection to the model broke off. What came is kept."),
    "upstream_incomplete": _("The model's answer ended without an end mark; it may be cut."),
    "upstream_malformed": _("The model server sent something unreadable. What came is kept."),
    "upstream_bad_response": _("That address doesn't answer like a model API. Please tell your admin."),
    "upstream_redirect": _("The model server's address has moved. Please tell your admin."),
    "upstream_encoding": _("The model server sent packed data we don't accept."),
    "upstream_auth": _("The model server refused our key. Please tell your admin."),
    "upstream_forbidden": _("The model server doesn't allow this model for our key."),
    "upstream_not_found": _("This model isn't available there. Choose another."),
    "upstream_rejected": _("The model server rejected the request."),
    "context_too_long": _("This conversation is too long for the model."),
    "upstream_rate_limited": _("The model server is busy. Try again later."),
    "upstream_quota": _("The account at the model provider is used up. Please tell your admin."),
    "upstream_overloaded": _("The model is overloaded right now."),
    "upstream_error": _("The model server had an error."),
    "answer_empty": _("The model returned no text."),
    "answer_too_long": _("Stopped at the limit of an answer's length. What came is kept."),
    # What the portal did
    "server_shutdown": _("The server restarted while this was being written. What came is kept."),
    "server_restarted": _("The server restarted while this was being written. What came is kept."),
    "queue_timeout": _("This waited too long for its turn. Try again."),
    "internal": _("Something went wrong in the portal. What came is kept."),
    # Why a prompt is not taken
    "empty": _("There is nothing to send yet."),
    "too_long": _("This text is too long: at most 256 KiB can be sent at once."),
    "not_found": _("That conversation or message isn't there any more."),
    "unknown_model": _("This model isn't available any more. Choose another."),
    "no_model": _("No model is set up yet. Please tell your admin."),
    "limit_user": _("Too many of your prompts are waiting. Let one of them finish first."),
    "rate_limited": _("That were many prompts in a short time. Try again in a moment."),
    "budget": _("Your budget is used up. Please tell your admin."),
    "idempotency_mismatch": _("This was sent before with another text. Send it again."),
    "busy_try_again": _("The portal is busy. Try again in a moment."),
    "storage_full": _("The portal can't save anything right now. Please tell your admin."),
    "server_restarting": _("The portal is restarting. This is sent when it is back."),
    # What a command was answered with
    "invalid_json": _("The portal couldn't read what the page sent. Reload the page."),
    "invalid_command": _("The portal didn't understand what the page sent. Reload the page."),
    "too_large": _("That was too much at once."),
    # Why a socket is closed
    "log_in": _("Your session has ended. Please log in again."),
    "forbidden": _("You may not use this portal."),
    "too_fast": _("This page asked too much in a short time. It goes on in half a minute."),
    "restarting": _("The portal is restarting and will be back in a moment."),
    "too_slow": _("This page was too slow for what arrived. It connects again."),
    "too_many_sockets": _("The portal is open in too many tabs. Close one of them."),
}

# A code with a parameter, and the sentence that says it.
DETAILED: Mapping[str, tuple[str, Any]] = {
    "upstream_rejected": ("reason", _("The model server rejected the request: %(reason)s")),
    "upstream_rate_limited": (
        "retry_after",
        ngettext_lazy(
            "The model server is busy. Try again in %(retry_after)d second.",
            "The model server is busy. Try again in %(retry_after)d seconds.",
            "retry_after",
        ),
    ),
    "rate_limited": (
        "retry_after",
        ngettext_lazy(
            "That were many prompts in a short time. Try again in %(retry_after)d second.",
            "That were many prompts in a short time. Try again in %(retry_after)d seconds.",
            "retry_after",
        ),
    ),
    "answer_too_long": ("limit", _("Stopped at the limit of %(limit)s. What came is kept.")),
    "too_long": ("limit", _("This answer is as long as one may be: %(limit)s.")),
    "limit_user": (
        "limit",
        ngettext_lazy(
            "%(limit)d prompt of yours is under way already. Let it finish first.",
            "%(limit)d prompts of yours are under way already. Let one of them finish first.",
            "limit",
        ),
    ),
}

UNKNOWN_CODE = _("Something went wrong (%(code)s).")

# By what upstream means by its finish_reason.
FINISH_REASONS: Mapping[str, Any] = {
    "stop": _("finished"),
    "length": _("cut at the limit of its length"),
    "window": _("cut, the context window is full"),
    "content_filter": _("cut by the provider's content filter"),
    "tool_calls": _("ended by asking for a tool"),
    "capacity": _("cut for lack of capacity"),
    "abort": _("broken off by the model server"),
    "error": _("failed"),
}

# What stands below an answer that is complete and yet not whole.
CUTS: Mapping[str, Any] = {
    "length": _("Cut at the limit of its length."),
    "window": _("Cut: the model's context window is full."),
    "content_filter": _("The provider's content filter cut this answer."),
    "capacity": _("Cut: the model server lacked capacity."),
    "abort": _("The model server broke this answer off."),
}
# Complete, and yet not what one asked for.
NOTES: Mapping[str, Any] = {
    "refusal": _("The model declined to answer."),
    "answer_empty": _("The model thought, and wrote no answer."),
}
CUT_AT = ngettext_lazy("Cut at the limit of %(limit)d token.", "Cut at the limit of %(limit)d tokens.", "limit")

# What is said when upstream gave no finish_reason, by the state of the generation.
ENDS_WITHOUT_REASON: Mapping[str, Any] = {
    "completed": _("no end mark, may be cut"),
    "stopped": _("stopped by you"),
    "failed": _("failed"),
    "interrupted": _("interrupted"),
}

STOPPED = _("You stopped this answer.")
OTHER_REASON = _("ended with “%(reason)s”")


def sentence(code: str, parameters: Mapping[str, object] | None = None) -> str:
    """The sentence for `code` in the active language; one that names the code when it is unknown. Never raises."""
    given = parameters or {}
    if code in DETAILED:
        name, detailed = DETAILED[code]
        value = given.get(name)
        if isinstance(value, float) and math.isfinite(value):
            value = math.ceil(value)
        if value:
            try:
                return str(detailed % {name: value})
            except (TypeError, ValueError, KeyError, OverflowError):
                pass  # a stored parameter of another type: the plain sentence is still true
    return str(SENTENCES.get(code) or UNKNOWN_CODE % {"code": code})


def finish_reason_in_words(reason: str | None, state: str) -> str:
    """How an answer ended, in words; '' while it runs. `reason` is upstream's own word, None when none came."""
    if reason:
        return str(FINISH_REASONS.get(meaning_of(reason)) or OTHER_REASON % {"reason": reason})
    return str(ENDS_WITHOUT_REASON.get(state, ""))


def why_not_whole(state: str, code: str, reason: str | None, parameters: Mapping[str, object] | None = None) -> str:
    """What stands below an answer that has ended and may lack something; '' for a whole one.

    code        the error code, '' for none
    reason      upstream's finish_reason, None when none came
    parameters  those of the code; without one, `limit` may be the tokens at which it was cut, `note` one of NOTES
    """
    if code:
        return sentence(code, parameters)
    if state == "stopped":
        return str(STOPPED)
    if state == "interrupted":
        return sentence("server_restarted")
    if state != "completed":
        return ""
    if not reason:
        return sentence("upstream_incomplete")
    meaning = meaning_of(reason)
    given = parameters or {}
    note = NOTES.get(str(given.get("note")), "")
    if note and meaning not in CUTS:
        return str(note)
    limit = given.get("limit")
    if meaning == "length" and isinstance(limit, int):
        return str(CUT_AT % {"limit": limit})
    return str(CUTS.get(meaning, ""))


def roughly(number: float) -> str:
    """52.4 → '52', 3.27 → '3.3', 0.042 → '0.04': as exactly as one can compare at a glance."""
    decimals = 0 if number >= 9.95 else 1 if number >= 0.095 else 2
    rounded = Decimal(number).quantize(Decimal(10) ** -decimals)  # the other function would cut it off
    return number_format(rounded, decimals, use_l10n=True, force_grouping=True)


def money_in_words(amount: Decimal | None, currency: str) -> str:
    """0.0073, "USD" → “$0.0073”: two decimals, below a tenth two digits that say something; '' for what is unknown.

    static/chat/js/figures.js does the same; tests/js/receipt_cases.json holds both to the same cases.
    """
    if amount is None:
        return ""
    decimals = max(2, 1 - amount.adjusted()) if amount else 0
    rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    number = number_format(rounded, decimals, use_l10n=True, force_grouping=True)
    return f"${number}" if currency == "USD" else f"{number} {currency}"
