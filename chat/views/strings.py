"""The texts that the page's script shows, translated here: JavaScript holds none of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.messages import ENDS_WITHOUT_REASON, FINISH_REASONS, OTHER_REASON, sentence
from chat.models import UsageRecord

# CLDR's plural categories, each with a number that falls into it in every language that has it.
_CATEGORIES = {"one": 1, "two": 2, "few": 3, "many": 5, "other": 10}


def page_strings() -> dict[str, Any]:
    """Name → text, or → {plural category: text}; `%(name)s` is filled in by strings.js."""
    return {
        "numbers": {"decimal": get_format("DECIMAL_SEPARATOR"), "group": get_format("THOUSAND_SEPARATOR")},
        "you": _("You"),
        "answer": _("Answer"),
        "seconds": _("%(number)s s"),
        "tokens": _("%(prompt)s in, %(completion)s out"),
        "sources": {str(value): str(label) for value, label in UsageRecord.Source.choices},
        "finish": {reason: str(text) for reason, text in FINISH_REASONS.items()},
        "finish_without_reason": {state: str(text) for state, text in ENDS_WITHOUT_REASON.items()},
        "finish_other": str(OTHER_REASON),
        "phase_queued": _("Queued"),
        "phase_queued_at": _("Queued at place %(position)s"),
        "phase_connecting": _("Connecting"),
        "phase_waiting": _("Waiting"),
        "phase_writing": _("Writing"),
        "phase_retrying": _("Trying again, attempt %(attempt)s"),
        "phase_retrying_in": _("Attempt %(attempt)s in %(wait)s"),
        "phase_stopping": _("Stopping"),
        "stopped": _("You stopped this answer."),
        "interrupted": sentence("server_restarted"),
        "left_out": _forms(
            lambda n: ngettext(
                "%(turns)d earlier turn was left out: it doesn't fit into the model's context window.",
                "%(turns)d earlier turns were left out: they don't fit into the model's context window.",
                n,
            )
        ),
        "not_sent_yet": _("Not sent yet, trying again."),
        "too_long": _("This text has %(size)s KiB; at most %(limit)s KiB can be sent at once."),
        "wait_for_answer": _("Let the answer finish, or stop it, before you send the next prompt."),
        "no_connection": _("No connection to the portal. Trying again; running answers go on meanwhile."),
        "restarting": sentence("restarting"),
        "log_in": sentence("log_in"),
        "forbidden": sentence("forbidden"),
        "too_fast": sentence("too_fast"),
        "too_many_sockets": sentence("too_many_sockets"),
        "announce_finished": _("Answer finished: %(tokens)s."),
        "announce_ended": _("The answer ended: %(reason)s"),
        "image_not_loaded": _("Image from %(host)s, not loaded"),
        "table": _("Table"),
        "new_conversation": _("New conversation"),
    }


def _forms(text: Callable[[int], str]) -> dict[str, str]:
    return {category: text(number) for category, number in _CATEGORIES.items()}
