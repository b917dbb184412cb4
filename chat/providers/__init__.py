"""Presets of providers, and the adapters that call model servers. Imports neither Django nor the models."""

from __future__ import annotations

from chat.providers.base import (
    Adapter,
    CompletionRequest,
    Endpoint,
    Event,
    FinishReported,
    ModelNamed,
    Probe,
    ProviderError,
    ResponseStarted,
    TextDelta,
    TimeLimits,
    UsageReported,
    Warned,
    plain_text,
)
from chat.providers.base_url import BadAddress, clean_base_url, clean_url, origin_of
from chat.providers.chat_completions import ChatCompletions
from chat.providers.completions import Completions
from chat.providers.http import ClientFactory
from chat.providers.ip_rules import may_be_reached
from chat.providers.listing import ListedModel, failure_of, list_models
from chat.providers.presets import PRESETS, Preset
from chat.providers.transport import load_backend

__all__ = [
    "Adapter",
    "BadAddress",
    "CompletionRequest",
    "Endpoint",
    "Event",
    "FinishReported",
    "ListedModel",
    "PRESETS",
    "Preset",
    "ModelNamed",
    "Probe",
    "ProviderError",
    "ResponseStarted",
    "TextDelta",
    "TimeLimits",
    "UsageReported",
    "Warned",
    "build",
    "clean_base_url",
    "clean_url",
    "failure_of",
    "list_models",
    "load_backend",
    "may_be_reached",
    "origin_of",
    "plain_text",
]


DIALECTS = {"chat_completions": ChatCompletions, "completions": Completions}
"""Adapters by their stored name."""


def build(endpoint: Endpoint, client_factory: ClientFactory | None = None) -> Adapter:
    """Return an adapter for the endpoint. Wrong settings raise ProviderError at its first use."""
    return DIALECTS[endpoint.dialect](endpoint, client_factory)
