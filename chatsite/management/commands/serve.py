"""`manage.py serve`: serve the portal. Production runs this command, and so does `./run.py`."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

logger = logging.getLogger(__name__)

READY_TRIES, READY_PAUSE = 50, 0.1


class Command(BaseCommand):
    """Lock the data directory, check migrations, sweep, listen; at SIGTERM stop listening, drain, save, close."""

    help = "Serve the portal on HOST and PORT until SIGTERM or SIGINT."
    requires_system_checks: list[str] = []  # the database checks run later, with the lock held

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit with code 0 after a drain; 1 if the port or the data directory is in use, or the database has another
        version.
        """
        from chat.generation.failpoint import POINTS
        from chat.generation.recovery import DataDirectoryBusy, data_lock, sweep
        from chat.upgrades import why_too_new

        lock = data_lock()
        if settings.PORTAL_FAILPOINT and settings.PORTAL_FAILPOINT not in POINTS:
            leave(f"PORTAL_FAILPOINT: there is no {settings.PORTAL_FAILPOINT}; use one of {', '.join(POINTS)}")
        try:
            # guard: serving takes the lock
            lock.acquire()
        except DataDirectoryBusy as busy:
            leave(str(busy))
        except OSError as error:
            leave(f"PORTAL_DATA_DIR: {settings.PORTAL_DATA_DIR} can't be used: {error.strerror}")
        try:
            if reason := why_too_new():
                leave(reason)
            if behind := unapplied_migrations():
                leave(f"{behind} migrations are not applied; run: ./run.py, or manage.py setup_portal")
            self.check(tags=[Tags.database], databases=["default"])  # report a lost key now, not at the first answer
            sweep()
            failure = serve()
        finally:
            lock.release()
        if failure:
            leave(failure)


def leave(reason: str) -> None:
    """Print one line and exit with code 1."""
    print(f"chatsite: {reason}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def unapplied_migrations() -> int:
    """Return the number of migrations that are not applied."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def serve() -> str:
    """Serve until a signal. Return why it could not, or ''."""
    from chat.bundle import is_bundled
    from chat.environment_models import disable_local_provider, sync_local_provider
    from chat.local_model import LocalModel
    from chatsite.server import PortalServer  # installs the reactor, so it comes before other imports of Twisted
    from chat.generation.runner import Runner  # isort: skip
    from chatsite.asgi import build_application  # isort: skip

    is_bundled()  # decided now, by the files as they were collected, not at the first request
    runner = Runner()
    runner.open()
    local_model = LocalModel() if LocalModel.available() else None
    if local_model is not None:
        sync_local_provider(local_model.base_url, local_model.api_key)
    else:
        disable_local_provider()
    connection.close()

    async def started(port: int) -> None:
        await runner.start()
        if local_model is not None:
            await local_model.start()
        await announce(runner, port)

    async def close() -> None:
        await runner.close()
        if local_model is not None:
            await local_model.stop()

    server = PortalServer(
        build_application(runner),
        host=settings.HOST,
        port=settings.PORT,
        started=started,
        drain=lambda: runner.drain(settings.PORTAL_DRAIN_SECONDS),
        hurry=runner.hurry,
        close=close,
    )
    server.run()
    runner.close_now()
    return server.failure


async def announce(runner: Any, port: int) -> None:
    """Print the line that shows that /readyz now returns 200."""
    from chatsite.asgi import why_not_ready

    for _ in range(READY_TRIES):
        if not await why_not_ready(runner):
            break
        await asyncio.sleep(READY_PAUSE)
    else:
        raise RuntimeError("the database does not write")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104  shown, not bound
    host = f"[{host}]" if ":" in host else host
    print(f"chatsite: ready at http://{host}:{port}/", flush=True)
