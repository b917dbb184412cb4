"""The page on which an admin chooses which of a provider's listed models to offer, and to which groups."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from chat.admin.prices import price_in_words
from chat.models import CredentialsUnreadable, LanguageModel, Provider, User
from chat.providers import ListedModel, ProviderError, list_models
from chat.texts.diagnosis import what_failed

SECONDS = 10.0


class Offer(forms.Form):
    """The groups for newly offered models. The field `offer` holds the names of the chosen models."""

    groups = forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"),
        required=False,
        label=gettext_lazy("Only for groups"),
        widget=forms.CheckboxSelectMultiple,
    )


@dataclass(frozen=True)
class Choice:
    """A listed model, with whether it is offered already."""

    model: ListedModel
    is_offered: bool

    @property
    def window(self) -> str:
        """The context window in tokens, formatted."""
        window = self.model.context_window
        return "–" if window is None else number_format(window, force_grouping=True)

    @property
    def price(self) -> str:
        """The prices per million tokens in and out, such as “$0.15 · $0.60”."""
        return price_in_words(self.model.rate)


def may_choose_models(user: User | AnonymousUser) -> bool:
    """Return whether the user may add and remove models of a provider."""
    return user.has_perms(("chat.change_provider", "chat.add_languagemodel", "chat.change_languagemodel"))


def choose_models(request: HttpRequest, providers: admin.ModelAdmin, provider_id: int) -> HttpResponse:
    """Show the server's models and store the choice. Offered models that are not listed any more are kept."""
    if not may_choose_models(request.user):
        raise PermissionDenied
    provider = get_object_or_404(Provider, pk=provider_id)
    try:
        listed = asyncio.run(list_models(provider.endpoint(), SECONDS))
        failure = "" if listed else _("The server lists no models. Add them by hand, with the names that it uses.")
    except ProviderError as error:
        listed, failure = [], what_failed(error.code, error.reason)
    except CredentialsUnreadable:
        listed, failure = [], _("The stored key can’t be decrypted any more. Enter it again.")
    form = Offer(request.POST or None)
    offered = set(provider.models.filter(enabled=True).values_list("name", flat=True))
    if request.method == "POST":
        offered = set(request.POST.getlist("offer"))
    if request.method == "POST" and not failure and form.is_valid():
        count = _store(provider, listed, offered, list(form.cleaned_data["groups"]))
        changed = {"fields": [str(LanguageModel._meta.verbose_name_plural)]}
        providers.log_change(request, provider, [{"changed": changed}])
        said = ngettext("%(count)d model is offered.", "%(count)d models are offered.", count) % {"count": count}
        messages.success(request, said)
        return redirect("admin:chat_provider_change", provider.pk)
    choices = [Choice(model, model.name in offered) for model in listed]
    context: dict[str, Any] = {
        **providers.admin_site.each_context(request),
        "title": _("Models of %(provider)s") % {"provider": provider},
        "opts": Provider._meta,
        "original": provider,
        "provider": provider,
        "failure": failure,
        "form": form,
        "can_chat": [choice for choice in choices if choice.model.can_chat],
        "others": [choice for choice in choices if not choice.model.can_chat],
        "has_prices": any(model.rate is not None for model in listed),
    }
    return TemplateResponse(request, "admin/chat/provider/models.html", context)


@transaction.atomic
def _store(provider: Provider, listed: list[ListedModel], offered: set[str], groups: list[Group]) -> int:
    """Offer these listed models and no others. Return their number. Known models keep the admin's settings."""
    known = {model.name: model for model in provider.models.all()}
    position = LanguageModel.objects.aggregate(last=Max("position"))["last"] or 0
    for model in listed:
        if model.name in known:
            row = known[model.name]
            provider.models.filter(pk=row.pk).update(enabled=model.name in offered)
        elif model.name in offered:
            position = max(position + 1, 100)
            row = provider.models.create(name=model.name, context_window=model.context_window, position=position)
            row.groups.set(groups)
        if model.name in offered and model.rate is not None and not row.prices.exists():
            row.prices.create(**asdict(model.rate))
    return provider.models.filter(enabled=True).count()
