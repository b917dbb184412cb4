"""Databases that older versions have left, one for each release: this version upgrades them and goes on with them."""

import httpx
import pytest
from django.contrib.sessions.models import Session

from chat.models import Conversation
from tests.databases.files import DATABASES, columns_of, data_directory, manage, rows, tables_of
from tests.databases.make import make
from tests.support.portal import Portal

KEPT = (
    "auth_user",
    "auth_group",
    "auth_user_groups",
    "auth_user_user_permissions",
    "auth_group_permissions",
    "django_session",
    "django_admin_log",
    "chat_provider",
    "chat_languagemodel",
    "chat_conversation",
    "chat_message",
    "chat_generation",
    "chat_usagerecord",
)
"""Tables with what people have entered or what was counted. Their rows stay, and so do the values of their columns."""


def contents_of(database, columns):
    """`{table: sorted rows}` of the named columns."""
    return {
        table: sorted(rows(database, f"select {', '.join(columns[table])} from {table}"), key=repr) for table in KEPT
    }


@pytest.fixture(params=DATABASES, ids=lambda path: path.stem)
def data(request, tmp_path):
    return data_directory(tmp_path / "data", request.param)


@pytest.mark.parametrize("command", ["migrate", "setup_portal"])
def test_what_was_stored_survives_an_upgrade(data, command):
    database = data / "chatsite.sqlite3"
    ((address,),) = rows(database, "select base_url from chat_provider where name = 'environment'")
    columns = {table: columns_of(database, table) for table in KEPT}
    before = contents_of(database, columns)
    assert all(before.values())

    done = manage(data, command, OPENAI_BASE_URL=address)

    assert done.returncode == 0, done.stderr
    assert contents_of(database, columns) == before
    assert rows(database, "pragma foreign_key_check") == []


def test_an_upgraded_database_has_the_tables_of_a_fresh_one(data, data_template):
    assert manage(data, "migrate").returncode == 0

    assert tables_of(data / "chatsite.sqlite3") == tables_of(data_template / "chatsite.sqlite3")


def test_a_portal_starts_on_it_and_people_are_still_logged_in(data, upstream):
    portal = Portal(upstream.base_url, template=data)
    try:
        portal.start()
        sessions = portal.rows(Session.objects.values_list("session_key", flat=True))
        pages = [httpx.get(portal.url + "/chat/", cookies={f"sessionid_{portal.port}": key}) for key in sessions]
        assert {page.status_code for page in pages} == {200}
        (title,) = {one.title for one in portal.rows(Conversation.objects.all())}
        assert any(title in page.text for page in pages)
        portal.check_invariants()
        assert portal.stop() == 0, portal.log
    finally:
        portal.remove()


def test_the_script_for_the_next_release_fills_every_table_that_is_looked_at(tmp_path):
    database = tmp_path / "made.sqlite3"

    make(database)

    contents = contents_of(database, tables_of(database))
    assert [table for table in KEPT if not contents[table]] == []
    assert manage(data_directory(tmp_path / "data", database), "migrate").returncode == 0
