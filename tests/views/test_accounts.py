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
    assert "Name and password don’t match." in page
    assert len(re.findall(r'<input[^>]*type="password"', page)) == 1
    assert "the right password" not in page


@pytest.mark.parametrize(("name", "field"), [("owner", "password"), ("", "username")])
def test_after_a_failure_the_first_empty_field_has_the_focus(client, owner, name, field):
    page = client.post(LOGIN, {"username": name, "password": "wrong"}).content.decode()
    focused = re.findall(r"<input[^>]*autofocus[^>]*>", page)
    assert len(focused) == 1 and f'name="{field}"' in focused[0]


def test_an_account_that_is_switched_off_reads_the_same(client, owner):
    owner.is_active = False
    owner.save()
    answer = log_in(client)
    assert answer.status_code == 200
    assert "Name and password don’t match." in answer.content.decode()


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


def test_the_new_password_has_one_hint_that_is_read_with_it(browse):
    page = browse.get("/accounts/password_change/").content.decode()
    assert page.count("field__hint") == 1
    hint = re.search(r'<p class="field__hint" id="(\w+)">At least 8 characters;', page)
    assert hint and f'aria-describedby="{hint[1]}"' in page
    assert "New password again" in page


@pytest.mark.parametrize("password", ["short 7", "9471038265", "password1", "theowner"])
def test_what_the_hint_forbids_is_refused_with_the_reason_at_the_field(browse, owner, password):
    fields = {"old_password": "the right password", "new_password1": password, "new_password2": password}
    page = browse.post("/accounts/password_change/", fields).content.decode()
    assert page.count('role="alert"') == 1
    for described in re.findall(r'aria-describedby="([^"]*)"', page):
        assert all(f'id="{name}"' in page for name in described.split())
    owner.refresh_from_db()
    assert owner.check_password("the right password")
