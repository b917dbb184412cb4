"""The database of before the portal had a user model of its own: what named Django's user names the new one."""

import pytest
from django.test import Client

from tests.databases.files import DATABASES, change, data_directory, manage, rows

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


@pytest.fixture
def data(tmp_path):
    (before,) = (path for path in DATABASES if path.stem == "0.x-before-user-model")
    return data_directory(tmp_path / "data", before)


def test_permissions_and_the_log_of_the_administration_mean_the_new_model(data):
    database = data / "chatsite.sqlite3"
    assert rows(database, MEANING)[0] == ("auth", "user", "add_user")

    done = manage(data, "migrate")

    assert done.returncode == 0, done.stderr
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
    change(
        database,
        "delete from auth_group_permissions",
        "delete from auth_user_user_permissions",
        "delete from django_admin_log",
        "delete from auth_permission where codename like '%_user'",
        "delete from django_content_type where app_label = 'auth' and model = 'user'",
    )

    done = manage(data, "migrate")

    assert done.returncode == 0, done.stderr
    assert rows(database, USER_TYPES) == [("chat",)]


def test_going_back_to_before_the_user_model_gives_the_grants_back(data):
    database = data / "chatsite.sqlite3"
    granted = [rows(database, query) for query in GRANTED]
    assert manage(data, "migrate").returncode == 0

    done = manage(data, "migrate", "chat", "0008")

    assert done.returncode == 0, done.stderr
    assert [rows(database, query) for query in GRANTED] == granted
    assert ("auth",) in rows(database, USER_TYPES)


@pytest.mark.parametrize("tail", ["", "add/", "?q=owner&p=1", "7/change/?_popup=1"])
def test_the_old_address_of_people_leads_to_the_new_one(client: Client, tail):
    answer = client.get(f"/admin/auth/user/{tail}")

    assert (answer.status_code, answer["Location"]) == (302, f"/admin/chat/user/{tail}")
