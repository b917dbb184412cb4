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
    for page in ("/admin/", "/admin/chat/usagerecord/", "/admin/chat/user/add/"):
        text = browse.get(page).content.decode()
        assert ">chatsite administration</a>" in text
        assert f'<span class="version">{settings.VERSION}</span>' in text
        assert "| chatsite administration</title>" in text


def test_who_may_see_usage_only_sees_that_section_only(client, rows):
    colleague = get_user_model().objects.create_user("colleague", password="the right password", is_staff=True)
    client.force_login(colleague)
    assert "There is nothing here that you may see" in client.get("/admin/").content.decode()
    colleague.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    assert headings(client.get("/admin/").content.decode()) == ["Usage"]


def test_the_page_of_one_application_stays(browse):
    for label in ("auth", "chat"):
        assert browse.get(f"/admin/{label}/").status_code == 200


def test_strangers_are_told_no_version(client, db):
    page = client.get("/admin/login/", follow=True).content.decode()
    assert settings.VERSION not in page


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("/admin/chat/usagerecord/", ["Home", "Usage records"]),
        ("/admin/chat/provider/add/", ["Home", "Providers", "Add"]),
        ("/admin/chat/provider/{}/change/", ["Home", "Providers", "upstream"]),
        ("/admin/chat/provider/{}/history/", ["Home", "Providers", "upstream", "History"]),
        ("/admin/chat/provider/{}/delete/", ["Home", "Providers", "upstream", "Delete"]),
    ],
)
def test_the_way_back_leads_over_no_page_of_an_application(browse, provider, address, way):
    page = browse.get(address.format(provider.pk)).content.decode()
    crumbs = re.search(r'<div class="breadcrumbs">(.*?)</div>', page, re.S)
    assert crumbs
    assert " ".join(re.sub("<.*?>", "", crumbs[1]).split()) == " › ".join(way)


@pytest.mark.parametrize("name", ["usagerecord", "generation", "conversation", "message", "segment", "selfcheck"])
def test_a_list_that_can_only_be_read_is_called_what_it_lists(browse, name):
    page = browse.get(f"/admin/chat/{name}/").content.decode()
    assert "Select" not in page.partition("<main")[0] and "to view" not in page


@pytest.mark.parametrize("address", ["/admin/", "/admin/chat/provider/add/", "/admin/chat/user/"])
def test_our_stylesheet_is_the_last_of_every_page(browse, address):
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]*)"', browse.get(address).content.decode())
    assert re.search(r"chat/css/admin(\.\w+)?\.css$", sheets[-1])


@pytest.mark.parametrize(
    "address", ["/admin/", "/admin/chat/user/", "/admin/chat/user/add/", "/admin/chat/usagerecord/"]
)
def test_nothing_is_inline_under_the_strict_policy(browse, rows, address):
    answer = browse.get(address)
    page = answer.content.decode()
    policy = answer["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "<style" not in page and not re.search(r"<[^>]+\s(style|on\w+)=", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
