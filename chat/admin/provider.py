"""The admin of providers and their models. It never shows an API key: not in a form, a list or the history."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from chat.admin.diagnosis import ExaminedAdmin
from chat.admin.json_field import OVERRIDES
from chat.admin.model_stats import ModelStatsOfInline, OutageWarning, figure_columns, outage_column
from chat.admin.offered_models import choose_models, may_choose_models
from chat.admin.prices import PriceInline, price_column
from chat.environment_models import ENVIRONMENT
from chat.models import CredentialsUnreadable, LanguageModel, Provider
from chat.portal import model_stats_of
from chat.providers import PRESETS

ADDRESS_FIELDS = ["kind", "base_url", "token_url", "private_network", "auth"]
"""Fields for the address and content of requests. Only superusers may change them."""
SHOWN_OF = 16
"""The fewest characters of a key whose end is shown."""
DIALECT_FIELDS = ["dialect", "whole_answers", "think_tags", "continuation", "usage_mode", "max_tokens_field"]
EXTRA_FIELDS = ["extra_headers", "extra_query", "extra_body"]
LIMIT_FIELDS = [
    "connect_seconds",
    "first_byte_seconds",
    "idle_seconds",
    "total_seconds",
    "max_retries",
    "max_parallel",
]


class ProviderForm(forms.ModelForm):
    """The form of a provider, with optional fields for a new key."""

    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[(name, kind.label) for name, kind in PRESETS.items()],
        initial="openai_compatible",
        help_text=_("Fills in what is known about such a server."),
    )
    base_url = forms.CharField(
        label=_("Base URL"),
        required=False,
        max_length=500,
        widget=forms.TextInput({"class": "vTextField"}),
        help_text=_(
            "Mostly up to and including /v1, for example https://api.example.com/v1. An endpoint after it is cut off."
        ),
    )
    key_id = forms.CharField(
        label=_("Key id"),
        required=False,
        max_length=400,
        widget=forms.TextInput({"autocomplete": "off", "class": "vTextField"}),
        help_text=_("Only with a key id and secret. It is kept like a secret, and not shown again."),
    )
    api_key = forms.CharField(
        label=_("API key or secret"),
        required=False,
        strip=True,
        max_length=4000,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"}),
    )
    forget_key = forms.BooleanField(label=_("Delete the stored key"), required=False)
    send_again = forms.BooleanField(label=_("Send the refused fields again"), required=False)
    preset = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Provider
        fields = ["name", *ADDRESS_FIELDS, *DIALECT_FIELDS, *EXTRA_FIELDS, *LIMIT_FIELDS, "enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "extra_headers" not in self.fields:
            return  # the user has only the view permission
        is_set = bool(self.instance.ciphertext)
        self.fields["api_key"].help_text = (
            _("Leave this empty to keep what is stored.")
            if is_set
            else _("It is stored encrypted, and never shown again.")
        )
        if not is_set:
            del self.fields["forget_key"]
        if not self.instance.refused_fields:
            del self.fields["send_again"]
        if "kind" in self.fields:
            self._prepare(cast(forms.ChoiceField, self.fields["kind"]))
        for name in EXTRA_FIELDS:
            self.fields[name].help_text = _("Everybody with access to this page can read it: not the place for keys.")

    def _prepare(self, kind: forms.ChoiceField) -> None:
        """Set the choices of the field `kind`, and the presets for the page's script."""
        if self.instance.kind not in PRESETS:  # the kind of the built-in model's provider can't be changed
            kind.choices = [(self.instance.kind, self.instance.kind)]
        kind.widget.attrs["data-presets"] = json.dumps(_presets())
        if self.instance.pk is None:
            kind.widget.attrs["data-is-new"] = "1"

    def add_error(self, field: str | None, error: Any) -> None:
        """Show errors of fields that the user may not change above the form."""
        if not getattr(error, "error_dict", {}).keys() <= {NON_FIELD_ERRORS, *self.fields}:
            error = ValidationError(error.messages)
        super().add_error(field, error)

    def clean(self) -> dict[str, Any]:
        """Fill in the preset if the page's script did not, and require key id and secret together."""
        values: dict[str, Any] = super().clean() or {}
        kind = values.get("kind", "")
        if self.instance.pk is None and values.get("preset") != kind:
            usual, special = _presets()[""], _presets().get(kind, {})
            values |= {name: value for name, value in special.items() if values.get(name) == usual[name]}
        auth = values.get("auth", self.instance.auth)
        if auth == Provider.Auth.EVOLUTION and bool(values.get("key_id")) != bool(values.get("api_key")):
            self.add_error("api_key", _("Enter the key id and its secret together."))
        if self.errors and values.get("api_key"):
            self.add_error("api_key", _("Enter the key again: it is not kept while something else is wrong."))
        return values


def _presets() -> dict[str, dict[str, Any]]:
    """By kind: what its preset fills in; under '' what these fields hold otherwise."""
    by_kind = {kind: preset.filled_in for kind, preset in PRESETS.items()}
    blank = Provider()
    usual = {name: getattr(blank, name) for filled_in in by_kind.values() for name in filled_in}
    return {"": usual, **by_kind}


