"""Speaking to model servers: kinds of providers, and the adapter for each. Knows neither Django nor our database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
from chat.providers.transport import load_backend

__all__ = [
    "KINDS",
    "Adapter",
    "BadAddress",
    "CompletionRequest",
    "Endpoint",
    "Event",
    "FinishReported",
    "Kind",
    "ListedModel",
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


@dataclass(frozen=True)
class Kind:
    """What the form of a new provider is filled in with. `quirks`: fields of a provider by name, where they differ."""

    label: str
    base_url: str
    auth: str = "bearer"
    quirks: Mapping[str, Any] = field(default_factory=dict)


_LOCAL = {"private_network": True}
_TAKES_UP = {**_LOCAL, "continuation": "prefill"}

KINDS: dict[str, Kind] = {
    "openai": Kind("OpenAI", "https://api.openai.com/v1", quirks={"max_tokens_field": "max_completion_tokens"}),
    "azure": Kind(
        "Azure OpenAI",
        "https://YOUR-RESOURCE.openai.azure.com/openai/v1",
        "api_key_header",
        {"max_tokens_field": "max_completion_tokens"},
    ),
    "gilas": Kind("Gilas", "https://api.gilas.io/v1"),
    "evolution": Kind(
        "Evolution (cloud.ru), key id and secret",
        "https://YOUR-ENDPOINT.cloud.ru/v1",
        "evolution",
        {"token_url": "https://iam.api.cloud.ru/api/v1/auth/token"},
    ),
    "cloud_ru": Kind("Foundation Models (cloud.ru), API key", "https://foundation-models.api.cloud.ru/v1"),
    "openrouter": Kind("OpenRouter", "https://openrouter.ai/api/v1"),
    "deepseek": Kind("DeepSeek", "https://api.deepseek.com/v1"),
    "mistral": Kind("Mistral", "https://api.mistral.ai/v1", quirks={"usage_mode": "never"}),
    "groq": Kind("Groq", "https://api.groq.com/openai/v1"),
    "together": Kind("Together", "https://api.together.xyz/v1"),
    "gemini": Kind("Gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "anthropic": Kind("Anthropic", "https://api.anthropic.com/v1"),
    "ollama": Kind("Ollama", "http://127.0.0.1:11434/v1", "none", _TAKES_UP),
    "vllm": Kind("vLLM", "http://127.0.0.1:8000/v1", "none", _LOCAL),
    "llama_cpp": Kind("llama.cpp", "http://127.0.0.1:8080/v1", "none", _TAKES_UP),
    "lm_studio": Kind("LM Studio", "http://127.0.0.1:1234/v1", "none", _LOCAL),
    "openai_compatible": Kind("Another OpenAI-compatible server", ""),
}
"""Presets by name; the name is stored."""

DIALECTS = {"chat_completions": ChatCompletions, "completions": Completions}
"""Adapters by name; the name is stored."""


def build(endpoint: Endpoint, client_factory: ClientFactory | None = None) -> Adapter:
    """The adapter for an endpoint. Wrong settings show as ProviderError when it is first used."""
    return DIALECTS[endpoint.dialect](endpoint, client_factory)
