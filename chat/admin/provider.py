"""Providers with their models. The API key goes in and never comes out: not in a form, a list or the history."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.admin.doctor import ExaminedAdmin
from chat.environment_models import ENVIRONMENT
from chat.models import LanguageModel, Provider
from chat.providers import KINDS


class ProviderForm(forms.ModelForm):
    """A provider, and a new API key for it or none."""

    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[(name, kind.label) for name, kind in KINDS.items()],
        initial="openai_compatible",
        help_text=_("Fills in the base URL where that is left empty."),
    )
    base_url = forms.CharField(
        label=_("Base URL"),
        required=False,
        max_length=500,
        widget=forms.TextInput({"class": "vTextField"}),
        help_text=_("Up to and including /v1, for example https://api.example.com/v1"),
    )
    api_key = forms.CharField(
        label=_("API key"),
        required=False,
        strip=True,
        max_length=4000,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"}),
    )
    forget_key = forms.BooleanField(label=_("Delete the stored API key"), required=False)
    send_again = forms.BooleanField(label=_("Send the refused fields again"), required=False)

    class Meta:
        model = Provider
        fields = [
            "name",
            "kind",
            "base_url",
            "auth",
            "dialect",
            "usage_mode",
            "max_tokens_field",
            "whole_answers",
            "think_tags",
            "continuation",
            "extra_headers",
            "extra_query",
            "extra_body",
            "connect_seconds",
            "first_byte_seconds",
            "idle_seconds",
            "total_seconds",
            "max_retries",
            "max_parallel",
            "private_network",
            "enabled",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "extra_headers" not in self.fields:
            return  # for somebody who may look only
        is_set = bool(self.instance.ciphertext)
        self.fields["api_key"].help_text = (
            _("Set. It is never shown; leave this empty to keep it.") if is_set else _("Not set.")
        )
        if not is_set:
            del self.fields["forget_key"]
        if not self.instance.refused_fields:
            del self.fields["send_again"]
        if self.instance.kind not in KINDS:  # the built-in model's provider: what it is can't be chosen
            cast(forms.ChoiceField, self.fields["kind"]).choices = [(self.instance.kind, self.instance.kind)]
        for name in ("extra_headers", "extra_query", "extra_body"):
            self.fields[name].help_text = _("Everybody with access to this page can read it: not the place for keys.")


class LanguageModelInline(admin.StackedInline):
    """The provider's models."""

    model = LanguageModel
    extra = 0
    fields = [
        ("name", "label"),
        ("context_window", "encoding"),
        "system_prompt",
        "default_options",
        ("position", "enabled"),
    ]

    def get_extra(self, request: HttpRequest, obj: Provider | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1


@admin.register(Provider)
class ProviderAdmin(ExaminedAdmin):
    """An upstream: where it is, how it is spoken to, what it offers."""

    form = ProviderForm
    inlines = [LanguageModelInline]
    list_display = ["name", "base_url", "kind", "api_key_state", "enabled"]
    list_filter = ["enabled", "kind"]
    search_fields = ["name", "base_url"]
    readonly_fields = ["api_key_state", "refused"]

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        may_change = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        key = ["api_key_state"]
        if may_change:
            key = ["api_key", "forget_key"] if obj and obj.ciphertext else ["api_key"]
        limits = ["connect_seconds", "first_byte_seconds", "idle_seconds", "total_seconds"]
        dialect = ["dialect", "whole_answers", "think_tags", "continuation", "usage_mode", "max_tokens_field"]
        if obj and obj.refused_fields:
            dialect += ["refused", "send_again"] if may_change else ["refused"]
        extras = ["extra_headers", "extra_query", "extra_body"]
        first: dict[str, Any] = {"fields": ["name", "kind", "base_url", "private_network", "auth", *key, "enabled"]}
        if obj and obj.name == ENVIRONMENT:
            first["description"] = _(
                "The address, the key and the models of this provider come from the environment at every start; "
                "what is changed in them here lasts until then."
            )
        return [
            (None, first),
            (_("Limits"), {"fields": [*limits, "max_retries", "max_parallel"], "classes": ["collapse"]}),
            (_("Dialect"), {"fields": [*dialect, *extras], "classes": [] if "refused" in dialect else ["collapse"]}),
        ]

    @admin.display(description=_("API key"))
    def api_key_state(self, provider: Provider) -> str:
        return str(_("set") if provider.ciphertext else _("not set"))

    @admin.display(description=_("Refused fields, not sent any more"))
    def refused(self, provider: Provider) -> str:
        """`temperature (gpt-5), stream_options`: what the server did not take, and of which model."""
        pairs = [(name, model) for model, names in provider.refused_fields.items() for name in names]
        return ", ".join(f"{name} ({model})" if model else name for name, model in pairs)

    def save_model(self, request: HttpRequest, obj: Provider, form: ProviderForm, change: bool) -> None:
        """A key belongs to the server it was given for: it doesn't follow the address to another one."""
        new_key = form.cleaned_data.get("api_key", "")
        has_moved = change and obj.origin_differs(Provider.objects.values_list("base_url", flat=True).get(pk=obj.pk))
        has_changed = {"usage_mode", "dialect", "max_tokens_field", "send_again"} & set(form.changed_data)
        if has_moved or has_changed or obj.extra_body != form.initial.get("extra_body", {}):
            obj.refused_fields = {}  # what the old server or endpoint refused, the new one may take
        if has_moved:
            obj.findings, obj.examined_at = [], None  # they tell of another server
        if new_key:
            obj.set_credentials(new_key)
        elif form.cleaned_data.get("forget_key"):
            obj.set_credentials("")
        elif has_moved and obj.ciphertext:
            obj.set_credentials("")
            messages.warning(
                request,
                _("The address leads to another server, so the stored API key was deleted. Enter the key for it."),
            )
        super().save_model(request, obj, form, change)


@admin.register(LanguageModel)
class LanguageModelAdmin(admin.ModelAdmin):
    """All models of all providers, in the order in which they are offered."""

    list_display = ["__str__", "name", "provider", "context_window", "encoding", "position", "enabled"]
    list_filter = ["enabled", "provider"]
    list_select_related = ["provider"]
    search_fields = ["name", "label", "provider__name"]
    ordering = ["position", "id"]
