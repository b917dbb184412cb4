"""HTTP requests to upstreams: clients, credentials, limits. Every transport fault becomes a ProviderError.

Only this module, transport.py and evolution.py import httpx, so that it can be replaced. Sends and receives bytes,
regardless of the dialect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from chat.codes import Code
from chat.providers.base import Endpoint, Probe, ProviderError
from chat.providers.deadline import Deadline
from chat.providers.errors import TokenFailed, status_failure
from chat.providers.evolution import EvolutionAuth, Token, token_of
from chat.providers.gunzip import Gunzip
from chat.providers.headers import auth_headers, base_url_of, encoded, rate_limits_of, request_id_of, sendable
from chat.providers.redaction import hide, learn, redact
from chat.providers.transport import PinnedTransport, is_silent_end, ssl_context, transport_failure, verifier

ClientFactory = Callable[[Endpoint], httpx.AsyncClient]

ERROR_BODY_BYTES = 16 * 1024
ERROR_BODY_SECONDS = 5.0
WRITE_SECONDS = 10.0
MAX_CONNECTIONS = 2000
REST_SECONDS = 0.05
TOKEN_SECONDS = 30.0
TOKEN_BYTES = 64 * 1024

GOOD = (200, 201, 202, 203)
"""Statuses of a successful answer. 204 has no body, and 206 only a part."""

TURNED_AWAY_SECONDS = 0.25
"""A reset within this time after the request was sent means that the server refuses connections."""

STALE_SECONDS = 1.0
"""If a kept-alive connection ends within this time after the request was sent, it was closed before. If it ends later,
the server has read the request and may bill it."""


class StreamedResponse:
    """A successful answer whose body is still arriving. `sent_at`: when the request was sent, in the loop's time."""

    def __init__(self, response: httpx.Response, probe: Probe, deadline: Deadline, sent_at: float) -> None:
        self.sent_at = sent_at
        self.request_id = request_id_of(response.headers)
        self.content_type = hide(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
        self.rate_limits = rate_limits_of(response.headers)
        self._probe = probe
        self._deadline = deadline
        self._gunzip = _unpacker(response.headers)
        self._body = response.aiter_raw()

    @property
    def compressed(self) -> bool:
        """Whether the body is compressed although `identity` was requested."""
        return self._gunzip is not None

    async def read(self, until: float) -> bytes:
        """Return the next bytes of the body, decompressed; empty at its clean end.

        Raises TimeoutError if the loop's clock passes `until`, or ProviderError `upstream_cut`, `upstream_malformed` or
        `upstream_encoding`.
        """
        while True:
            if self._gunzip is not None and self._gunzip.pending and (piece := self._gunzip.piece()):
                return piece
            received = await self._receive(until)
            if received is None:
                if self._gunzip is not None and not self._gunzip.complete:
                    raise ProviderError(Code.UPSTREAM_ENCODING, "gzip without its end")
                return b""
            if self._gunzip is None:
                return received
            self._gunzip.feed(received)

    async def rest(self) -> None:
        """Read the body after the end mark, usually nothing, so that httpx can reuse the connection.

        After REST_SECONDS it gives up, and the connection is closed.
        """
        until = asyncio.get_running_loop().time() + REST_SECONDS
        try:
            with self._deadline.until(until):
                async for _ in self._body:
                    pass
        except (httpx.TransportError, TimeoutError):
            return

    async def _receive(self, until: float) -> bytes | None:
        try:
            with self._deadline.until(until):
                received = await anext(self._body, None)
        except httpx.RemoteProtocolError as error:
            cut = str(error).startswith("peer closed connection")
            raise ProviderError(Code.UPSTREAM_CUT if cut else Code.UPSTREAM_MALFORMED, redact(str(error))) from error
        except httpx.TransportError as error:
            raise ProviderError(Code.UPSTREAM_CUT, redact(str(error))) from error
        if received is not None:
            self._probe.received()
        return received


class Sender:
    """Sends requests to one endpoint over one connection pool. Raises only ProviderError."""

    def __init__(self, endpoint: Endpoint, client_factory: ClientFactory | None = None) -> None:
        self._endpoint = endpoint
        self._client_factory = client_factory or open_client
        self._client: httpx.AsyncClient | None = None
        self._auth = EvolutionAuth(self._fetch_token) if endpoint.auth == "evolution" else None
        learn(endpoint.api_key, endpoint.key_id)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets that upstream may echo and that must be masked."""
        return (*self._endpoint.secrets, *(self._auth.secrets if self._auth else ()))

    async def aclose(self) -> None:
        """Close all connections and stop a running token request."""
        client, self._client = self._client, None
        if self._auth is not None:
            await self._auth.aclose()
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def post(self, path: str, payload: Mapping[str, Any], probe: Probe) -> AsyncIterator[StreamedResponse]:
        """Send a request and yield the answer once successful headers arrive. Leaving closes the connection at once."""
        content = encoded(payload)
        deadline = Deadline()
        async with AsyncExitStack() as stack:
            stack.callback(deadline.close)
            request = _Request(self._endpoint, path, content, probe, deadline)
            with _translated(request):
                await self._open()
            token = await self._auth.token() if self._auth else ""
            response = await self._send(request, stack)
            if response.status_code == 401 and self._auth is not None:
                # The token may have been revoked early. If a second token is refused, the key is wrong.
                await response.aclose()
                # guard: a refused token is dropped
                self._auth.drop(token)
                await self._auth.token()
                response = await self._send(request, stack)
            stack.push_async_callback(response.aclose)
            yield await self._good(response, request)

    async def _send(self, request: _Request, stack: AsyncExitStack) -> httpx.Response:
        """Return the response once its headers arrive. `stack` closes the client that a second try needs."""
        with _translated(request):
            try:
                return await request.send(await self._open(), self._auth)
            except httpx.TransportError as error:
                if not request.may_be_stale(error):
                    raise
                # Upstream had closed the kept-alive connection, so nothing reached a model.
                client = await stack.enter_async_context(self._client_factory(self._endpoint))
                return await request.send(client, self._auth)

    async def get_json(self, path: str, seconds: float, max_bytes: int) -> object:
        """Return the decoded JSON of one GET. Raises ProviderError."""
        return _decoded(await self.get(path, seconds, max_bytes))

    async def get(self, path: str, seconds: float, max_bytes: int) -> bytes:
        """Return the body of one GET. Raises ProviderError."""
        try:
            async with asyncio.timeout(seconds):
                return await _body(await self._open(), "GET", path, max_bytes, self.secrets, auth=self._auth)
        except TimeoutError as error:
            raise ProviderError(Code.UPSTREAM_TIMEOUT) from error

    async def _fetch_token(self) -> Token:
        """Request a token for the key id and the secret. Raises ProviderError."""
        endpoint = self._endpoint
        question = {"keyId": endpoint.key_id, "secret": endpoint.api_key}
        try:
            address = base_url_of(endpoint.token_url)
            token_endpoint = replace(endpoint, base_url=address, auth="none", extra_headers={}, extra_query={})
            async with asyncio.timeout(TOKEN_SECONDS), self._client_factory(token_endpoint) as client:
                body = await _body(client, "POST", address, TOKEN_BYTES, self.secrets, json=question)
                return token_of(_decoded(body))
        except TimeoutError as error:
            raise TokenFailed(ProviderError(Code.UPSTREAM_TIMEOUT)) from error
        except ProviderError as error:
            if error.code in (Code.UPSTREAM_REJECTED, Code.UPSTREAM_AUTH, Code.UPSTREAM_FORBIDDEN):
                raise ProviderError(Code.UPSTREAM_AUTH, "the key id or its secret was refused") from error
            raise TokenFailed(error) from error

    async def _open(self) -> httpx.AsyncClient:
        addresses = (self._endpoint.base_url, self._endpoint.token_url)
        if self._client is None and any(address.strip().lower().startswith("https:") for address in addresses):
            await asyncio.to_thread(ssl_context)  # for the client, and for those that fetch tokens
        if self._client is None:
            self._client = self._client_factory(self._endpoint)
        return self._client

    async def _good(self, response: httpx.Response, request: _Request) -> StreamedResponse:
        """Return the answer if its status is successful; otherwise raise the matching ProviderError."""
        status = response.status_code
        if status in GOOD:
            return StreamedResponse(response, request.probe, request.deadline, request.sent_at)
        request_id = request_id_of(response.headers)
        if 300 <= status < 400:
            raise ProviderError(Code.UPSTREAM_REDIRECT, f"HTTP {status}", request_id=request_id)
        if status < 300:
            raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, f"HTTP {status}", request_id=request_id)
        body = await _error_body(response, request, self._endpoint.limits.first_body)
        raise status_failure(status, response.headers, body, self.secrets, request_id)


class _Request:
    """A running request. As httpcore's `trace` it learns when it was sent and whether it reused a connection."""

    def __init__(self, endpoint: Endpoint, path: str, content: bytes, probe: Probe, deadline: Deadline) -> None:
        self.probe = probe
        self.deadline = deadline
        self.sent_at = 0.0
        self._endpoint = endpoint
        self._path = path
        self._content = content
        self._is_connected_anew = False
        self._is_sent = False
        self._loop = asyncio.get_running_loop()

    async def send(self, client: httpx.AsyncClient, auth: httpx.Auth | None = None) -> httpx.Response:
        """Return the response once its headers arrive. Raises httpx's exceptions and TimeoutError."""
        limits = self._endpoint.limits
        self._is_connected_anew = self._is_sent = False
        request = client.build_request("POST", self._path, content=self._content, extensions={"trace": self})
        self.probe.started()
        # Until the request is sent, httpx's limits apply to each step, and this one to their sum.
        self.sent_at = self._loop.time()
        before_sent = 3 * limits.connect + 2 * WRITE_SECONDS
        with self.deadline.until(self.sent_at + before_sent + limits.first_byte):
            return await client.send(request, auth=auth, stream=True)

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        if name == "connection.connect_tcp.started":
            self._is_connected_anew = True
        elif name == "http11.send_request_body.complete":
            self._is_sent = True
            self.sent_at = self._loop.time()
            self.deadline.until(self.sent_at + self._endpoint.limits.first_byte)
            self.probe.sent()

    def may_be_stale(self, error: httpx.TransportError) -> bool:
        """Return whether a reused connection ended at once without a byte of an answer."""
        soon = self._loop.time() - self.sent_at < STALE_SECONDS
        return not self._is_connected_anew and is_silent_end(error) and (soon or not self._is_sent)

    def failure(self, error: Exception) -> ProviderError:
        """Return the ProviderError for an exception before the answer's headers."""
        if isinstance(error, TimeoutError):
            # A request that was sent may have been billed, so it is not sent again.
            return ProviderError(Code.UPSTREAM_TIMEOUT, "no answer yet", permanent=self._is_sent)
        if isinstance(error, httpx.TransportError) and is_silent_end(error):
            soon = self._loop.time() - self.sent_at < TURNED_AWAY_SECONDS
            turned_away = not isinstance(error, httpx.RemoteProtocolError) and (not self._is_sent or soon)
            return ProviderError(Code.UPSTREAM_UNREACHABLE if turned_away else Code.UPSTREAM_CUT, redact(str(error)))
        return transport_failure(error)


def open_client(endpoint: Endpoint) -> httpx.AsyncClient:
    """Return a client for one endpoint. Raises ProviderError for an invalid address or credentials.

    The client ignores the environment, follows no redirects, keeps no cookies, and connects to allowed addresses only.
    """
    base_url, limits = base_url_of(endpoint.base_url), endpoint.limits
    if not (endpoint.private_network or base_url.startswith("https:")):
        raise ProviderError(Code.UPSTREAM_UNREACHABLE, "plain http outside a private network", permanent=True)
    connections = endpoint.max_parallel + 2 if endpoint.max_parallel else MAX_CONNECTIONS
    pool = httpx.Limits(max_connections=connections, max_keepalive_connections=20, keepalive_expiry=30)
    return httpx.AsyncClient(
        base_url=base_url,
        headers={**auth_headers(endpoint.auth, endpoint.api_key), **sendable(endpoint.extra_headers)},
        params=dict(endpoint.extra_query),
        timeout=httpx.Timeout(connect=limits.connect, write=WRITE_SECONDS, pool=limits.connect, read=None),
        transport=PinnedTransport(endpoint.private_network, verifier(base_url), pool),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
    )


async def _body(
    client: httpx.AsyncClient, method: str, path: str, max_bytes: int, secrets: Sequence[str], **more: Any
) -> bytes:
    """Return the decompressed body of one small request. The caller limits its time. Raises ProviderError."""
    body = bytearray()
    try:
        async with client.stream(method, path, headers={"Accept": "application/json"}, **more) as response:
            headers, status = response.headers, response.status_code
            try:
                await _read(response, body, max_bytes)
            except ProviderError:
                if status in GOOD:  # a part of an error's body is enough
                    raise
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise transport_failure(error) from error
    if 300 <= status < 400:
        raise ProviderError(Code.UPSTREAM_REDIRECT, f"HTTP {status}")
    if status not in GOOD:
        raise status_failure(status, headers, bytes(body[:ERROR_BODY_BYTES]), secrets, request_id_of(headers))
    return bytes(body)


async def _read(response: httpx.Response, body: bytearray, max_bytes: int) -> None:
    """Read the decompressed answer into `body`. Raises ProviderError if it is too long or not decodable."""
    gunzip = _unpacker(response.headers)
    async for received in response.aiter_raw():
        for piece in _pieces(received, gunzip):
            body += piece
            if len(body) > max_bytes:
                raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, f"more than {max_bytes} bytes")
    if gunzip is not None and not gunzip.complete:
        raise ProviderError(Code.UPSTREAM_ENCODING, "gzip without its end")


