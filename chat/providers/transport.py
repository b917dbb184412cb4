"""The transport below http.py: connections to checked addresses only, certificates, mapping of httpx's exceptions."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module

import httpcore  # httpx would import it during the first request and block the loop
import httpx

from chat.codes import Code
from chat.providers.base import ProviderError
from chat.providers.ip_rules import is_ip, may_be_reached
from chat.providers.redaction import redact
from chat.providers.resolver import Resolver

HEAD_START = 0.25
"""Seconds before the next address of a name is tried in parallel (RFC 8305)."""

_NO_ANSWER = "Server disconnected without sending a response."

Stream = httpcore.AsyncNetworkStream


def load_backend() -> None:
    """Import the module that httpx imports at its first request, where it would block the event loop for 45 ms."""
    import_module("anyio._backends._asyncio")


class AddressRefused(httpcore.ConnectError):
    """The host or one of its addresses is not allowed. The message doesn't name it, because users may read it."""


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Looks a name up, checks all its addresses, and connects to one of exactly these.

    A later look-up with other addresses has no effect. TLS and the Host header still use the name.
    """

    def __init__(self, private_network: bool, below: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._private_network = private_network
        self._below = below or httpcore.AnyIOBackend()
        self._resolver = Resolver()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> Stream:
        """Connect within `timeout` seconds, including the look-up.

        Raises httpcore's ConnectTimeout and ConnectError; the cause is a gaierror if the name is unknown.
        """
        connect = partial(
            self._below.connect_tcp, port=port, local_address=local_address, socket_options=socket_options
        )
        addresses = None
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._checked(host, port)
                return await _first(connect, addresses)
        except TimeoutError as error:
            if addresses is None:
                raise httpcore.ConnectError("nobody told the name's addresses in time") from error
            raise httpcore.ConnectTimeout from error

    async def _checked(self, host: str, port: int) -> list[str]:
        """Return the host's addresses in the resolver's order. Raises AddressRefused unless all of them are allowed."""
        addresses = [host] if is_ip(host) else await self._look_up(host, port)
        # guard: every address of a name is judged
        if not addresses or not all(may_be_reached(address, self._private_network) for address in addresses):
            raise AddressRefused("the address is not allowed")
        return addresses

    async def _look_up(self, name: str, port: int) -> list[str]:
        try:
            return await self._resolver.addresses(name, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class PinnedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a PinnedBackend, without proxies."""

    def __init__(self, private_network: bool, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        # Not super().__init__, because httpx takes no backend. It would only create the pool.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http2=False,
            network_backend=PinnedBackend(private_network),
        )


def verifier(base_url: str) -> ssl.SSLContext:
    """Return the SSL context for an address; without TLS, an empty one that is cheap to create."""
    return ssl_context() if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the process's SSL context, which takes 100 ms to create. It includes the system's CAs (SSL_CERT_FILE)."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def transport_failure(error: Exception) -> ProviderError:
    """Return the ProviderError for an httpx exception, independent of the request's state."""
    reason = redact(str(error))
    if isinstance(error, httpx.TimeoutException):
        return ProviderError(Code.UPSTREAM_TIMEOUT, reason)
    if isinstance(error, httpx.ConnectError):
        causes = list(_causes(error))
        if any(isinstance(cause, AddressRefused) for cause in causes):
            return ProviderError(Code.UPSTREAM_UNREACHABLE, reason, permanent=True)
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return ProviderError(Code.UPSTREAM_DNS, reason)
        if any(isinstance(cause, ssl.SSLError | ssl.CertificateError) for cause in causes):
            return ProviderError(Code.UPSTREAM_TLS, reason)
        return ProviderError(Code.UPSTREAM_UNREACHABLE, reason)
    if isinstance(error, httpx.RemoteProtocolError | httpx.UnsupportedProtocol):
        return ProviderError(Code.UPSTREAM_CUT if str(error) == _NO_ANSWER else Code.UPSTREAM_BAD_RESPONSE, reason)
    if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.LocalProtocolError):
        return ProviderError(Code.UPSTREAM_CUT, reason)
    if isinstance(error, httpx.InvalidURL):
        return ProviderError(Code.UPSTREAM_DNS, reason, permanent=True)
    return ProviderError(Code.UPSTREAM_REJECTED, reason)


def is_silent_end(error: httpx.TransportError) -> bool:
    """Return whether the connection ended before a status line: closed, reset, or dead at the write."""
    if isinstance(error, httpx.RemoteProtocolError):
        return str(error) == _NO_ANSWER
    return isinstance(error, httpx.ReadError | httpx.WriteError | httpx.CloseError)


async def _first(connect: Callable[[str], Coroutine[None, None, Stream]], addresses: Sequence[str]) -> Stream:
    """Return the first successful connection. The next address starts after a failure or after HEAD_START."""
    if len(addresses) == 1:
        return await connect(addresses[0])
    waiting, trying = list(addresses), set[asyncio.Task[Stream]]()
    error: BaseException | None = None
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(connect(waiting.pop(0))))
            head_start = HEAD_START if waiting else None
            done, _ = await asyncio.wait(trying, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.remove(task)
                error = task.exception()
                if error is None:
                    return task.result()
        raise error or httpcore.ConnectError("no address")
    finally:
        await _abandon(trying)


async def _abandon(trying: set[asyncio.Task[Stream]]) -> None:
    for task in trying:
        task.cancel()
    for stream in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(stream, Stream):  # two connections succeeded at the same time
            await stream.aclose()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the causes and contexts of an exception, including members of groups."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error.__cause__, error.__context__]
    while todo:
        cause = todo.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        todo += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            todo += cause.exceptions
