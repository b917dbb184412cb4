"""The endpoints that the page's script uses to list, create, change, delete and restore conversations."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chat.conversations import Conversations, NotFound
from chat.forms import DetailsForm, details
from chat.models import Conversation
from chat.portal import portal_of
from chat.views.policy import portal_page

PAGE = 50
"""The number of conversations per page of the list."""


@dataclass(frozen=True)
class Page:
    """A page of the list, and the address of the next page ('' = this is the last one)."""

    conversations: list[Conversation]
    more: str


def page_of(user: AbstractBaseUser | AnonymousUser, after: str = "") -> Page:
    """Return the user's conversations that follow the place `after`, a parameter of `Page.more`.

    Raises Http404 if `after` is not valid.
    """
    listed = Conversation.objects.visible_to(user).listed()
    if after:
        listed = listed.filter(_below(after))
    found = list(listed[: PAGE + 1])
    if len(found) <= PAGE:
        return Page(found, "")
    last = found[PAGE - 1]
    place = f"{int(last.pinned)}_{last.updated_at.isoformat()}_{last.pk}"
    return Page(found[:PAGE], f"{reverse('conversation-list')}?{urlencode({'after': place})}")


def _below(place: str) -> Q:
    """Return the filter for what follows a place in the order of `listed`. Raises Http404."""
    try:
        pinned, moment, pk = place.split("_")
        updated_at, last = datetime.fromisoformat(moment).astimezone(UTC), uuid.UUID(pk)
        if pinned not in ("0", "1"):
            raise ValueError(place)
    except (ValueError, OverflowError):  # OverflowError: the time zone moves the date out of range
        raise Http404 from None
    same = Q(pinned=pinned == "1") & (Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, pk__lt=last))
    return same | Q(pinned=False) if pinned == "1" else same


@require_GET
@portal_page
@login_required
def conversation_list(request: HttpRequest) -> HttpResponse:
    """Return one page of the list as HTML for the sidebar."""
    page = page_of(request.user, request.GET.get("after", ""))
    return render(request, "chat/_entries.html", {"conversations": page.conversations, "more": page.more})


def create(request: HttpRequest) -> HttpResponse:
    """Create an empty conversation. Responds with 201, its id and its address."""
    made = async_to_sync(_conversations(request).create)(_user_id(request))
    address = reverse("conversation-detail", args=[made])
    return JsonResponse({"id": str(made), "address": address}, status=201)


def _or_404(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(*args, **kwargs)
        except NotFound:
            raise Http404 from None

    return guarded


@require_http_methods(["GET", "POST"])
@login_required
@_or_404
def conversation_details(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Return the title, options and other details. POST changes the given fields, or responds with errors (400)."""
    if request.method == "GET":
        return JsonResponse(
            # guard: details are read by their owner
            details(get_object_or_404(Conversation.objects.visible_to(request.user), pk=conversation_id))
        )
    form = DetailsForm(request.POST)
    if not form.is_valid():
        errors = {name: str(messages[0]) for name, messages in form.errors.items()}
        return JsonResponse({"errors": errors}, status=400)
    change = async_to_sync(_conversations(request).change)
    return JsonResponse(details(change(_user_id(request), conversation_id, form.changes())))


@require_POST
@login_required
@_or_404
def conversation_delete(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Delete a conversation. It can be restored for a short time."""
    async_to_sync(_conversations(request).delete)(_user_id(request), conversation_id)
    return HttpResponse(status=204)


@require_POST
@login_required
@_or_404
def conversation_restore(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Restore a deleted conversation. Responds with 404 if it was purged."""
    async_to_sync(_conversations(request).restore)(_user_id(request), conversation_id)
    return HttpResponse(status=204)


def _user_id(request: HttpRequest) -> int:
    """Return the id of the logged-in user. Requires `login_required`."""
    return int(request.user.pk or 0)


def _conversations(request: HttpRequest) -> Conversations:
    """Return the portal's Conversations. Raises RuntimeError under a server that runs no portal."""
    portal = portal_of(request)
    if portal is None:
        raise RuntimeError("this server runs no portal: start it with manage.py serve")
    return portal.conversations
