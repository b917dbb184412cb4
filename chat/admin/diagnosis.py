"""The page that examines a provider, and the card of findings on the provider's own page.

A diagnosis runs as long as its request: leaving the page ends it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from chat.diagnosis import CHECKS, Finding, estimate
from chat.diagnosis import runs as examination
from chat.models import CredentialsUnreadable, Price, Provider
from chat.pricing import Rate
from chat.texts.diagnosis import Card, card_of, line_of
from chat.texts.figures import money_in_words

LINES = "application/x-ndjson"
"""The content type for the page's script: one JSON object per line, first the findings, then the card."""

PAGE, CARD, FINDING = (f"admin/chat/provider/{name}.html" for name in ("examine", "_card", "_finding"))

REFUSALS = (examination.UnderWay, examination.Moved, CredentialsUnreadable)


class ExaminedAdmin(admin.ModelAdmin):
    """The admin of providers, with their diagnosis."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/examine/", wrap(self.examine_view), name="chat_provider_examine"),
            path("<int:pk>/examine/use/", wrap(require_POST(self.use_view)), name="chat_provider_use_findings"),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        provider = context.get("original")
        if isinstance(provider, Provider):
            context |= {"card": card(provider), "may_examine": self.has_change_permission(request, provider)}
        return super().render_change_form(request, context, *args, **kwargs)

    def examine_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Show what a diagnosis costs. POST runs it."""
        provider = self._provider(request, pk)
        models = dict(provider.models.order_by("position", "id").values_list("name", "pk"))
        rates = Price.objects.rates(models.values())
        prices = {name: _at_most(rates.get(pk)) for name, pk in models.items()}
        model = request.POST.get("model", next(iter(models), "")).strip()[:200]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": provider,
            "title": _("Examine %s") % provider.name,
            "cost": estimate(),
            "prices": prices.items(),
            "at_most": prices.get(model, ""),
            "model": model,
            "checks": len(CHECKS),
        }
        if request.method == "POST" and model:
            # Both are streamed, because a view that waits in a thread would delay the portal's shutdown.
            if request.headers.get("Accept") == LINES:
                return _streamed(_lines(request, provider, model, get_language()), LINES)
            pieces = _page(request, provider, model, context, get_language())
            return _streamed(pieces, "text/html; charset=utf-8")
        return render(request, PAGE, context | {"card": card(provider)})

    def use_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Apply the settings that the findings suggest."""
        provider = self._provider(request, pk)
        used = examination.use(provider, with_model=request.user.has_perm("chat.change_languagemodel"))
        if used:
            self.log_change(request, provider, [{"changed": {"fields": sorted(used)}}])
            messages.success(request, _("These settings are in use from now on."))
        return redirect("admin:chat_provider_change", pk)

    def _provider(self, request: HttpRequest, pk: int) -> Provider:
        """Return the provider. Raises PermissionDenied unless the user may see it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        provider: Provider = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        return provider


def _at_most(rate: Rate | None) -> str:
    """Return the most that a diagnosis costs, or '' without a price."""
    return money_in_words(estimate(rate).money, rate.currency) if rate else ""


def card(provider: Provider) -> Card | None:
    """Return the card of the last diagnosis, or None."""
    if provider.examined_at is None:
        return None
    findings = examination.findings_of(provider)
    model = examination.model_of(findings)
    suggested, present = examination.suggested_settings(provider), examination.present_settings(provider, model)
    return card_of(findings, provider.examined_at, model, suggested, present)


def _streamed(pieces: AsyncGenerator[bytes, None], content_type: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces, content_type=content_type, headers={"X-Accel-Buffering": "no"})


async def _page(
    request: HttpRequest, provider: Provider, model: str, context: dict[str, Any], language: str | None
) -> AsyncGenerator[bytes, None]:
    """Run the diagnosis for a browser without scripts: yield the whole page at its end."""
    refusal = ""
    try:
        async with aclosing(_findings(request, provider, model)) as findings:
            async for _finding in findings:
                pass
    except REFUSALS as error:
        refusal = _refusal(error)
    yield (await _rendered(request, language, PAGE, {**context, "refusal": refusal}, provider)).encode()


async def _lines(
    request: HttpRequest, provider: Provider, model: str, language: str | None
) -> AsyncGenerator[bytes, None]:
    """Run the diagnosis for the page's script: `finding` and `card` are HTML, `refusal` is a sentence."""
    try:
        async with aclosing(_findings(request, provider, model)) as findings:
            async for finding in findings:
                yield _line(finding=await _rendered(request, language, FINDING, {"finding": finding}))
        context = {"original": provider, "may_use": True}
        yield _line(card=await _rendered(request, language, CARD, context, provider))
    except REFUSALS as error:
        yield _line(refusal=_refusal(error))


def _findings(request: HttpRequest, provider: Provider, model: str) -> AsyncGenerator[Finding, None]:
    user: Any = request.user
    return examination.examine(provider, model, user)


@sync_to_async
def _rendered(
    request: HttpRequest,
    language: str | None,
    template: str,
    context: dict[str, Any],
    provider: Provider | None = None,
) -> str:
    """Render a template in the reader's language, with the texts for findings and the provider's card."""
    with override(language):
        if "finding" in context:
            context = {"line": line_of(context["finding"])}
        if provider is not None:
            context = {**context, "card": card(provider)}
        return render_to_string(template, context, request)


def _line(**value: str) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _refusal(error: Exception) -> str:
    if isinstance(error, CredentialsUnreadable):
        return str(_("The stored key can’t be read with PORTAL_KEYRING: enter it again."))
    if isinstance(error, examination.Moved):
        return str(_("The address was changed meanwhile. The findings are about another server and are not kept."))
    return str(_("This provider is being examined already. Wait for the end, and load this page again."))
