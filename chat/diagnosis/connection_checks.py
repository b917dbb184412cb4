"""Checks of the way to a server: its address, the encryption, the key, and the list of its models."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from urllib.parse import urlsplit

from chat.codes import Code
from chat.diagnosis.examination import Examination, Verdict, error_detail
from chat.diagnosis.questions import Skipped
from chat.providers.base import ProviderError
from chat.providers.base_url import BadAddress, clean_base_url
from chat.providers.errors import TokenFailed
from chat.providers.ip_rules import is_private
from chat.providers.listing import list_models
from chat.providers.resolver import Resolver

CONNECT_SECONDS = 5.0
LIST_SECONDS = 15.0


async def address(examination: Examination) -> Verdict:
    """The base URL is well formed, its name is found, and something answers there."""
    try:
        parts = urlsplit(clean_base_url(examination.endpoint.base_url))
    except BadAddress as error:
        raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, str(error)) from error
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = await _resolved(parts.hostname or "", port, examination.endpoint.limits.connect)
    examination.is_private = all(is_private(one) for one in addresses)
    limits = replace(examination.endpoint.limits, connect=min(examination.endpoint.limits.connect, CONNECT_SECONDS))
    began = monotonic()
    try:
        examination.listed = await list_models(replace(examination.endpoint, limits=limits), LIST_SECONDS)
    except ProviderError as error:
        examination.list_error = error
        # The list has more time than a connection: what is over sooner never was one.
        is_silent = error.code == Code.UPSTREAM_TIMEOUT and monotonic() - began < LIST_SECONDS * 0.9
        is_lost = is_silent or error.code in (Code.UPSTREAM_DNS, Code.UPSTREAM_UNREACHABLE)
        if is_lost and not isinstance(error, TokenFailed):  # without a token nothing was asked here
            raise
    return "good", {"case": "found", "host": parts.hostname, "port": port, "addresses": addresses[:4]}


async def tls(examination: Examination) -> Verdict:
    """The connection is encrypted, or stays within a private network."""
    is_https = examination.endpoint.base_url.strip().lower().startswith("https:")
    if is_https and isinstance(examination.list_error, TokenFailed):
        raise Skipped("unclear")
    if is_https and examination.list_error is not None and examination.list_error.code == Code.UPSTREAM_TLS:
        raise examination.list_error
    if is_https:
        return "good", {"case": "certificate"}
    return ("good", {"case": "private_http"}) if examination.is_private else ("bad", {"case": "plain_http"})


async def auth(examination: Examination) -> Verdict:
    """By the first question: a list of models is often given to everybody."""
    if examination.list_error is not None and examination.list_error.code == Code.UPSTREAM_AUTH:
        raise examination.list_error
    began = monotonic()
    examination.questions.whole = await examination.questions.ask(whole_answers=True)
    spent = monotonic() - began
    examination.carried = {"auth": -spent, "whole_answer": spent}
    error = examination.questions.whole.error
    if isinstance(error, TokenFailed) or (error is not None and error.code == Code.UPSTREAM_AUTH):
        raise error
    if error is not None and error.code == Code.UPSTREAM_FORBIDDEN:
        return "odd", error_detail(error)
    if error is not None and not _has_looked_at_the_key(examination, error):
        raise Skipped("unclear")
    has_key = examination.endpoint.auth != "none" and bool(examination.endpoint.api_key.strip())
    return "good", {"case": "accepted" if has_key else "no_key"}


async def models(examination: Examination) -> Verdict:
    """The list of models holds the one that is examined."""
    if examination.list_error is not None:
        return "odd", {"case": "no_list", **error_detail(examination.list_error)}
    name, count = examination.questions.model.removeprefix("models/"), len(examination.listed)
    found = next((one for one in examination.listed if one.name == name), None)
    if found is None:
        if examination.questions.whole is not None and examination.questions.whole.code == Code.UPSTREAM_NOT_FOUND:
            return "bad", {"case": "missing", "count": count}
        return "odd", {"case": "not_listed", "count": count}
    # What a running llama.cpp has room for may be less than what its model was made for.
    window = await examination.server_load.context_window() or found.context_window
    return "good", {"case": "listed", "count": count, "context_window": window}


def _has_looked_at_the_key(examination: Examination, error: ProviderError) -> bool:
    """Nothing is found at a wrong address either, whatever the key."""
    is_found = error.code != Code.UPSTREAM_NOT_FOUND or examination.list_error is None
    return error.code.rules.is_key_accepted and is_found


async def _resolved(host: str, port: int, seconds: float) -> list[str]:
    """The addresses that a name stands for. Raises ProviderError."""
    try:
        async with asyncio.timeout(seconds):
            return await Resolver().addresses(host, port)
    except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
        raise ProviderError(Code.UPSTREAM_DNS) from error
