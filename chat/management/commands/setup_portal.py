"""`manage.py setup_portal`: everything between installing and serving. It is fast and can be repeated."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chat import bundle, environment_models
from chat.generation.recovery import DataDirectoryBusy, data_lock
from chat.tokens import seed_tables
from chat.upgrades import copies_folder, copy_database, database_file, why_too_new


class Command(BaseCommand):
    """Prepares the database, the static files and the rows for the environment's settings."""

    help = "Migrate (after a copy), collect static files, create the first user and the environment's provider."
    requires_system_checks: list[str] = []  # `serve` runs the database checks, and this command must be fast

    def handle(self, *args: Any, **options: Any) -> None:
        Path(settings.PORTAL_DATA_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = data_lock()
        try:
            lock.acquire()
        except DataDirectoryBusy as busy:
            self._say(str(busy))
            sys.exit(1)
        try:
            self._refuse_what_is_too_new()
            self._migrate()
            with cache_lock(settings.PORTAL_CACHE_DIR):
                seed_tables(settings.PORTAL_CACHE_DIR / "tiktoken")
                self._compile_messages()
                self._bundle()
                self._collect_static()
            self._create_superuser()
            self._sync_providers()
        finally:
            lock.release()

    def _refuse_what_is_too_new(self) -> None:
        if reason := why_too_new():
            self._say(reason)
            sys.exit(1)

    def _migrate(self) -> None:
        database = database_file()
        database.touch(mode=0o600)  # SQLite would make it readable by all users; its other files inherit the mode
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return
        if executor.loader.applied_migrations:
            self._say(f"copied the database to {copy_database(database, copies_folder())}")
        self._say("preparing the database")
        call_command("migrate", verbosity=0, interactive=False)

    def _compile_messages(self) -> None:
        for folder in settings.LOCALE_PATHS:
            for po in sorted(Path(folder).glob("*/LC_MESSAGES/*.po")):
                mo = po.with_suffix(".mo")
                if not mo.exists() or mo.stat().st_mtime_ns < po.stat().st_mtime_ns:
                    compile_catalogue(po, mo)

    def _bundle(self) -> None:
        if not settings.PORTAL_BUNDLED:
            return
        try:
            bundle.make()
        except bundle.BundleError as error:
            remedy = "delete the folder node_modules, then run ./run.py setup"
            self._say(f"warning: scripts and style sheets are not bundled, so pages load slowly ({error}); {remedy}")

    def _collect_static(self) -> None:
        sources = [Path(storage.path(path)) for finder in get_finders() for path, storage in finder.list([])]
        storage = settings.STORAGES["staticfiles"]["BACKEND"].rpartition(".")[2]  # another backend makes other files
        with self._only_when_changed(f"static-{storage}", sources) as changed:
            if changed or not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
                self._say("collecting static files")
                # Nothing is removed, because other portals of this clone may serve these files.
                call_command("collectstatic", verbosity=0, interactive=False)

    @contextlib.contextmanager
    def _only_when_changed(self, name: str, files: list[Path]) -> Any:
        """Yield whether the files have changed since the last successful run."""
        stamp = Path(settings.PORTAL_CACHE_DIR) / "stamps" / name
        digest = hashlib.sha256(django.get_version().encode())
        for file in files:
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        yield not stamp.exists() or stamp.read_text(encoding="utf-8") != digest.hexdigest()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest.hexdigest(), encoding="utf-8")

    def _create_superuser(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        name = settings.PORTAL_ADMIN_USER
        if users.filter(username=name).exists():
            self._say(f"warning: nobody is a superuser, and {name} is an ordinary user. Set PORTAL_ADMIN_USER.")
            return
        password = settings.PORTAL_ADMIN_PASSWORD or secrets.token_urlsafe(12)
        users.create_superuser(username=name, password=password)
        if not settings.PORTAL_ADMIN_PASSWORD:
            self.stdout.write(f"chatsite: created user {name} with password {password}")
            self.stdout.flush()

    def _sync_providers(self) -> None:
        warnings = environment_models.sync_environment_provider(
            settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY, settings.OPENAI_MODELS
        )
        if not settings.PORTAL_LOCAL_MODEL:
            environment_models.disable_local_provider()
        for warning in warnings:
            self._say(f"warning: {warning}")

    def _say(self, text: str) -> None:
        self.stderr.write(f"chatsite: {text}", self.style.NOTICE)
        self.stderr.flush()


@contextlib.contextmanager
def cache_lock(folder: Path) -> Iterator[None]:
    """Wait until no other portal of this clone prepares the shared static files."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "setup.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_catalogue(po: Path, mo: Path) -> None:
    """Compile one message catalogue in Python, because most machines lack the gettext tools."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with po.open("rb") as source:
        catalogue = read_po(source, abort_invalid=True)
    descriptor, partial = tempfile.mkstemp(dir=mo.parent)
    with os.fdopen(descriptor, "wb") as target:
        write_mo(target, catalogue)
    os.chmod(partial, 0o644)
    os.replace(partial, mo)
