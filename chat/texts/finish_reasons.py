"""How an answer ended, in the words that stand on its receipt and below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from chat.finish_reasons import meaning_of
from chat.texts.errors import sentence

# By what upstream means by its finish_reason.
FINISH_REASONS: Mapping[str, Any] = {
    "stop": _("finished"),
    "length": _("cut at the length limit"),
    "window": _("cut, the context window is full"),
    "content_filter": _("cut by the provider's content filter"),
    "tool_calls": _("ended by asking for a tool"),
    "capacity": _("cut for lack of capacity"),
    "abort": _("ended early by the model server"),
    "error": _("failed"),
}

# What stands below an answer that is complete and yet not whole.
CUTS: Mapping[str, Any] = {
    "length": _("Cut at the length limit."),
    "window": _("Cut: the model's context window is full."),
    "content_filter": _("The provider's content filter cut this answer."),
    "capacity": _("Cut: the model server lacked capacity."),
    "abort": _("The model server ended this answer early."),
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
