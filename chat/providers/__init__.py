"""Speaking to model servers: kinds of providers, and the adapter for each. Knows neither Django nor our database."""

from __future__ import annotations

from dataclasses import dataclass

from chat.providers.address import BadAddress, clean_base_url
from chat.providers.base import (
    PROVIDER_CODES,
    Adapter,
    CompletionRequest,
    Endpoint,
    Event,
    Finished,
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
from chat.providers.chat_completions import ChatCompletions
from chat.providers.completions import Completions
from chat.providers.http import ClientFactory, load_backend
from chat.providers.listing import list_models

__all__ = [
    "KINDS",
    "PROVIDER_CODES",
    "Adapter",
    "BadAddress",
    "CompletionRequest",
    "Endpoint",
    "Event",
    "Finished",
    "Kind",
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
    "list_models",
    "load_backend",
    "plain_text",
]


@dataclass(frozen=True)
class Kind:
    """What the form of a new provider is filled in with."""

    label: str
    base_url: str
    auth: str


KINDS: dict[str, Kind] = {
    "openai": Kind("OpenAI", "https://api.openai.com/v1", "bearer"),
    "gilas": Kind("Gilas", "https://api.gilas.io/v1", "bearer"),
    "openrouter": Kind("OpenRouter", "https://openrouter.ai/api/v1", "bearer"),
    "local_server": Kind("Local model server (llama.cpp, Ollama, vLLM, LM Studio)", "http://127.0.0.1:8080/v1", "none"),
    "openai_compatible": Kind("Another OpenAI-compatible server", "", "bearer"),
}
"""Presets by name; the name is stored."""

DIALECTS = {"chat_completions": ChatCompletions, "completions": Completions}
"""Adapters by name; the name is stored."""


def build(endpoint: Endpoint, client_factory: ClientFactory | None = None) -> Adapter:
    """The adapter for an endpoint. Wrong settings show as ProviderError when it is first used."""
    return DIALECTS[endpoint.dialect](endpoint, client_factory)
