"""Logging in and out, and changing one's password."""

from __future__ import annotations

import re

import pytest

LOGIN = "/accounts/login/"


def log_in(client, password="the right password", **fields):
    return client.post(LOGIN, {"username": "owner", "password": password, **fields})


def test_the_form_has_one_name_and_one_password(client, db):
    page = client.get(LOGIN).content.decode()
    assert len(re.findall(r"<form", page)) == 1
    assert len(re.findall(r'<input[^>]*autocomplete="username"', page)) == 1
    assert len(re.findall(r'<input[^>]*type="password"', page)) == 1
    assert 'name="csrfmiddlewaretoken"' in page


def test_the_right_password_leads_to_a_new_conversation(client, owner):
    answer = log_in(client)
    assert (answer.status_code, answer["Location"]) == (302, "/chat/")
    assert client.get("/chat/").status_code == 200


def test_and_to_where_one_wanted_to_go(client, owner):
    assert client.get("/chat/").headers["Location"] == f"{LOGIN}?next=/chat/"
    page = client.get(f"{LOGIN}?next=/accounts/password_change/").content.decode()
    assert '<input type="hidden" name="next" value="/accounts/password_change/">' in page
    assert log_in(client, next="/accounts/password_change/")["Location"] == "/accounts/password_change/"


def test_but_never_to_another_site(client, owner):
    assert log_in(client, next="https://evil.example/")["Location"] == "/chat/"


@pytest.mark.parametrize("fields", [{"password": "wrong"}, {"password": ""}, {"username": "nobody"}, {"username": ""}])
def test_anything_wrong_shows_the_same_form_with_one_error(client, owner, fields):
    answer = client.post(LOGIN, {"username": "owner", "password": "the right password", **fields})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count('role="alert"') == 1
    assert "Name and password don&#x27;t match." in page
    assert len(re.findall(r'<input[^>]*type="password"', page)) == 1
    assert "the right password" not in page


def test_an_account_that_is_switched_off_reads_the_same(client, owner):
    owner.is_active = False
    owner.save()
    answer = log_in(client)
    assert answer.status_code == 200
    assert "Name and password don&#x27;t match." in answer.content.decode()


def test_logging_out_takes_a_post(browse):
    assert browse.get("/accounts/logout/").status_code == 405
    assert browse.get("/chat/").status_code == 200
    answer = browse.post("/accounts/logout/")
    assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    assert browse.get("/chat/").status_code == 302


def test_a_password_is_changed_only_with_the_old_one(browse, owner):
    new = {"new_password1": "quite another one 7", "new_password2": "quite another one 7"}
    wrong = browse.post("/accounts/password_change/", {"old_password": "wrong", **new})
    assert wrong.status_code == 200 and 'role="alert"' in wrong.content.decode()
    right = browse.post("/accounts/password_change/", {"old_password": "the right password", **new}, follow=True)
    assert "Password changed" in right.content.decode()
    owner.refresh_from_db()
    assert owner.check_password("quite another one 7")
    assert browse.get("/chat/").status_code == 200
