"""Codes → the sentences a person reads, in the reader's language. The database and the wire keep code and parameters.

Knows no model, no socket and no page. Parameters that sentences use:

    reason       upstream's own text, redacted
    retry_after  how many seconds to wait; broken ones are rounded up
    limit        the limit that was reached
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

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
    "queue_timeout": _("This prompt waited too long in the queue. Try again."),
    "internal": _("Something went wrong in the portal. What came is kept."),
    # Why a prompt is not taken
    "empty": _("There is nothing to send yet."),
    "too_long": _("This text is too long: at most 256 KiB can be sent at once."),
    "not_found": _("That conversation or message isn't there any more."),
    "unknown_model": _("This model isn't available any more. Choose another."),
    "no_model": _("No model is set up yet. Please tell your admin."),
    "limit_user": _("Too many of your prompts are waiting. Wait until one of them is finished."),
    "rate_limited": _("You sent many prompts in a short time. Try again in a moment."),
    "budget": _("Your budget is used up. Please tell your admin."),
    "idempotency_mismatch": _("This was sent before with another text. Send it again."),
    "busy_try_again": _("The portal is busy. Try again in a moment."),
    "storage_full": _("The portal can't save anything right now. Please tell your admin."),
    "server_restarting": _("The portal is restarting. Your prompt is sent when it is back."),
    # What a command was answered with
    "invalid_json": _("The portal couldn't read what the page sent. Reload the page."),
    "invalid_command": _("The portal didn't understand what the page sent. Reload the page."),
    "too_large": _("That was too much at once."),
    # Why a socket is closed
    "log_in": _("Your session has ended. Please log in again."),
    "forbidden": _("You may not use this portal."),
    "too_fast": _("This page sent too many requests in a short time. It continues in half a minute."),
    "restarting": _("The portal is restarting and will be back in a moment."),
    "too_slow": _("This page couldn't keep up with what arrived. It is connecting again."),
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
            "You sent many prompts in a short time. Try again in %(retry_after)d second.",
            "You sent many prompts in a short time. Try again in %(retry_after)d seconds.",
            "retry_after",
        ),
    ),
    "answer_too_long": ("limit", _("Stopped at the limit of %(limit)s. What came is kept.")),
    "too_long": ("limit", _("This answer has reached the greatest length allowed: %(limit)s.")),
    "limit_user": (
        "limit",
        ngettext_lazy(
            "%(limit)d of your prompts is being answered already. Wait until it is finished.",
            "%(limit)d of your prompts are being answered already. Wait until one of them is finished.",
            "limit",
        ),
    ),
}

UNKNOWN_CODE = _("Something went wrong (%(code)s).")


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
