"""How a model is doing, in words, and the list of models that a person may choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.health.model_stats import ModelStats, ModelStatsCache
from chat.models import LanguageModel, told_apart
from chat.protocol.objects import ModelChoice, Stats
from chat.texts.figures import roughly

NOT_ANSWERING = _("not answering now")


def stats_in_words(stats: ModelStats) -> str:
    """What helps to choose a model, such as “0.4 s · 52 tokens/s · 3 % failed”; '' when nothing is known.

    A provider that doesn't answer has no other figures. Unknown figures, and an error rate of 0, are left out.
    """
    if stats.failing:
        return str(NOT_ANSWERING)
    words = []
    if stats.ttft_ms is not None:
        words.append(gettext("%(number)s s") % {"number": roughly(stats.ttft_ms / 1000)})
    if stats.tokens_per_second is not None:
        words.append(gettext("%(number)s tokens/s") % {"number": roughly(stats.tokens_per_second)})
    if stats.error_percent:
        words.append(gettext("%(number)s %% failed") % {"number": stats.error_percent})
    return " · ".join(words)


def model_choices(models: Sequence[LanguageModel], cache: ModelStatsCache) -> list[ModelChoice]:
    """The models as `hello.models` lists them, in the active language."""
    choices: list[ModelChoice] = []
    for model, label in zip(models, told_apart(models), strict=True):
        stats = cache.of(model)
        choices.append({"id": str(model.pk), "label": label, "provider": model.provider.name})
        if stats != ModelStats():
            choices[-1]["stats"] = cast(Stats, asdict(stats))
        if note := stats_in_words(stats):
            choices[-1]["note"] = note
    return choices
