"""Periodic tasks that run as long as the portal does: cleaning up and checking integrity."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Mapping

from chat import integrity
from chat.conversations import Conversations
from chat.database import Database
from chat.generation import store
from chat.generation.run import Run

logger = logging.getLogger(__name__)

CLEANING_SECONDS = 2.0
FIRST_CHECK_SECONDS, CHECK_SECONDS = 60.0, 3600.0


async def clean_up(
    database: Database,
    conversations: Conversations,
    runs: Mapping[uuid.UUID, Run],
    end_overdue: Callable[[], None],
) -> None:
    """Every 2 s, end prompts that waited too long, purge deleted conversations and end their runs."""
    while True:
        await asyncio.sleep(CLEANING_SECONDS)
        end_overdue()
        try:
            await conversations.purge()
            for generation in await database.read(store.missing, list(runs)):
                if generation in runs:
                    runs[generation].abandon()
        except Exception:
            logger.exception("cleaning up goes on")


async def check_integrity(database: Database, in_memory: Callable[[], Collection[uuid.UUID]]) -> None:
    """Check the invariants of the database every hour. The admin shows the result; a breach is logged.

    in_memory  returns the generations whose end is not stored yet
    """
    await asyncio.sleep(FIRST_CHECK_SECONDS)
    while True:
        try:
            result = await database.read(integrity.check, set(in_memory()))
            await database.write(lambda result=result: integrity.record(result))  # type: ignore[misc]
            if not result.is_well:
                logger.error("self-check: the stored data is not as it should be: %s", result.breaches)
        except Exception:
            logger.exception("the self-check failed")
        await asyncio.sleep(CHECK_SECONDS)
