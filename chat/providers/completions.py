"""The adapter for the legacy Completions dialect: one plain text goes out, what follows it comes back.

For base models on vLLM, llama.cpp, Ollama, LM Studio, TGI and the like; a chunk brings `choices[].text` (chunks.py).
"""

from __future__ import annotations

from typing import Any

from chat.providers.base import CompletionRequest, plain_text
from chat.providers.chat_completions import ChatCompletions


class Completions(ChatCompletions):
    """One endpoint that is asked with a text; everything else is as with messages."""

    path = "completions"

    def question(self, request: CompletionRequest) -> dict[str, Any]:
        """The messages as one text: a base model goes on where it ends."""
        return {"prompt": plain_text(request.messages)}
