"""The presets of known model servers, which fill in the form of a new provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """The values for a new provider of one kind. `fields`: values that differ from the defaults, by field name."""

    label: str
    base_url: str
    auth: str = "bearer"
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def filled_in(self) -> dict[str, Any]:
        """Return all values of the preset by field name."""
        return {"base_url": self.base_url, "auth": self.auth, **self.fields}


_LOCAL = {"private_network": True}
_TAKES_UP = {**_LOCAL, "continuation": "prefill"}

PRESETS: dict[str, Preset] = {
    "openai": Preset("OpenAI", "https://api.openai.com/v1", fields={"max_tokens_field": "max_completion_tokens"}),
    "azure": Preset(
        "Azure OpenAI",
        "https://YOUR-RESOURCE.openai.azure.com/openai/v1",
        "api_key_header",
        {"max_tokens_field": "max_completion_tokens"},
    ),
    "gilas": Preset("Gilas", "https://api.gilas.io/v1"),
    "evolution": Preset(
        "Evolution (cloud.ru), key id and secret",
        "https://YOUR-ENDPOINT.cloud.ru/v1",
        "evolution",
        {"token_url": "https://iam.api.cloud.ru/api/v1/auth/token"},
    ),
    "cloud_ru": Preset("Foundation Models (cloud.ru), API key", "https://foundation-models.api.cloud.ru/v1"),
    "openrouter": Preset("OpenRouter", "https://openrouter.ai/api/v1"),
    "deepseek": Preset("DeepSeek", "https://api.deepseek.com/v1"),
    "mistral": Preset("Mistral", "https://api.mistral.ai/v1", fields={"usage_mode": "never"}),
    "groq": Preset("Groq", "https://api.groq.com/openai/v1"),
    "together": Preset("Together", "https://api.together.xyz/v1"),
    "gemini": Preset("Gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "anthropic": Preset("Anthropic", "https://api.anthropic.com/v1"),
    "ollama": Preset("Ollama", "http://127.0.0.1:11434/v1", "none", _TAKES_UP),
    "vllm": Preset("vLLM", "http://127.0.0.1:8000/v1", "none", _LOCAL),
    "llama_cpp": Preset("llama.cpp", "http://127.0.0.1:8080/v1", "none", _TAKES_UP),
    "lm_studio": Preset("LM Studio", "http://127.0.0.1:1234/v1", "none", _LOCAL),
    "openai_compatible": Preset("Another OpenAI-compatible server", ""),
}
"""Presets by kind, the stored name."""