def _pieces(received: bytes, gunzip: Gunzip | None) -> Iterator[bytes]:
    if gunzip is None:
        yield received
        return
    gunzip.feed(received)
    while gunzip.pending:
        yield gunzip.piece()


def _decoded(body: bytes) -> object:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, "no JSON") from error
    return value


@contextmanager
def _translated(request: _Request) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise request.failure(error) from error


async def _error_body(response: httpx.Response, request: _Request, seconds: float) -> bytes:
    """Return the beginning of an error's body, as far as it arrives in time."""
    until = asyncio.get_running_loop().time() + min(seconds, ERROR_BODY_SECONDS)
    body = b""
    try:
        reply = StreamedResponse(response, request.probe, request.deadline, request.sent_at)
        while len(body) < ERROR_BODY_BYTES and (piece := await reply.read(until)):
            body += piece
    except (ProviderError, TimeoutError):
        pass
    return body[:ERROR_BODY_BYTES]


def _unpacker(headers: Mapping[str, str]) -> Gunzip | None:
    encoding = headers.get("content-encoding", "")
    encodings = [name.strip().lower() for name in encoding.split(",")]
    encodings = [name for name in encodings if name not in ("", "identity")]
    if not encodings:
        return None
    if encodings not in (["gzip"], ["x-gzip"]):
        # As it is written: a key in small letters is not known.
        raise ProviderError(Code.UPSTREAM_ENCODING, redact(encoding))
    return Gunzip()
