"""The adapter for the legacy Completions API: it sends one plain text, and the model continues it.

For base models on vLLM, llama.cpp, Ollama, LM Studio, TGI and others. A chunk holds `choices[].text` (chunks.py).
"""

from __future__ import annotations

from typing import Any

from chat.providers.base import CompletionRequest, plain_text
from chat.providers.chat_completions import ChatCompletions


class Completions(ChatCompletions):
    """The client of one endpoint that takes plain text. Everything else is as in ChatCompletions."""

    path = "completions"

    def question(self, request: CompletionRequest) -> dict[str, Any]:
        """Return the messages as one text, which a base model continues."""
        return {"prompt": plain_text(request.messages)}
