"""How much of the context window a prompt takes while it is being written: for the meter beside the model."""

from __future__ import annotations

import threading
import uuid
from decimal import Decimal

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from chat.codes import Code
from chat.context_usage import Measure, measure
from chat.generation.accept import Refusal
from chat.limits import TEXT_BYTES
from chat.views.receipt import grouped

COUNTERS = 2
free_counters = threading.BoundedSemaphore(COUNTERS)
"""So many texts are counted at once. Who comes in between is sent away: the next pause asks again, and answers that are
being written need the processor more."""


@require_POST
@login_required
def count_tokens(request: HttpRequest) -> HttpResponse:
    """What `text` would take in `conversation` ('' = a new one), asked of `model` and after the answer `message`.

    '' = as `send` without the field. 204 when the model or the conversation is there no more, 404 for what never was or
    is another's, 413 for a text that couldn't be sent, 503 in a crowd.
    """
    fields = request.POST
    text = fields.get("text", "")
    if len(text) > TEXT_BYTES or len(text.encode(errors="replace")) > TEXT_BYTES:
        return HttpResponse(status=413)
    conversation, parent = _id(fields.get("conversation")), _id(fields.get("message"))
    if not free_counters.acquire(blocking=False):
        return HttpResponse(status=503)
    try:
        found = measure(int(request.user.pk or 0), text, fields.get("model") or None, conversation, parent)
    except Refusal as refusal:
        if refusal.code == Code.NOT_FOUND:
            raise Http404 from None
        found = None
    finally:
        free_counters.release()
    return JsonResponse(shown(found)) if found else HttpResponse(status=204)


def _id(text: str | None) -> uuid.UUID | None:
    """Raises Http404 for what cannot be an id."""
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise Http404 from None


def shown(found: Measure) -> dict[str, object]:
    """The figures, and what the page shows of them: `words`, `used` where there is less room, `percent` for the bar."""
    return {
        "tokens": found.tokens,
        "context": found.context,
        "window": found.window,
        "words": _words(found),
        "used": _used(found),
        "percent": _percent(found),
        "near": found.is_near,
        "over": found.is_over,
        "left_out": found.left_out,
    }


def _words(found: Measure) -> str:
    """“281 of 32k tokens”; '' while there is nothing to count."""
    if not found.tokens and not found.left_out:
        return ""
    if found.window is None:
        return ngettext("%(used)s token", "%(used)s tokens", found.tokens) % {"used": _used(found)}
    words = _("%(used)s of %(window)s tokens") % {"used": _used(found), "window": in_thousands(found.window)}
    if not found.left_out:
        return words
    turns = ngettext("%(turns)d turn left out", "%(turns)d turns left out", found.left_out)
    return f"{words}, {turns % {'turns': found.left_out}}"


def _percent(found: Measure) -> float | None:
    """Of the window, from 0.1 to 100, so that there is something to see; None when it is unknown."""
    return min(100.0, max(0.1, round(100 * found.tokens / found.window, 1))) if found.window else None


def _used(found: Measure) -> str:
    number = grouped(found.tokens)
    return _("≈ %(number)s") % {"number": number} if found.is_estimated else number


def in_thousands(window: int) -> str:
    """8192 → '8k', 128000 and 131072 → '128k', 1047576 → '1M': as such sizes are called, and never more than it is."""
    unit = 1024 if window % 1024 == 0 and window % 1000 else 1000
    if window >= unit * unit:
        tenths = window * 10 // (unit * unit)
        return _("%(number)sM") % {"number": grouped(Decimal(tenths) / 10, 1 if tenths % 10 else 0)}
    return _("%(number)sk") % {"number": grouped(window // unit)} if window >= unit else grouped(window)
