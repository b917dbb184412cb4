"""What a request to an upstream carries, and what the headers of its answer say. Knows no HTTP library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chat.codes import Code
from chat.providers.base import ProviderError
from chat.providers.base_url import clean_base_url
from chat.providers.redaction import word_of

_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id", "x-generation-id", "x-litellm-call-id", "cf-ray")


def auth_headers(auth: str, api_key: str) -> dict[str, str]:
    """The headers of every request, with the key in them. Raises ProviderError for a key that no header can carry."""
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "User-Agent": "chatsite"}
    key = api_key.strip()
    if key and auth in ("bearer", "api_key_header"):
        if not key.isascii() or not key.isprintable():
            raise ProviderError(Code.UPSTREAM_AUTH, "the key holds characters that no header can carry")
        headers |= {"api-key": key} if auth == "api_key_header" else {"Authorization": f"Bearer {key}"}
    return headers


def sendable(headers: Mapping[str, Any]) -> Mapping[str, str]:
    """A provider's extra headers, as they are. Raises ProviderError for one that can't be sent."""
    for name, value in headers.items():
        is_text = isinstance(value, str) and name.isascii() and value.isascii() and value.isprintable()
        # Host could select another server at the same address; the others control where the request ends.
        if name.strip().lower() in _OURS or not is_text:
            raise ProviderError(Code.UPSTREAM_REJECTED, f"the header {name!r} can't be sent")
    return headers


def base_url_of(text: str) -> str:
    """The base URL, tidied. Raises ProviderError."""
    try:
        return clean_base_url(text)
    except ValueError as error:
        raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, str(error)) from error


def encoded(payload: Mapping[str, Any]) -> bytes:
    """The payload as JSON in UTF-8. Raises ProviderError for one that can't be written."""
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    except (TypeError, ValueError) as error:
        raise ProviderError(Code.UPSTREAM_REJECTED, "the request can't be written as JSON") from error


def request_id_of(headers: Mapping[str, str]) -> str:
    """Upstream's id of the request, '' without one."""
    return word_of(next((headers[name] for name in _ID_HEADERS if headers.get(name)), ""))


def rate_limits_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers about rate limits, each with at most 100 characters."""
    return {name: value[:100] for name, value in headers.items() if "ratelimit" in name or "rate-limit" in name}
