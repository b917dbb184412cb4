"""Findings of a diagnosis, in the sentences that an admin reads: what they mean, and what to do about them.

Made from the kept findings when they are shown, in the reader's language. Knows no page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Model
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.diagnosis import RESULTS, Finding
from chat.models import LanguageModel, Provider
from chat.texts.errors import sentence

Text = str | Promise

CHECKS: Mapping[str, Text] = {
    "address": _("Address"),
    "tls": _("Secure connection"),
    "auth": _("Key"),
    "models": _("List of models"),
    "whole_answer": _("Whole answer"),
    "streamed_answer": _("Streamed answer"),
    "time_saved": _("Time saved by streaming"),
    "really_streams": _("Piece by piece"),
    "include_usage": _("Usage while streaming"),
    "count": _("Count of tokens"),
    "stop": _("Texts to stop at"),
    "max_tokens": _("Longest answer"),
    "cancel": _("Stopping an answer"),
    "completions": _("Legacy endpoint"),
    "rate_limits": _("Rate limits"),
}

# A mark for the eye and a word for everybody.
MARKS: Mapping[str, tuple[str, Text]] = {
    "good": ("✓", _("good")),
    "odd": ("!", _("peculiar")),
    "bad": ("✗", _("bad")),
    "skipped": ("–", _("not checked")),
}

BECAUSE: Mapping[str, Text] = {
    "no_connection": _("There is no connection to try it with."),
    "key_refused": _("The key was refused."),
    "no_answer": _("There is no answer to judge by."),
    "no_stream": _("There is no streamed answer to judge by."),
    "no_usage": _("The server reported no numbers to compare with."),
    "unclear": _("The answer shows neither one nor the other."),
    "too_short": _("The answer was too short to tell."),
    "too_quick": _("The answer was over before it could be seen."),
    "unseen": _("It can’t be seen from here: this server doesn’t show what it works on."),
}

# (check, case) → what it means, with the finding's details as parameters.
MEANINGS: Mapping[tuple[str, str], Text] = {
    ("address", "found"): _("%(host)s is found: %(addresses)s."),
    ("tls", "certificate"): _("The certificate is valid."),
    ("tls", "private_http"): _("Plain http, within a private network."),
    ("tls", "plain_http"): _("Plain http to a public address: everybody on the way can read the key and every prompt."),
    ("auth", "accepted"): _("The key is accepted."),
    ("auth", "no_key"): _("No key is sent, and none is asked for."),
    ("models", "listed"): _("This model is in the list, one of %(count)s. Context window: %(window)s."),
    ("models", "not_listed"): _("This model is not among the %(count)s in the list."),
    ("models", "missing"): _("This model is not among the %(count)s in the list, and the server refuses it."),
    ("whole_answer", "came"): _("It came: “%(text)s”"),
    ("whole_answer", "silent"): _("No text came: the limit was reached before the first word."),
    ("whole_answer", "thinks"): _("It came, and begins with reasoning within the text: “%(text)s”"),
    ("streamed_answer", "came"): _("It came: “%(text)s”"),
    ("streamed_answer", "silent"): _("No text came: the limit was reached before the first word."),
    ("streamed_answer", "thinks"): _("It came, and begins with reasoning within the text: “%(text)s”"),
    ("streamed_answer", "whole"): _("A stream was asked for, and the whole answer came at its end: “%(text)s”"),
    ("streamed_answer", "warned"): _("It came, with something odd in it (%(warnings)s): “%(text)s”"),
    ("time_saved", "saved"): _(
        "The first words after %(first_seconds)s s, the whole answer after %(whole_seconds)s s: "
        "%(saved_seconds)s s less to wait (%(percent)s %%)."
    ),
    ("time_saved", "nothing"): _(
        "The first words after %(first_seconds)s s, the whole answer after %(whole_seconds)s s: nothing is gained."
    ),
    ("really_streams", "flows"): _(
        "%(deltas)s deltas came in %(pieces)s pieces, spread over %(spread_seconds)s of %(whole_seconds)s s."
    ),
    ("really_streams", "lumps"): _(
        "%(deltas)s deltas came in %(pieces)s batches within %(spread_seconds)s s, after a long wait."
    ),
    ("really_streams", "one_piece"): _("The stream came in one piece, after %(whole_seconds)s s."),
    ("include_usage", "came"): _("Usage is reported when asked for, %(where)s."),
    ("include_usage", "unasked"): _("Usage is reported without being asked for, %(where)s; asking for it is refused."),
    ("include_usage", "refused"): _("Asking for usage (stream_options) is refused, and none is reported."),
    ("include_usage", "never"): _("Asking for usage is accepted, but none is reported."),
    ("count", "agrees"): _(
        "The portal counts as the server does: prompt %(prompt_ours)s and %(prompt_theirs)s, "
        "answer %(completion_ours)s and %(completion_theirs)s tokens (ours and theirs, %(encoding)s)."
    ),
    ("count", "differs"): _(
        "The portal counts differently from the server: prompt %(prompt_ours)s and %(prompt_theirs)s, "
        "answer %(completion_ours)s and %(completion_theirs)s tokens (ours and theirs, %(encoding)s)."
    ),
    ("stop", "obeyed"): _("The answer ended before “%(stop)s”, which was not returned."),
    ("stop", "returned"): _("The answer ended at “%(stop)s”, but with that text."),
    ("stop", "ignored"): _("The answer went on after “%(stop)s”."),
    ("stop", "refused"): _("The field stop is refused for this model."),
    ("max_tokens", "obeyed"): _("%(field)s is obeyed: %(tokens)s tokens came, %(asked)s were allowed."),
    ("max_tokens", "renamed"): _("The limit is obeyed under the name %(field)s only."),
    ("max_tokens", "ignored"): _("The limit is ignored: %(tokens)s tokens came, %(asked)s were allowed."),
    ("max_tokens", "refused"): _("No limit is accepted for this model, under either of its names."),
    ("cancel", "ended"): _(
        "The server stopped working %(after_seconds)s s after we had left (seen in its /%(seen_by)s)."
    ),
    ("cancel", "runs_on"): _("The server worked on %(after_seconds)s s after we had left (seen in its /%(seen_by)s)."),
    ("completions", "exists"): _("It is there: base models can be asked, too."),
    ("completions", "absent"): _("It isn’t there for this model, and isn’t needed for chat."),
    ("completions", "in_use"): _("It is there: this provider is asked through it."),
    ("rate_limits", "told"): _("The server tells them: %(headers)s"),
    ("rate_limits", "silent"): _("The server tells of none."),
}

ADVICE: Mapping[tuple[str, str], Text] = {
    ("tls", "plain_http"): _("Use an address that begins with https."),
    ("models", "no_list"): _("Without a list, the names of models have to be entered by hand."),
    ("models", "not_listed"): _("It answers, so nothing is wrong; it may be another name of one of them."),
    ("models", "missing"): _("Take a name from the list."),
    ("whole_answer", "silent"): _("The model may reason without showing it: give its answers a higher limit."),
    ("whole_answer", "thinks"): _("Set “reasoning in the text”, so that it is folded away."),
    ("streamed_answer", "silent"): _("The model may reason without showing it: give its answers a higher limit."),
    ("streamed_answer", "thinks"): _("Set “reasoning in the text”, so that it is folded away."),
    ("streamed_answer", "whole"): _("Set “whole answers”: people wait for the end either way."),
    ("time_saved", "nothing"): _("Something on the way holds the answer back, or the answer was very short."),
    ("really_streams", "one_piece"): _(
        "Something on the way collects the answer: switch off the buffering of the proxy (nginx: proxy_buffering off)."
    ),
    ("really_streams", "lumps"): _("A proxy on the way may be buffering; with nginx: proxy_buffering off."),
    ("include_usage", "unasked"): _("Set “usage” to “never ask”."),
    ("include_usage", "refused"): _("Set “usage” to “never ask”; the portal counts by itself."),
    ("include_usage", "never"): _("The portal counts by itself, and says so on the receipts."),
    ("count", "differs"): _(
        "Where the server tells its numbers, these count. Choose the model’s encoding, if there is one; "
        "a chat template of the server’s own adds tokens to every prompt."
    ),
    ("stop", "returned"): _("The text is shown at the end of the answer."),
    ("stop", "ignored"): _("What people set to stop at has no effect with this model."),
    ("stop", "refused"): _("It is left out for this model; what people set to stop at has no effect."),
    ("max_tokens", "renamed"): _("Set “field for the answer’s limit”."),
    ("max_tokens", "ignored"): _("Answers end where the model ends them: mind the costs."),
    ("max_tokens", "refused"): _("It is left out for this model: answers end where the model ends them."),
    ("cancel", "runs_on"): _("An answer that somebody stops may be billed to its end."),
}

# What went wrong, said to the one who can mend it: what it means, and what to do.
CODES: Mapping[str, tuple[Text, Text]] = {
    "upstream_unreachable": (
        _("Nothing accepts the connection."),
        _("Is the server running? Compare the port, and look for a firewall in between."),
    ),
    "upstream_dns": (
        _("The name in the address is not found."),
        _("Compare the address with the provider’s documentation."),
    ),
    "upstream_tls": (
        _("The certificate can’t be trusted, or there is no TLS."),
        _("Expired, made by itself, or for another name? SSL_CERT_FILE names further authorities to be trusted."),
    ),
    "upstream_timeout": (
        _("Nothing came in time."),
        _("Try it again later. A slow model needs a higher limit to the first byte; a firewall may swallow all."),
    ),
    "upstream_stalled": (_("The answer stopped arriving."), _("Try it again later.")),
    "upstream_cut": (_("The connection broke off."), _("Try it again; a proxy on the way may cut long answers.")),
    "upstream_incomplete": (
        _("The answer ended without an end mark."),
        _("The server may have run out of memory, or a proxy on the way cuts answers."),
    ),
    "upstream_malformed": (_("The answer can’t be read."), _("Look at what stands between the portal and the server.")),
    "upstream_bad_response": (
        _("This address doesn’t answer like a model API."),
        _("Most addresses end in /v1; is a page for logging in, or another service, in the way?"),
    ),
    "upstream_redirect": (
        _("The server sends us elsewhere, and no key follows it there."),
        _("Enter the address that it leads to: https in the place of http, or another host."),
    ),
    "upstream_encoding": (_("The answer came compressed."), _("Switch off the compression of the proxy on the way.")),
    "upstream_auth": (_("The key was refused."), _("Enter it again; does it belong to this server and this account?")),
    "upstream_forbidden": (
        _("The key is known, but not allowed to do this."),
        _("Ask the provider what this key may be used for."),
    ),
    "upstream_not_found": (
        _("The server knows neither this model nor this endpoint."),
        _("Compare the model’s name with the list, and the address with the provider’s documentation."),
    ),
    "upstream_rejected": (_("The server refused the question."), _("What it says may tell which setting is needed.")),
    "context_too_long": (_("The server found the question too long."), _("Its context window is very small.")),
    "upstream_rate_limited": (_("Too many questions were asked there."), _("Examine again later.")),
    "upstream_quota": (_("The account there is used up."), _("Look at the account’s balance at the provider.")),
    "upstream_overloaded": (_("The server is overloaded."), _("Examine again later.")),
    "upstream_error": (_("The server had an error of its own."), _("Look into its log, or examine again later.")),
    "answer_empty": (_("An answer without any text."), _("Is this a model for chat?")),
    "answer_too_long": (_("The answer was too long."), ""),
}
SAYS = _("The server says: “%(reason)s”")

PLACES: Mapping[str, Text] = {
    "own_chunk": _("in a chunk of its own after the end"),
    "finish_chunk": _("with the end of the answer"),
    "every_chunk": _("with every piece of the answer"),
    "x_groq": _("in the field x_groq"),
    "choice": _("within the choice"),
}


@dataclass(frozen=True)
class Line:
    """One check on the card. `seconds` is written as it is read; '' for a check that took no time."""

    check: str
    label: str
    result: str
    mark: str
    word: str
    seconds: str
    meaning: str
    advice: str = ""


@dataclass(frozen=True)
class Change:
    """One setting: what it is called, how it is, and how it should be."""

    field: str
    label: str
    now: str
    then: str


@dataclass(frozen=True)
class Card:
    """All that was found, to be read. `counts`: how many of each result, in words."""

    examined_at: datetime
    model: str
    counts: str
    lines: list[Line] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def card_of(
    findings: Sequence[Finding],
    examined_at: datetime,
    model: str,
    suggested: Mapping[str, Any],
    present: Mapping[str, Any],
) -> Card:
    """The card of an examination, in the active language."""
    lines = [line_of(finding) for finding in findings]
    numbers = [(result, sum(line.result == result for line in lines)) for result in RESULTS]
    counts = ", ".join(f"{number} {MARKS[result][1]}" for result, number in numbers if number)
    return Card(examined_at, model, counts, lines, changes_of(suggested, present))


def line_of(finding: Finding) -> Line:
    """One finding. Never raises, whatever an older version has stored."""
    mark, word = MARKS.get(finding.result, ("?", finding.result))
    meaning, advice = _in_words(finding)
    return Line(
        check=finding.check,
        label=str(CHECKS.get(finding.check, finding.check)),
        result=finding.result,
        mark=mark,
        word=str(word),
        seconds=f"{_number(finding.seconds)} s" if finding.seconds >= 0.005 else "",
        meaning=meaning,
        advice=advice,
    )


def changes_of(suggested: Mapping[str, Any], present: Mapping[str, Any]) -> list[Change]:
    """The settings that should be different, by the names and values that the provider's page shows."""
    changes = []
    for name, value in suggested.items():
        owner: type[Model] = LanguageModel if name == "context_window" else Provider
        label = capfirst(str(owner._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
        changes.append(Change(name, label, _value(owner, name, present.get(name)), _value(owner, name, value)))
    return changes


def what_failed(code: str, reason: str = "") -> str:
    """A failure of a request to a provider, for somebody who can mend it: what it means, and what to do."""
    meaning, remedy = CODES.get(code) or (sentence(code), "")
    return " ".join(filter(None, (f"{meaning}{_said(reason)}", str(remedy))))


def _said(reason: object) -> str:
    return f" {SAYS % {'reason': reason}}" if reason else ""


def _in_words(finding: Finding) -> tuple[str, str]:
    """What it means, and what to do."""
    detail = finding.detail
    key = (finding.check, str(detail.get("case", "")))
    advice = str(ADVICE.get(key, ""))
    if "because" in detail:
        return str(BECAUSE.get(str(detail["because"]), "")), ""
    if "code" in detail:
        code, reason = str(detail["code"]), detail.get("reason")
        meaning, remedy = CODES.get(code) or (sentence(code), "")
        return f"{meaning}{_said(reason)}", advice or (str(remedy) if finding.result == "bad" else "")
    try:
        return str(MEANINGS.get(key, "")) % _parameters(detail), advice
    except (KeyError, TypeError, ValueError):
        return "", advice


def _parameters(detail: Mapping[str, Any]) -> dict[str, str]:
    """The details as texts; those of groups as `group_name`."""
    found: dict[str, str] = {}
    for name, value in detail.items():
        if isinstance(value, Mapping) and name == "headers":
            found[name] = ", ".join(f"{header}: {said}" for header, said in value.items())
        elif isinstance(value, Mapping):
            found |= {f"{name}_{inner}": text for inner, text in _parameters(value).items()}
        elif isinstance(value, list):
            found[name] = ", ".join(str(one) for one in value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = _number(value)
        else:
            found[name] = str(value)
    found["where"] = str(PLACES.get(str(detail.get("place")), ""))
    window = detail.get("context_window")
    found["window"] = gettext("%(count)s tokens") % {"count": _number(window)} if window else gettext("not told")
    return found


def _number(value: float) -> str:
    """Seconds with two decimals, counts with none."""
    places = 2 if isinstance(value, float) else 0
    return str(number_format(round(value, places), places, force_grouping=True))  # by itself it would cut


def _value(owner: type[Model], name: str, value: Any) -> str:
    if name == "refused_fields":
        pairs = [(one, model) for model, names in (value or {}).items() for one in names]
        return ", ".join(f"{one} ({model})" if model else one for one, model in pairs) or gettext("none")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if value is None:
        return gettext("unknown")
    choices: Any = owner._meta.get_field(name).flatchoices  # type: ignore[union-attr]
    return str(dict(choices).get(value, _number(value) if isinstance(value, int) else value))
