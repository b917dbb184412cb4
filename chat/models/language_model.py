"""Language models: their labels in the portal, the groups that may use them, and their default options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from chat.models.provider import Provider
from chat.options import OPTIONS
from chat.tokens import ENCODINGS


class LanguageModelQuerySet(models.QuerySet["LanguageModel"]):
    """Queries by permission to use a model."""

    def usable(self) -> LanguageModelQuerySet:
        """Return the enabled models of enabled providers, the portal's default first."""
        return self.filter(enabled=True, provider__enabled=True).select_related("provider").order_by("position", "id")

    def usable_by(self, user_id: int) -> LanguageModelQuerySet:
        """Return the models that the user may choose: those without groups, or with one of the user's groups."""
        groups = LanguageModel.groups.through.objects.filter(languagemodel=OuterRef("pk"))
        # guard: a model of a group is offered to its people
        return self.usable().filter(~Exists(groups) | Exists(groups.filter(group__user=user_id)))


class LanguageModel(models.Model):
    """A model of a provider."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="models", verbose_name=_("provider"))
    name = models.CharField(_("name"), max_length=200, help_text=_("As the provider calls it."))
    label = models.CharField(_("label"), max_length=200, blank=True, help_text=_("As people see it."))
    context_window = models.PositiveIntegerField(
        _("context window"), null=True, blank=True, help_text=_("In tokens. Empty = unknown: nothing is left out.")
    )
    encoding = models.CharField(
        _("encoding"),
        max_length=40,
        blank=True,
        help_text=_("Name of a tiktoken encoding. Empty = chosen by the model’s name."),
    )
    system_prompt = models.TextField(_("system prompt"), blank=True)
    default_options = models.JSONField(_("default options"), default=dict, blank=True)
    groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="+",
        verbose_name=_("only for groups"),
        help_text=_("Without any, everybody may use it."),
    )
    position = models.PositiveIntegerField(
        _("position"), default=100, help_text=_("The lowest one is the default for new conversations.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    objects = LanguageModelQuerySet.as_manager()

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        constraints = [models.UniqueConstraint(fields=["provider", "name"], name="model_once_per_provider")]

    def __str__(self) -> str:
        return self.label or self.name

    def clean(self) -> None:
        """Refuse default options that would make every answer fail, and unknown encodings."""
        if not isinstance(self.default_options, dict):
            raise ValidationError({"default_options": _("A JSON object is needed, for example {}.")})
        for name, value in self.default_options.items():
            if name in OPTIONS and value is not None and not OPTIONS[name](value):
                reason = _("The value of %(name)s can’t be used.") % {"name": name}
                raise ValidationError({"default_options": reason})
        if self.encoding and self.encoding not in ENCODINGS:
            known = _("Use one of these, or leave it empty: %(names)s.") % {"names": ", ".join(ENCODINGS)}
            raise ValidationError({"encoding": known})


def told_apart(models: Sequence[LanguageModel]) -> list[str]:
    """Return a distinct label for each model: its label, with provider and name added where several share it."""
    labels = [str(model) for model in models]
    more: list[Callable[[LanguageModel], str]] = [lambda model: model.provider.name, lambda model: model.name]
    for further in more:
        times = Counter(labels)
        labels = [
            f"{label} · {further(model)}" if times[label] > 1 else label
            for label, model in zip(labels, models, strict=True)
        ]
    return labels
