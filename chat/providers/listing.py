"""List the models of an endpoint with `GET …/models`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from chat.codes import Code
from chat.pricing import MILLION, Rate
from chat.providers.base import Endpoint, ProviderError
from chat.providers.errors import stream_complaint, stream_failure
from chat.providers.http import Sender
from chat.providers.redaction import word_of

LIST_BYTES = 4 * 1024 * 1024
PROBE_BYTES = 64 * 1024
MAX_MODELS = 2000
KIND_LENGTH = 40
MAX_WINDOW = 100_000_000
_NO_CHAT = re.compile(
    r"embed|rerank|whisper|transcri|moderation|dall-e|gpt-image|stable-diffusion|(^|[-_/.])(tts|asr|bge|e5|clip|sora)([-_/.]|$)",
    re.IGNORECASE,
)
_CHAT_KINDS = frozenset({"", "model", "chat", "language", "llm", "vlm", "code"})


@dataclass(frozen=True)
class ListedModel:
    """A model as listed by its server.

    context_window  tokens; None = unknown
    kind            the server's value, such as `chat` or `embedding`; '' = unknown
    rate            the prices in US dollars; None = unknown, or not by the token alone
    can_chat        False if the name or the kind shows that the model cannot chat
    """

    name: str
    context_window: int | None = None
    kind: str = ""
    rate: Rate | None = None
    can_chat: bool = True


async def list_models(endpoint: Endpoint, seconds: float = 5.0) -> list[ListedModel]:
    """Return the server's models in its order, each name once. Raises ProviderError, also after `seconds`."""
    sender = Sender(endpoint)
    try:
        value = await sender.get_json("models", seconds, LIST_BYTES)
    finally:
        await sender.aclose()
    entries = value.get("data") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        complaint = stream_complaint(value)
        if complaint is not None:
            raise stream_failure(complaint, sender.secrets)
        raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, "no list of models")
    listed = (_listed(entry) for entry in entries[:MAX_MODELS])
    return list({model.name: model for model in reversed([one for one in listed if one is not None])}.values())[::-1]


async def failure_of(endpoint: Endpoint, seconds: float = 5.0) -> Code | None:
    """Return the error code of a request that costs nothing, or None if it succeeds. Reads at most PROBE_BYTES."""
    sender = Sender(endpoint)
    try:
        await sender.get_json("models", seconds, PROBE_BYTES)
    except ProviderError as error:
        return error.code
    finally:
        await sender.aclose()
    return None


def _listed(entry: object) -> ListedModel | None:
    facts: Mapping[str, Any] = entry if isinstance(entry, dict) else {"id": entry}
    name, kind = facts.get("id"), facts.get("type")
    name = word_of(name.strip().removeprefix("models/")) if isinstance(name, str) else ""
    if not name:
        return None
    kind = word_of(kind, KIND_LENGTH) if isinstance(kind, str) else ""
    capabilities = _group(facts, "capabilities")
    return ListedModel(
        name,
        context_window=_window(facts),
        kind=kind,
        rate=_rate(_group(facts, "pricing")),
        can_chat=not _NO_CHAT.search(name)
        and kind in _CHAT_KINDS
        and capabilities.get("completion_chat") is not False
        and facts.get("active") is not False,
    )


def _window(facts: Mapping[str, Any]) -> int | None:
    """Return the context window in tokens from any of the names that servers use."""
    names = ("context_length", "context_window", "max_model_len", "max_context_length", "loaded_context_length")
    sizes = [*(facts.get(name) for name in names), _group(facts, "meta").get("n_ctx_train")]
    return next(window_sizes(sizes), None)


def window_sizes(values: Iterable[object]) -> Iterator[int]:
    """Yield the values that are possible sizes of a context window."""
    return (size for size in values if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= MAX_WINDOW)


def _rate(prices: Mapping[str, Any]) -> Rate | None:
    """Return the prices in OpenRouter's format."""
    prompt, completion = _per_million(prices.get("prompt")), _per_million(prices.get("completion"))
    if prompt is None or completion is None or _per_million(prices.get("request", "0")) != 0:
        return None
    return Rate(prompt, completion, _per_million(prices.get("input_cache_read")))


def _per_million(price: object) -> Decimal | None:
    """Convert OpenRouter's dollars per token, a string. −1 (a variable price) gives None."""
    if not isinstance(price, str):
        return None
    try:
        dollars = Decimal(price)
    except InvalidOperation:
        return None
    if not dollars.is_finite() or not 0 <= dollars < 1:
        return None
    return (dollars * MILLION).quantize(Decimal("1e-6"))


def _group(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    group = facts.get(name)
    return group if isinstance(group, dict) else {}
