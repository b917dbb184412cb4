"""The chat page, for a new conversation or one of the user's own."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from chat.limits import TEXT_BYTES
from chat.models import Conversation, LanguageModel, told_apart
from chat.portal import model_stats_of
from chat.protocol import SOCKET_PATH
from chat.texts.model_stats import stats_in_words
from chat.texts.page import page_strings
from chat.views.conversations import create, page_of
from chat.views.modules import scripts
from chat.views.policy import portal_page
from chat.views.transcript import ShownBranch, message_templates, shown_branch


class Choice(NamedTuple):
    """A model in the picker, with its label and a note on its statistics."""

    model: LanguageModel
    label: str
    note: str


def home(request: HttpRequest) -> HttpResponse:
    """Redirect `/` to a new conversation."""
    return redirect("conversation-new")


def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect to the icon. Browsers request it for pages that name no icon, such as the admin's."""
    return redirect(static("chat/icon.svg"))


@require_http_methods(["GET", "HEAD", "POST"])
@portal_page
@login_required
def new_conversation(request: HttpRequest) -> HttpResponse:
    """Show an empty page for the first prompt. POST creates a conversation before that."""
    return create(request) if request.method == "POST" else _chat_page(request, None)


@portal_page
# guard: a page needs a login
@login_required
def conversation_detail(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Show one of the user's own conversations. Responds with 404 for any other id.

    `?message=` selects the branch of that message; the default is the branch of the newest one.
    """
    conversation = get_object_or_404(
        # guard: a page is seen by its owner
        Conversation.objects.visible_to(request.user).select_related("model"),
        pk=conversation_id,
    )
    return _chat_page(request, conversation)


def _chat_page(request: HttpRequest, conversation: Conversation | None) -> HttpResponse:
    models = list(LanguageModel.objects.usable_by(cast(int, request.user.pk)))
    chosen = _chosen(models, conversation)
    stats = model_stats_of(request)
    listed = page_of(request.user)
    labels = {model.pk: label for model, label in zip(models, told_apart(models), strict=True)}
    branch = shown_branch(conversation, request.GET.get("message", ""), labels) if conversation else ShownBranch()
    context: dict[str, Any] = {
        "conversation": conversation,
        "conversations": listed.conversations,
        "more": listed.more,
        "shown_messages": branch.messages,
        "message_templates": message_templates(),
        "models": [Choice(model, labels[model.pk], stats_in_words(stats.of(model))) for model in models],
        "chosen": chosen,
        "has_local_model": any(model.provider.kind == "local" for model in models),
        "scripts": scripts(),
        "strings": page_strings(),
        "page": {
            "user": request.user.pk,
            "conversation": str(conversation.pk) if conversation else None,
            "message": branch.chosen,
            "is_newest": branch.is_newest,
            "updated_at": conversation.updated_at.isoformat() if conversation else None,
            "socket": SOCKET_PATH,
            "login": reverse("login"),
            "chat": reverse("conversation-new"),
            "tokens": reverse("count-tokens"),
            "text_bytes": TEXT_BYTES,
        },
    }
    return render(request, "chat/page.html", context)


def _chosen(models: list[LanguageModel], conversation: Conversation | None) -> LanguageModel | None:
    """Return the conversation's model if the user may use it, or else the portal's first one."""
    for model in models:
        if conversation is not None and model.pk == conversation.model_id:
            return model
    return models[0] if models else None
