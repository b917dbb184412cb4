"""What the tests of addresses share: a resolver of their own, and a list of the connections that were begun."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest

from tests.support.resolver import Names


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.goes_on.set()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every host that a TCP connection was begun to, as it was named."""
    hosts: list[str] = []
    below = httpcore.AnyIOBackend.connect_tcp

    async def connect_tcp(self: Any, host: str, *args: Any, **more: Any) -> Any:
        hosts.append(host)
        return await below(self, host, *args, **more)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    yield hosts
