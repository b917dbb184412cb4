"""Sockets that a test opened are closed in its own event loop."""

from collections.abc import AsyncIterator

import pytest

from tests.support.portal import Socket


@pytest.fixture(autouse=True)
async def _close_sockets() -> AsyncIterator[None]:
    yield
    while Socket.opened:
        await Socket.opened.pop().close()