class LanguageModelInline(ModelStatsOfInline):
    """The models on a provider's page."""

    model = LanguageModel
    formfield_overrides = OVERRIDES
    extra = 0
    show_change_link = True  # to its prices
    fields = [
        ("name", "label"),
        ("context_window", "encoding"),
        "system_prompt",
        "default_options",
        ("position", "enabled"),
        "groups",
        ("first_token", "speed", "errors"),
    ]

    def get_extra(self, request: HttpRequest, obj: Provider | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1


@admin.register(Provider)
class ProviderAdmin(OutageWarning, ExaminedAdmin):
    """The providers with their addresses, settings and models."""

    class Media:
        js = [Script("chat/admin/provider.js", defer=True)]

    form = ProviderForm
    formfield_overrides = OVERRIDES
    inlines = [LanguageModelInline]
    list_filter = ["enabled", "kind"]
    search_fields = ["name", "base_url"]
    readonly_fields = ["api_key_state", "refused"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        outage = outage_column(model_stats_of(request), lambda provider: provider.pk)
        return ["name", "base_url", "kind", "api_key_state", "enabled", outage]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow superusers only, because an address can reach internal networks and receive keys."""
        return bool(request.user.is_superuser) and super().has_add_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else [*fields, *ADDRESS_FIELDS]

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        may_change = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        key = ["api_key_state"] if obj else []
        if may_change:
            key += ["token_url", "key_id", "api_key", *(["forget_key"] if obj and obj.ciphertext else []), "preset"]
        dialect = [*DIALECT_FIELDS]
        if obj and obj.refused_fields:
            dialect += ["refused", "send_again"] if may_change else ["refused"]
        first: dict[str, Any] = {"fields": ["name", "kind", "base_url", "private_network", "auth", *key, "enabled"]}
        if obj and obj.name == ENVIRONMENT:
            first["description"] = _(
                "The address, the key and the models of this provider come from the environment at every start; "
                "what is changed in them here lasts until then."
            )
        folded = [] if "refused" in dialect else ["collapse"]
        return [
            (None, first),
            (_("Limits"), {"fields": LIMIT_FIELDS, "classes": ["collapse"]}),
            (_("Dialect"), {"fields": [*dialect, *EXTRA_FIELDS], "classes": folded}),
        ]

    @admin.display(description=_("stored key"))
    def api_key_state(self, provider: Provider) -> str:
        """Return `set, …abcd, on 3 May 2026`. The end of the key identifies it; the end of a short key is not shown."""
        if not provider.ciphertext:
            return str(_("not set"))
        try:
            secret = provider.credentials().secret
        except CredentialsUnreadable:
            return str(_("set, but no key of PORTAL_KEYRING opens it: enter it again"))
        words = [str(_("set"))]
        if len(secret) >= SHOWN_OF:
            words.append(f"…{secret[-4:]}")
        if provider.credentials_set_at:
            words.append(_("on %s") % date_format(timezone.localtime(provider.credentials_set_at), "DATE_FORMAT"))
        return ", ".join(words)

    @admin.display(description=_("Refused fields, not sent any more"))
    def refused(self, provider: Provider) -> str:
        """Return the refused fields with their models, such as `temperature (gpt-5), stream_options`."""
        pairs = [(name, model) for model, names in provider.refused_fields.items() for name in names]
        return ", ".join(f"{name} ({model})" if model else name for name, model in pairs)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context |= {"may_choose_models": may_choose_models(request.user)}
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        models = self.admin_site.admin_view(self.choose_models)
        return [path("<int:object_id>/models/", models, name="chat_provider_models"), *super().get_urls()]

    def choose_models(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Show the page for choosing the provider's models."""
        return choose_models(request, self, object_id)

    def response_add(self, request: HttpRequest, obj: Provider, post_url_continue: str | None = None) -> HttpResponse:
        """Redirect to the page for choosing models if a new provider has none."""
        if obj.models.exists() or not {"_save", "_continue"} & set(request.POST):
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, _("The provider is stored. This is what it lists."), messages.SUCCESS)
        return redirect("admin:chat_provider_models", obj.pk)

    def save_model(self, request: HttpRequest, obj: Provider, form: ProviderForm, change: bool) -> None:
        """Save the provider. A new server address deletes the stored key, which was entered for the old one."""
        written = form.data.get("base_url", "").strip()
        if written and written.rstrip("/") != obj.base_url:
            self.message_user(
                request,
                _("The base URL was tidied: %(written)s became %(address)s.")
                % {"written": written, "address": obj.base_url},
                messages.INFO,
            )
        new_key = form.cleaned_data.get("api_key", "")
        before = Provider.objects.filter(pk=obj.pk).values_list("base_url", "token_url").first()
        has_moved = change and before is not None and obj.origin_differs(*before)
        has_changed = {"usage_mode", "dialect", "max_tokens_field", "send_again"} & set(form.changed_data)
        if has_moved or has_changed or obj.extra_body != form.initial.get("extra_body", {}):
            obj.refused_fields = {}  # the new server or endpoint may accept these fields
        if has_moved:
            obj.findings, obj.examined_at = [], None  # these are about another server
        if new_key:
            obj.set_credentials(new_key, form.cleaned_data.get("key_id", ""))
        elif form.cleaned_data.get("forget_key"):
            obj.set_credentials("")
        elif has_moved and obj.ciphertext:
            obj.set_credentials("")
            messages.warning(
                request,
                _("The address leads to another server, so the stored API key was deleted. Enter the key for it."),
            )
        super().save_model(request, obj, form, change)
        # After the commit, because the probe reads the stored row.
        transaction.on_commit(partial(model_stats_of(request).probe_soon, obj.pk))


@admin.register(LanguageModel)
class LanguageModelAdmin(admin.ModelAdmin):
    """The models of all providers, in the order of the picker."""

    formfield_overrides = OVERRIDES
    inlines = [PriceInline]
    list_filter = ["enabled", "provider"]
    list_select_related = ["provider"]
    search_fields = ["name", "label", "provider__name"]
    ordering = ["position", "id"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        cache = model_stats_of(request)
        outage = outage_column(cache, lambda model: model.provider_id)
        settings = ["context_window", price_column(), "position", "enabled"]
        return ["__str__", "name", "provider", outage, *figure_columns(cache), *settings]
