"""Evolution's keys (cloud.ru): a key id and a secret are exchanged for a token that lives an hour, again and again.

The token stays in memory. Known of the server: it takes `{"keyId", "secret"}` as JSON, answers with `access_token` and
`expires_in` (seconds), and has no way to renew but to ask again.
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
"""Seconds that a token lives when its answer doesn't say."""
LONGEST_LIFETIME = 10**9
"""Seconds; who says more says nothing."""
EARLY = 60.0
"""Seconds before its end at which a token is renewed; of a short-lived one, a fifth of its life."""


class Token(NamedTuple):
    """A token, and the seconds that it lives from the moment it was asked for."""

    text: str
    lifetime: float = LIFETIME

    def __repr__(self) -> str:
        """Without what it holds."""
        return "Token(…)"


class EvolutionAuth(httpx.Auth):
    """Puts a valid token into each request. Never reads an answer, so that streams stay streams.

    fetch  asks for a token; raises ProviderError. However many requests need one, it is called once.
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
        """What no log and no error may hold."""
        return (self._token,) if self._token else ()

    async def token(self) -> str:
        """A token that is good for a while yet. Raises ProviderError."""
        if self._token and self._clock() < self._valid_until:
            return self._token
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(self._renewed)
        # Whoever gives up waiting, be it the first, takes nothing from the others.
        # guard: whoever gives up waiting for a token takes it from nobody
        return await asyncio.shield(self._renewal)

    def drop(self, token: str) -> None:
        """The server refused this token: the next request gets another one, unless that has happened already."""
        if token == self._token:
            self._token = ""

    async def aclose(self) -> None:
        """End a renewal that is under way."""
        renewal = self._renewal
        if renewal is not None:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """httpx's hook: one request, no look at its answer."""
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
            renewal.exception()  # told to those who wait; with nobody left, it is not asyncio's to complain of


def token_of(answer: object) -> Token:
    """The token in the server's answer. Raises ProviderError `upstream_bad_response`."""
    text = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
        raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, "no token")
    lifetime = answer.get("expires_in") if isinstance(answer, dict) else None
    is_number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and 0 < lifetime < LONGEST_LIFETIME
    return Token(text, float(lifetime)) if is_number and lifetime is not None else Token(text)
