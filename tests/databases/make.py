"""`python -m tests.databases.make FILE`: the database that this version leaves behind, with something of everything.

A portal of its own writes it, asked as people would ask.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import django

from chat.upgrades import copy_database
from tests.support.portal import PASSWORD, Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer

FAR_AWAY = datetime(2096, 1, 1, tzinfo=UTC)
"""When the log-ins of the file end."""


def make(file: Path) -> None:
    """Write the database to `file`, which is replaced."""
    from django.contrib.sessions.models import Session  # Django may not be set up when this module is read

    with Upstream.start() as upstream, tempfile.TemporaryDirectory() as folder:
        portal = Portal(upstream.base_url).start()
        try:
            upstream.play("fake", answer("It is ", "2.", usage=(7, 2)))
            add_people(portal)
            asyncio.run(ask(portal))
            assert portal.stop() == 0, portal.log
            portal.change(lambda: Session.objects.update(expire_date=FAR_AWAY))
            shutil.move(copy_database(portal.data / "chatsite.sqlite3", Path(folder)), file)
        finally:
            portal.remove()
    file.chmod(0o644)


def add_people(portal: Portal) -> None:
    """`colleague`, in a group that may add and see users, and who may change them."""
    from django.contrib.auth.models import Group, Permission

    colleague = portal.add_user("colleague", PASSWORD)
    granted = {one.codename: str(one.pk) for one in portal.rows(Permission.objects.all())}
    may = [granted["add_user"], granted["view_user"]]
    post_form(portal, "/admin/auth/group/add/", name="Team", permissions=may)
    (group,) = portal.rows(Group.objects.all())
    post_form(
        portal,
        f"/admin/chat/user/{colleague}/change/",
        username="colleague",
        is_active="on",
        groups=[str(group.pk)],
        user_permissions=[granted["change_user"]],
        date_joined_0="2026-01-01",
        date_joined_1="00:00:00",
    )


def post_form(portal: Portal, path: str, **fields: str | list[str]) -> None:
    """Send a form of the admin."""
    admin = portal.admin()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', admin.get(path).text)
    assert token
    data = {"csrfmiddlewaretoken": token[1], **fields}
    done = admin.post(path, data=data, headers={"Referer": portal.url + "/admin/"})
    assert done.status_code == 302, done.text


async def ask(portal: Portal) -> None:
    """One question of `colleague`, and its answer."""
    socket = await portal.connect(await asyncio.to_thread(portal.login, "colleague"))
    finished = await socket.ask("What is 1+1?")
    assert finished["state"] == "completed"
    await socket.close()


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    make(Path(sys.argv[1]))
