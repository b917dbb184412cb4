"""The token count of a prompt while it is written, for the meter beside the model."""

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
"""The number of texts that are counted at the same time. Further requests get 503: the page asks again at the next
pause, and running answers have priority for the processor."""


@require_POST
@login_required
def count_tokens(request: HttpRequest) -> HttpResponse:
    """Count the tokens of `text` in `conversation` ('' = a new one) with `model`, after the answer `message`.

    '' means the same as `send` without the field. Responds with 204 if the model or the conversation was deleted, 404
    if it is unknown or another user's, 413 if the text is too long to send, 503 if COUNTERS others are running.
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
    """Parse an id; '' and None give None. Raises Http404."""
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise Http404 from None


def shown(found: Measure) -> dict[str, object]:
    """Return the figures and their texts: `words`, `used` for narrow pages, `percent` for the bar."""
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
    """Return “281 of 32k tokens”, or '' if there is nothing to count."""
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
    """Return the used share of the window in percent, from 0.1 so that the bar is visible to 100; None = unknown."""
    return min(100.0, max(0.1, round(100 * found.tokens / found.window, 1))) if found.window else None


def _used(found: Measure) -> str:
    number = grouped(found.tokens)
    return _("≈ %(number)s") % {"number": number} if found.is_estimated else number


def in_thousands(window: int) -> str:
    """Format 8192 as '8k', 128000 and 131072 as '128k', 1047576 as '1M'. Sizes are never rounded up."""
    unit = 1024 if window % 1024 == 0 and window % 1000 else 1000
    if window >= unit * unit:
        tenths = window * 10 // (unit * unit)
        return _("%(number)sM") % {"number": grouped(Decimal(tenths) / 10, 1 if tenths % 10 else 0)}
    return _("%(number)sk") % {"number": grouped(window // unit)} if window >= unit else grouped(window)
