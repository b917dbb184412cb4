"""Prices of models and when they start. Past requests keep the prices that were valid for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.language_model import LanguageModel
from chat.pricing import Rate

DIGITS, DECIMALS = 18, 6


class PriceQuerySet(models.QuerySet["Price"]):
    """Queries for the price at a moment."""

    def rate(self, model: int, moment: datetime | None = None) -> Rate | None:
        """Return the model's prices at `moment` (default: now); None = no price is set."""
        return self.rates([model], moment).get(model)

    def rates(self, models: Iterable[int], moment: datetime | None = None) -> dict[int, Rate]:
        """Return the prices of several models by their ids, without the models that have no price."""
        # guard: a price that begins later does not hold yet
        valid = self.filter(model__in=list(models), valid_from__lte=moment or timezone.now()).order_by("valid_from")
        return {price.model_id: price.rate for price in valid}


class Price(models.Model):
    """A price of a model. It is valid until the model's next price starts."""

    model = models.ForeignKey(LanguageModel, on_delete=models.CASCADE, related_name="prices", verbose_name=_("model"))
    prompt = models.DecimalField(
        _("prompt, per million tokens"),
        max_digits=DIGITS,
        decimal_places=DECIMALS,
        validators=[MinValueValidator(0)],
    )
    completion = models.DecimalField(
        _("completion, per million tokens"),
        max_digits=DIGITS,
        decimal_places=DECIMALS,
        validators=[MinValueValidator(0)],
    )
    cached = models.DecimalField(
        _("cached prompt, per million tokens"),
        max_digits=DIGITS,
        decimal_places=DECIMALS,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Empty = like the rest of the prompt."),
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default="USD",
        validators=[RegexValidator(r"\A[A-Z]{3}\Z", _("Three capital letters, for example USD."))],
    )
    valid_from = models.DateTimeField(
        _("valid from"), default=timezone.now, help_text=_("Requests before that keep their price.")
    )

    objects = PriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["model", "-valid_from"]
        constraints = [models.UniqueConstraint(fields=["model", "valid_from"], name="one_price_at_a_time")]

    def __str__(self) -> str:
        return f"{self.model}: {self.prompt.normalize():f} / {self.completion.normalize():f} {self.currency}"

    @property
    def rate(self) -> Rate:
        """The prices as a Rate."""
        return Rate(self.prompt, self.completion, self.cached, self.currency)
