"""Authentication for Evolution (cloud.ru): a key id and a secret are exchanged for a token that is valid for an hour.

The token is kept in memory. The server takes `{"keyId", "secret"}` as JSON and answers with `access_token` and
`expires_in` (seconds). It has no refresh: a new token needs the same request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import NamedTuple

import httpx

from chat.codes import Code
from chat.providers.base import ProviderError
from chat.providers.redaction import learn

LIFETIME = 3600.0
"""Seconds that a token is valid if its answer doesn't say."""
LONGEST_LIFETIME = 10**9
"""Seconds. Longer values are ignored."""
EARLY = 60.0
"""Seconds before its end at which a token is renewed; for a short-lived token, a fifth of its lifetime."""


class Token(NamedTuple):
    """A token, and the seconds that it is valid from its request on."""

    text: str
    lifetime: float = LIFETIME

    def __repr__(self) -> str:
        """Hide the token."""
        return "Token(…)"


class EvolutionAuth(httpx.Auth):
    """Adds a valid token to each request. Never reads an answer, so that streaming still works.

    fetch  requests a token; raises ProviderError. Concurrent requests share one call.
    clock  monotonic, in seconds
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._token = ""
        self._valid_until = 0.0
        self._renewal: asyncio.Task[str] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets that must not appear in logs and errors."""
        return (self._token,) if self._token else ()

    async def token(self) -> str:
        """Return a token that is not about to expire. Raises ProviderError."""
        if self._token and self._clock() < self._valid_until:
            return self._token
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(self._renewed)
        # A cancelled caller does not cancel the renewal for the others.
        # guard: whoever gives up waiting for a token takes it from nobody
        return await asyncio.shield(self._renewal)

    def drop(self, token: str) -> None:
        """Discard a token that the server refused, unless it was replaced already. The next request gets a new one."""
        if token == self._token:
            self._token = ""

    async def aclose(self) -> None:
        """Cancel a running renewal."""
        renewal = self._renewal
        if renewal is not None:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Set the header of the request (httpx's hook)."""
        request.headers["Authorization"] = f"Bearer {await self.token()}"
        yield request

    async def _renew(self) -> str:
        asked_at = self._clock()
        token = await self._fetch()
        learn(token.text)
        self._token = token.text
        self._valid_until = asked_at + token.lifetime - min(EARLY, token.lifetime / 5)
        return token.text

    def _renewed(self, renewal: asyncio.Task[str]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # the callers get it; without callers asyncio must not log it


def token_of(answer: object) -> Token:
    """Return the token in the server's answer. Raises ProviderError `upstream_bad_response`."""
    text = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
        raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, "no token")
    lifetime = answer.get("expires_in") if isinstance(answer, dict) else None
    is_number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and 0 < lifetime < LONGEST_LIFETIME
    return Token(text, float(lifetime)) if is_number and lifetime is not None else Token(text)
