"""A database of the version before the portal had a user model of its own, upgraded by either command."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.portal import KEYS

OLD = Path(__file__).parent.parent / "databases" / "0.x-before-user-model.sqlite3"
KEPT = (
    "select id, username, password, is_staff, is_superuser, date_joined from auth_user order by id",
    "select id, name from auth_group",
    "select * from auth_user_groups",
    "select * from auth_user_user_permissions",
    "select * from auth_group_permissions",
    "select * from django_session",
    "select * from django_admin_log",
    "select * from chat_conversation",
    "select * from chat_message order by id",
    "select * from chat_generation",
    "select * from chat_usagerecord",
)
TABLES = "select name from sqlite_master where type = 'table' and sql like '%REFERENCES \"auth_user\"%' order by name"
MEANING = """
    select t.app_label, t.model, p.codename
    from auth_permission p join django_content_type t on t.id = p.content_type_id
    where p.codename in ('add_user', 'change_user', 'delete_user', 'view_user') order by p.codename
"""
LOGGED = "select t.app_label, t.model from django_admin_log l join django_content_type t on t.id = l.content_type_id"
USER_TYPES = "select app_label from django_content_type where model = 'user' order by app_label"
GRANTED = (
    """
    select g.group_id, p.codename from auth_group_permissions g join auth_permission p on p.id = g.permission_id
    order by g.group_id, p.codename
    """,
    """
    select u.user_id, p.codename from auth_user_user_permissions u join auth_permission p on p.id = u.permission_id
    order by u.user_id, p.codename
    """,
)


def rows(database, query):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def manage(data, *arguments):
    env = {**os.environ, **KEYS, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "fake"}
    env["PORTAL_DATA_DIR"] = str(data)
    call = [sys.executable, "manage.py", *arguments]
    return subprocess.run(call, cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    shutil.copyfile(OLD, data / "chatsite.sqlite3")
    (data / "chatsite.sqlite3").chmod(0o600)
    return data


@pytest.mark.parametrize("command", ["migrate", "setup_portal"])
def test_everything_survives_the_new_user_model(data, command):
    database = data / "chatsite.sqlite3"
    before = {query: rows(database, query) for query in KEPT}
    pointing = rows(database, TABLES)
    assert all(before.values()) and rows(database, MEANING)[0][0] == "auth"

    done = manage(data, command)

    assert done.returncode == 0, done.stderr
    assert {query: rows(database, query) for query in KEPT} == before
    assert rows(database, TABLES) == pointing
    assert rows(database, "pragma foreign_key_check") == []
    assert rows(database, "select distinct language, time_zone, preferences from auth_user") == [("", "", "{}")]
    names = ("add_user", "change_user", "delete_user", "view_user")
    assert rows(database, MEANING) == [("chat", "user", name) for name in names]
    assert rows(database, LOGGED) == [("chat", "user")]


def test_grants_and_log_also_move_when_the_new_content_type_is_there_already(data):
    database = data / "chatsite.sqlite3"
    granted = [rows(database, query) for query in GRANTED]
    assert all(granted)
    assert manage(data, "migrate", "chat", "0008").returncode == 0
    assert rows(database, USER_TYPES) == [("auth",), ("chat",)]

    done = manage(data, "migrate")

    assert done.returncode == 0, done.stderr
    assert rows(database, USER_TYPES) == [("chat",)]
    assert [rows(database, query) for query in GRANTED] == granted
    assert rows(database, LOGGED) == [("chat", "user")]
    assert rows(database, "pragma foreign_key_check") == []


def test_a_database_without_the_old_content_type_is_upgraded(data):
    database = data / "chatsite.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("delete from auth_group_permissions")
        connection.execute("delete from auth_user_user_permissions")
        connection.execute("delete from django_admin_log")
        connection.execute("delete from auth_permission where codename like '%_user'")
        connection.execute("delete from django_content_type where app_label = 'auth' and model = 'user'")

    done = manage(data, "migrate")

    assert done.returncode == 0, done.stderr
    assert rows(database, USER_TYPES) == [("chat",)]


def test_a_session_of_before_is_still_logged_in(data):
    (key,) = rows(data / "chatsite.sqlite3", "select session_key from django_session")[0]
    assert manage(data, "migrate").returncode == 0

    asked = f"from chat.access import user_of_session; print(user_of_session({key!r}))"

    assert "'name': " in manage(data, "shell", "--no-imports", "-c", asked).stdout


def test_going_back_to_before_the_user_model_gives_the_grants_back(data):
    database = data / "chatsite.sqlite3"
    granted = [rows(database, query) for query in GRANTED]
    assert manage(data, "migrate").returncode == 0

    done = manage(data, "migrate", "chat", "0008")

    assert done.returncode == 0, done.stderr
    assert [rows(database, query) for query in GRANTED] == granted
    assert ("auth",) in rows(database, USER_TYPES)


def test_the_upgraded_database_has_the_tables_of_a_fresh_one(data, tmp_path):
    (tmp_path / "fresh").mkdir(mode=0o700)
    assert manage(data, "migrate").returncode == 0
    assert manage(tmp_path / "fresh", "migrate").returncode == 0

    for table in ("auth_user", "auth_user_groups", "auth_user_user_permissions"):
        query = f"select name, \"notnull\", pk from pragma_table_info('{table}') order by name"
        assert rows(data / "chatsite.sqlite3", query) == rows(tmp_path / "fresh" / "chatsite.sqlite3", query)
    assert rows(data / "chatsite.sqlite3", TABLES) == rows(tmp_path / "fresh" / "chatsite.sqlite3", TABLES)


def test_the_old_address_of_people_leads_to_the_new_one(client: Client):
    answer = client.get("/admin/auth/user/7/change/?_popup=1")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/chat/user/7/change/?_popup=1")
