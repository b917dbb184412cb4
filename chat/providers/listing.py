"""Which models an endpoint offers: `GET …/models`. Synchronous, for start-up and the admin."""

from __future__ import annotations

import re

from chat.providers.errors import failure, stream_complaint, stream_failure
from chat.providers.http import get_json

LIST_BYTES = 4 * 1024 * 1024
MAX_MODELS = 2000
_NO_CHAT = re.compile(
    r"embed|rerank|whisper|transcri|moderation|dall-e|gpt-image|stable-diffusion|(^|[-_/.])(tts|asr|bge|e5|clip|sora)([-_/.]|$)",
    re.IGNORECASE,
)


def list_models(base_url: str, api_key: str, timeout: float = 5.0) -> list[str]:
    """The ids in upstream's order, without those that plainly can't chat. Raises ProviderError."""
    value = get_json(base_url, "models", api_key, timeout, LIST_BYTES)
    entries = value.get("data") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        complaint = stream_complaint(value)
        if complaint is not None:
            raise stream_failure(complaint, (api_key,))
        raise failure("upstream_bad_response", "no list of models")
    ids: dict[str, None] = {}
    for entry in entries[:MAX_MODELS]:
        name = entry.get("id") if isinstance(entry, dict) else entry
        if isinstance(name, str) and name.strip() and not _NO_CHAT.search(name):
            ids[name.strip().removeprefix("models/")] = None
    return list(ids)
