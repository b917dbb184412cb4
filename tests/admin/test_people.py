"""Adding a colleague takes a name and a password; the list says who comes and how much they ask."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from chat.models import UsageRecord

ADD = "/admin/chat/user/add/"
LIST = "/admin/chat/user/"
PASSWORD = "a long river of words"


def add(browse, **fields):
    values = {"username": "colleague", "password1": PASSWORD, "password2": PASSWORD}
    return browse.post(ADD, {**values, **fields}, follow=True)


def request_of(user, created_at=None):
    return UsageRecord.objects.create(
        user=user, user_name=user.username, provider_name="upstream", model_name="gpt-4o-mini",
        created_at=created_at or timezone.now(),
    )  # fmt: skip


def test_the_form_asks_for_a_name_and_a_password(browse):
    page = browse.get(ADD).content.decode()
    form = re.search(r'<form[^>]*id="user_form".*?</form>', page, re.S)
    assert form
    names = re.findall(r'<input[^>]* name="(\w+)"', form[0])
    asked = [name for name in names if name != "csrfmiddlewaretoken" and not name.startswith("_")]
    assert asked == ["username", "password1", "password2"]
    assert "<h1>Add a colleague</h1>" in page


def test_a_colleague_sees_the_chat_and_not_the_admin(browse, client):
    answer = add(browse)
    assert answer.redirect_chain == [(LIST, 302)]
    assert "http://testserver/accounts/login/" in answer.content.decode()
    colleague = get_user_model().objects.get(username="colleague")
    assert (colleague.is_active, colleague.is_staff, colleague.is_superuser) == (True, False, False)
    assert not colleague.get_all_permissions()

    client.logout()
    answer = client.post("/accounts/login/", {"username": "colleague", "password": PASSWORD})
    assert answer.status_code == 302 and answer["Location"] == "/chat/"
    page = client.get("/chat/")
    assert page.status_code == 200 and 'href="/admin/' not in page.content.decode()
    for address in ("/admin/", LIST, ADD, "/admin/chat/usagerecord/"):
        assert client.get(address)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize(
    "fields",
    [
        {"password2": "another long river"},
        {"password1": "short", "password2": "short"},
        {"password1": "", "password2": ""},
        {"username": ""},
        {"username": "two words"},
        {"username": "STAFF"},
    ],
)
def test_a_form_with_a_fault_adds_nobody_and_says_why(browse, fields):
    answer = add(browse, **fields)
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert get_user_model().objects.count() == 1


def test_rights_sent_along_are_not_taken(browse):
    add(browse, is_staff="on", is_superuser="on", user_permissions="1")
    colleague = get_user_model().objects.get(username="colleague")
    assert not (colleague.is_staff or colleague.is_superuser or colleague.user_permissions.exists())


def test_rights_can_be_given_later(browse):
    add(browse)
    colleague = get_user_model().objects.get(username="colleague")
    page = browse.get(f"{LIST}{colleague.pk}/change/").content.decode()
    assert 'name="is_staff"' in page and 'name="is_active"' in page


def test_the_list_counts_the_requests_of_this_month(browse, staff):
    colleague = get_user_model().objects.create_user("colleague", password=PASSWORD)
    first = timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for moment in (first, timezone.now(), first - timedelta(seconds=1)):
        request_of(colleague, moment)
    page = browse.get(f"{LIST}?o=-5").content.decode()
    columns = re.findall(r'<th scope="col" class="[^"]*column-(\w+)', page)
    assert columns == ["name", "last_login", "staff", "is_active", "requests_this_month"]
    counts = re.findall(r'<td class="field-requests_this_month">(.*?)</td>', page)
    assert [re.sub("<.*?>", "", count) for count in counts] == ["2", "0"]

    link = re.search(r'href="(/admin/chat/usagerecord/\?[^"]*)"', page)
    assert link
    listed = browse.get(link[1].replace("&amp;", "&")).content.decode()
    assert re.search(r'data-total="requests">2<', listed)


def test_the_list_asks_the_database_the_same_number_of_times_for_many(browse, django_assert_max_num_queries):
    for number in range(20):
        request_of(get_user_model().objects.create_user(f"colleague-{number}"))
    with django_assert_max_num_queries(8):
        browse.get(LIST)


def test_who_may_not_see_usage_reads_no_numbers(client, staff):
    staff = get_user_model().objects.create_user("staff-2", password=PASSWORD, is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(staff)
    page = client.get(LIST).content.decode()
    assert "requests_this_month" not in page and "Add a colleague" not in page
    assert client.get(ADD).status_code == 403
