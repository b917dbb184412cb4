"""A page that is sent piece by piece and breaks in the middle: the browser sees the cut, and the server goes on."""

from __future__ import annotations

import os
import re

import httpx
import pytest
from django.db import connection

from chat.models import Provider, UsageRecord
from tests.support.portal import Portal


def rename_ledger(old: str, new: str) -> None:
    """A portal whose ledger has another name cannot open a record."""
    with connection.schema_editor() as editor:
        editor.alter_db_table(UsageRecord, old, new)


def examine(portal: Portal) -> list[bytes]:
    """The lines of an examination; the last one is its whole result. Raises httpx.RemoteProtocolError after a cut."""
    admin = portal.admin()
    (provider,) = portal.rows(Provider.objects.filter(name="environment"))
    path = f"/admin/chat/provider/{provider.pk}/examine/"
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', admin.get(path).text)
    assert token
    fields = {"model": "behaving", "csrfmiddlewaretoken": token[1]}
    headers = {"Accept": "application/x-ndjson", "Referer": portal.url + path}
    answer = admin.post(path, data=fields, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content.splitlines()


def test_what_breaks_in_the_middle_of_an_answer_is_logged_and_cut_and_those_after_it_are_well(new_portal):
    portal: Portal = new_portal()
    portal.change(lambda: rename_ledger("chat_usagerecord", "away"))
    for times in (1, 2):  # a server that had stumbled over the first would let the second wait for ever
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            examine(portal)
        assert len(re.findall("Exception inside application: .*chat_usagerecord", portal.log)) == times
    portal.change(lambda: rename_ledger("away", "chat_usagerecord"))
    assert b'"card"' in examine(portal)[-1]
    assert "already been started" not in portal.log
    os.truncate(portal.log_path, 0)  # its tracebacks were meant to be there
