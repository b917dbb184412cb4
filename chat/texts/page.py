"""The texts that the page's script shows, translated here: JavaScript holds none of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.finish_reasons import SPELLINGS
from chat.models import UsageRecord
from chat.texts.errors import sentence
from chat.texts.finish_reasons import ENDS_WITHOUT_REASON, FINISH_REASONS, OTHER_REASON

# CLDR's plural categories, each with a number that falls into it in every language that has it.
_CATEGORIES = {"one": 1, "two": 2, "few": 3, "many": 5, "other": 10}


def page_strings() -> dict[str, Any]:
    """Name → text, or → {plural category: text}; `%(name)s` is filled in by strings.js."""
    return {
        "numbers": {"decimal": get_format("DECIMAL_SEPARATOR"), "group": get_format("THOUSAND_SEPARATOR")},
        "you": _("You"),
        "answer": _("Answer"),
        "seconds": _("%(number)s s"),
        "milliseconds": _("%(number)s ms"),
        "estimate": _("≈ %(number)s"),
        "tokens": _("%(prompt)s in, %(completion)s out"),
        "sources": {str(value): str(label) for value, label in UsageRecord.UsageSource.choices},
        "estimated": _("estimated"),
        "finish": {word: str(FINISH_REASONS[meaning]) for meaning, words in SPELLINGS.items() for word in words},
        "finish_without_reason": {state: str(text) for state, text in ENDS_WITHOUT_REASON.items()},
        "finish_other": str(OTHER_REASON),
        "phase_queued": _("Queued"),
        "phase_queued_at": _("Queued at position %(position)s"),
        "phase_queued_wait": _("Queued at position %(position)s (about %(wait)s),"),
        "phase_connecting": _("Connecting"),
        "phase_waiting": _("Waiting"),
        "phase_writing": _("Writing"),
        "phase_retrying": _("Trying again, attempt %(attempt)s"),
        "phase_retrying_in": _("Attempt %(attempt)s in"),
        "phase_stopping": _("Stopping"),
        "left_out": _forms(
            lambda n: ngettext(
                "%(turns)d earlier turn was left out: it doesn't fit into the model's context window.",
                "%(turns)d earlier turns were left out: they don't fit into the model's context window.",
                n,
            )
        ),
        "not_sent_yet": _("Not sent yet, trying again."),
        "unsent_at_logout": _("A prompt has not been sent yet. Log out anyway and discard it?"),
        "too_long": _("This text has %(size)s KiB; at most %(limit)s KiB can be sent at once."),
        "near_limit": _("%(size)s of the %(limit)s KiB that can be sent at once"),
        "wait_for_first": _("The first prompt of this conversation is still being sent. Send the next one after it."),
        "queue": _("Queue"),
        "send": _("Send"),
        "model_gone": _("%(model)s isn't available any more. %(chosen)s is selected now."),
        "option_saved": _("Saved"),
        "option_away": _("No connection to the portal. This is kept here, and saved when it is back."),
        "option_no_number": _("Write a number, or leave it empty."),
        "option_refused": _("This can't be saved."),
        "options_unread": _("The options can't be loaded right now. Trying again."),
        "no_connection": _("No connection to the portal. Trying again; running answers go on meanwhile."),
        "restarting": sentence("restarting"),
        "log_in": sentence("log_in"),
        "forbidden": sentence("forbidden"),
        "too_fast": sentence("too_fast"),
        "too_many_sockets": sentence("too_many_sockets"),
        "announce_finished": _("Answer finished."),
        "announce_finished_tokens": _forms(
            lambda n: ngettext("Answer finished, %(tokens)s token.", "Answer finished, %(tokens)s tokens.", n)
        ),
        "announce_code": _("Code."),
        "announce_copied": _("Copied."),
        "announce_not_copied": _("The browser could not copy it. Select the text and copy it yourself."),
        "copy": _("Copy"),
        "copied": _("Copied"),
        "not_copied": _("Not copied"),
        "announce_ended": _("The answer ended: %(reason)s"),
        "image_not_loaded": _("Image from %(host)s, not loaded"),
        "table": _("Table"),
        "version_of": _("Version %(place)s of %(total)s"),
        "new_conversation": _("New conversation"),
        "more_of": _("More: %(title)s"),
        "entry_queued": _("Queued"),
        "entry_writing": _("Writing"),
        "entry_ready": _("Answer ready"),
        "entry_failed": _("Failed"),
        "group_pinned": _("Pinned"),
        "group_today": _("Today"),
        "group_yesterday": _("Yesterday"),
        "group_week": _("Previous 7 days"),
        "list_loading": _("Loading…"),
        "list_failed": _("This can't be loaded just now. Try again"),
        "title_empty": _("Write a title, or press Escape to keep the old one."),
        "deleted": _("Deleted: %(title)s"),
        "undo_of": _("Undo: %(title)s"),
        "undo_too_late": _("It is too late to undo this."),
        "request_no_connection": _("No connection to the portal. Try again."),
        "request_failed": _("That didn't work. Reload the page."),
    }


def _forms(text: Callable[[int], str]) -> dict[str, str]:
    return {category: text(number) for category, number in _CATEGORIES.items()}
