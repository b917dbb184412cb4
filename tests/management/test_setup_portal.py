"""`manage.py setup_portal`, as a process of its own on a data directory of its own."""

import contextlib
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model

from chat.generation.recovery import DataDirectoryLock
from chat.management.commands.check_messages import problems_of
from chat.management.commands.setup_portal import cache_lock, compile_catalogue
from chat.models import Provider
from chat.upgrades import copy_database
from tests.support.portal_database import PortalDatabase

UPSTREAM = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "a"}


@pytest.fixture
def setup(tmp_path):
    """Run it on `tmp_path / "data"`; the tests' other variables stay as they are."""

    def setup(**changes):
        env = {**os.environ, **UPSTREAM, "PORTAL_DATA_DIR": str(tmp_path / "data"), **changes}
        call = [sys.executable, "manage.py", "setup_portal"]
        return subprocess.run(call, cwd=settings.BASE_DIR, env=env, capture_output=True, text=True)

    return setup


@pytest.fixture
def stored(tmp_path):
    """What it has made."""
    one = PortalDatabase(tmp_path / "data")
    yield one
    one.close()


def rows(database, query):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_the_first_time_makes_a_private_database_and_says_the_password_once(setup, stored, tmp_path):
    first, second = setup(), setup()

    assert re.fullmatch(r"chatsite: created user admin with password \S{12,}\n", first.stdout)
    assert (first.returncode, second.returncode, second.stdout) == (0, 0, "")
    database = tmp_path / "data" / "chatsite.sqlite3"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
    assert [one.name for one in stored.rows(Provider.objects.all())] == ["environment"]
    assert not (tmp_path / "data" / "backups").exists()


def test_a_given_password_is_used_and_never_printed(setup, stored):
    done = setup(PORTAL_ADMIN_USER="owner", PORTAL_ADMIN_PASSWORD="correct horse battery")

    assert done.stdout == ""
    assert "correct horse" not in done.stderr
    assert stored.rows(get_user_model().objects.values_list("username", "is_superuser")) == [("owner", True)]


def test_a_superuser_that_was_renamed_is_not_made_again(setup, stored):
    setup()
    stored.change(lambda: get_user_model().objects.update(username="owner"))

    assert setup().stdout == ""


def test_before_it_migrates_it_copies_the_database(setup, tmp_path):
    setup()
    database = tmp_path / "data" / "chatsite.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.execute("delete from django_migrations where app = 'sessions'")
        connection.execute("drop table django_session")
    done = setup()

    assert done.returncode == 0
    (copy,) = (tmp_path / "data" / "backups").iterdir()
    assert re.fullmatch(r"before-migration-\d{8}T\d{6}Z\.sqlite3", copy.name)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert rows(copy, "select count(*) from auth_user") == [(1,)]
    assert rows(copy, "select name from sqlite_master where name = 'django_session'") == []
    assert rows(database, "select count(*) from django_session") == [(0,)]


def test_a_copy_holds_what_is_still_in_the_write_ahead_log(tmp_path):
    with sqlite3.connect(tmp_path / "live.sqlite3") as live:
        live.execute("pragma journal_mode=wal")
        live.execute("create table t (x)")
        live.execute("insert into t values (7)")
        live.commit()
        copy = copy_database(tmp_path / "live.sqlite3", tmp_path / "backups")

    assert rows(copy, "select x from t") == [(7,)]
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [copy.name]


def test_a_running_portal_keeps_it_out(setup, tmp_path):
    (tmp_path / "data").mkdir()
    lock = DataDirectoryLock(tmp_path / "data")
    lock.acquire()
    try:
        done = setup()
    finally:
        lock.release()

    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_another_portal_of_this_clone_is_waited_for(tmp_path):
    first_is_in, first_may_leave, order = threading.Event(), threading.Event(), []

    def prepare_first():
        with cache_lock(tmp_path):
            first_is_in.set()
            first_may_leave.wait(5)
            order.append("first")

    first = threading.Thread(target=prepare_first)
    first.start()
    assert first_is_in.wait(5)
    threading.Timer(0.2, first_may_leave.set).start()
    with cache_lock(tmp_path):
        order.append("second")
    first.join()

    assert order == ["first", "second"]


def test_an_upstream_without_a_list_of_models_is_a_warning_and_no_failure(setup):
    done = setup(OPENAI_MODEL="")

    assert done.returncode == 0
    assert "chatsite: warning: http://127.0.0.1:9/v1/models" in done.stderr


@pytest.mark.parametrize("program", ["/bin/false", ""])
def test_scripts_that_cannot_be_bundled_are_one_warning_and_no_failure(setup, program):
    done = setup(DJANGO_SETTINGS_MODULE="tests.support.bundled_settings", ESBUILD_BINARY_PATH=program)

    warnings = [line for line in done.stderr.splitlines() if "bundle" in line]
    assert done.returncode == 0
    assert len(warnings) == (1 if program else 0)
    assert all("warning" in line and "run ./run.py setup" in line for line in warnings)


PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=2; plural=n!=1;\\n"

msgid "Stop"
msgstr "Стоп"

msgid "%(count)s answer"
msgid_plural "%(count)s answers"
msgstr[0] "ответ"
msgstr[1] "%(count)s ответов"
"""


def catalogue(tmp_path, text):
    path = Path(tmp_path / "django.po")
    path.write_text(text, encoding="utf-8")
    return path


def test_a_catalogue_is_compiled_without_the_gettext_tools(tmp_path):
    import gettext

    compile_catalogue(catalogue(tmp_path, PO), tmp_path / "django.mo")

    with open(tmp_path / "django.mo", "rb") as file:
        translations = gettext.GNUTranslations(file)
    assert translations.gettext("Stop") == "Стоп"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["django.mo", "django.po"]


def test_a_good_catalogue_has_no_problems(tmp_path):
    assert list(problems_of(catalogue(tmp_path, PO))) == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('msgid "New"\nmsgstr ""', "not translated"),
        ('#, fuzzy\nmsgid "New"\nmsgstr "Новый"', "guessed"),
        ('#, python-format\nmsgid "At %(name)s"\nmsgstr "В %(nmae)s"', "placeholders"),
        ('msgid "At {name}"\nmsgstr "В"', "placeholders"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, entry, problem):
    (found,) = problems_of(catalogue(tmp_path, f"{PO}\n{entry}\n"))

    assert problem in found
