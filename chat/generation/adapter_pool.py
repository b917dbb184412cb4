"""A pool with one adapter per provider. A changed provider row gets a new adapter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from chat import providers
from chat.database import Database
from chat.generation import store
from chat.providers.base import Adapter, Endpoint, UnsupportedField
from chat.tasks import TaskSet

logger = logging.getLogger(__name__)


@dataclass
class _Pooled:
    endpoint: Endpoint
    adapter: Adapter
    borrowers: int = 0
    is_outdated: bool = False


class AdapterPool:
    """Lends adapters. An outdated adapter is closed when its last borrower returns it."""

    def __init__(self, database: Database, tasks: TaskSet) -> None:
        self._database = database
        self._tasks = tasks
        self._pooled: dict[int, _Pooled] = {}
        self._open: set[Adapter] = set()

    @asynccontextmanager
    async def lend(self, provider: int, endpoint: Endpoint) -> AsyncGenerator[Adapter, None]:
        """Yield the provider's adapter; a new one if the provider's row has changed."""
        pooled = self._pooled.get(provider)
        if pooled is None or pooled.endpoint != endpoint:
            if pooled is not None:
                pooled.is_outdated = True
                self._close_if_idle(pooled)
            adapter = providers.build(replace(endpoint, remember=lambda refused: self._remember(provider, refused)))
            self._open.add(adapter)
            pooled = self._pooled[provider] = _Pooled(endpoint, adapter)
        pooled.borrowers += 1
        try:
            yield pooled.adapter
        finally:
            pooled.borrowers -= 1
            self._close_if_idle(pooled)

    async def close(self) -> None:
        """Close all adapters and their connections."""
        await asyncio.gather(*(adapter.aclose() for adapter in self._open), return_exceptions=True)
        self._open.clear()
        self._pooled.clear()

    def _close_if_idle(self, pooled: _Pooled) -> None:
        if pooled.is_outdated and not pooled.borrowers:
            self._tasks.start(self._close(pooled.adapter), "closing an adapter")

    async def _close(self, adapter: Adapter) -> None:
        await adapter.aclose()
        self._open.discard(adapter)

    def _remember(self, provider: int, refused: UnsupportedField) -> None:
        """Store that the upstream refused a field of the request, so that it is not sent again."""
        logger.info("provider %d does not take %s; it is not sent any more", provider, refused.field)
        self._tasks.start(self._database.write(lambda: store.remember(provider, refused)), "remembering")
