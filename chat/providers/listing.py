"""Which models an endpoint offers: `GET …/models`, and what it tells of them."""

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
    """A model as its server lists it.

    context_window  tokens, None where it isn't told
    kind            the server's own word, such as `chat` or `embedding`; '' where it isn't told
    rate            the prices in US dollars, None where they aren't told or aren't by the token alone
    can_chat        neither name nor kind tells that it can't
    """

    name: str
    context_window: int | None = None
    kind: str = ""
    rate: Rate | None = None
    can_chat: bool = True


async def list_models(endpoint: Endpoint, seconds: float = 5.0) -> list[ListedModel]:
    """What the server lists within so many seconds, in its order, each name once. Raises ProviderError."""
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
    """The code of how a request fails that costs nothing, None when it is answered well; reads no long list."""
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
    """The size of the context window in tokens, by whichever name the server gives it."""
    names = ("context_length", "context_window", "max_model_len", "max_context_length", "loaded_context_length")
    sizes = [*(facts.get(name) for name in names), _group(facts, "meta").get("n_ctx_train")]
    return next(window_sizes(sizes), None)


def window_sizes(values: Iterable[object]) -> Iterator[int]:
    """Those of the values that a context window can have."""
    return (size for size in values if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= MAX_WINDOW)


def _rate(prices: Mapping[str, Any]) -> Rate | None:
    """As OpenRouter tells it."""
    prompt, completion = _per_million(prices.get("prompt")), _per_million(prices.get("completion"))
    if prompt is None or completion is None or _per_million(prices.get("request", "0")) != 0:
        return None
    return Rate(prompt, completion, _per_million(prices.get("input_cache_read")))


def _per_million(price: object) -> Decimal | None:
    """OpenRouter writes dollars per token, as a text; −1 where it depends."""
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
