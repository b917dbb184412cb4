"""The admin's front page: what is needed first comes first, and nobody sees what they may not open."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission


def headings(page):
    return re.findall(r"<caption>(.*?)</caption>", page)


def test_the_sections_stand_in_the_order_of_need(browse):
    page = browse.get("/admin/").content.decode()
    assert headings(page) == ["Providers and models", "People", "Usage", "Conversations"]
    rows = re.findall(r'<tr class="model-(\w+)', page)
    assert rows == [
        "provider", "languagemodel", "user", "group", "usagerecord", "selfcheck",
        "conversation", "message", "generation", "segment",
    ]  # fmt: skip


def test_every_page_says_whose_admin_it_is_and_which_version(browse, rows):
    for page in ("/admin/", "/admin/chat/usagerecord/", "/admin/auth/user/add/"):
        text = browse.get(page).content.decode()
        assert f"chatsite administration · {settings.VERSION}" in text
        assert "| chatsite administration</title>" in text


def test_who_may_see_usage_only_sees_that_section_only(client, rows):
    colleague = get_user_model().objects.create_user("colleague", password="the right password", is_staff=True)
    client.force_login(colleague)
    assert "You may see nothing here" in client.get("/admin/").content.decode()
    colleague.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    assert headings(client.get("/admin/").content.decode()) == ["Usage"]


def test_the_page_of_one_application_stays(browse):
    for label in ("auth", "chat"):
        assert browse.get(f"/admin/{label}/").status_code == 200


@pytest.mark.parametrize(
    "address", ["/admin/", "/admin/auth/user/", "/admin/auth/user/add/", "/admin/chat/usagerecord/"]
)
def test_nothing_is_inline_under_the_strict_policy(browse, rows, address):
    answer = browse.get(address)
    page = answer.content.decode()
    policy = answer["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "<style" not in page and not re.search(r"<[^>]+\s(style|on\w+)=", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
