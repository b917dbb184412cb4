"""Resolve names with the system's resolver, which may hang for minutes and can't be cancelled."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

THREADS = 2
"""Concurrent look-ups per server. In the event loop's default threads, one slow name would delay all others."""


class Resolver:
    """Looks names up for one server, in daemon threads, so that neither closing a client nor the exit waits for them.

    The caller limits the time. An abandoned look-up keeps its thread until it ends.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(THREADS)

    async def addresses(self, name: str, port: int) -> list[str]:
        """Return the addresses of a name in the resolver's order. Raises OSError (a gaierror) and UnicodeError."""
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        await self._free.acquire()
        thread = threading.Thread(target=self._ask, args=(name, port, answer), name="resolver", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._free.release()
            raise OSError("no thread could be started") from error
        return await answer

    def _ask(self, name: str, port: int, answer: asyncio.Future[list[str]]) -> None:
        found: list[str] | Exception
        try:
            entries = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except Exception as error:
            found = error
        with suppress(RuntimeError):  # the loop has ended, and the caller with it
            answer.get_loop().call_soon_threadsafe(self._deliver, answer, found)

    def _deliver(self, answer: asyncio.Future[list[str]], found: list[str] | Exception) -> None:
        self._free.release()
        if answer.done():  # abandoned
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)
