"""A page that is sent piece by piece and breaks in the middle: the browser sees the cut, and the server goes on."""

from __future__ import annotations

import os
import re

import httpx
import pytest

from tests.support.portal import Portal

LEDGER_BREAKS = (
    "create trigger broken before insert on chat_usagerecord begin select raise(abort, 'no ledger today'); end"
)


def examine(portal: Portal) -> list[bytes]:
    """The doctor's lines, the last one being all that came of it. Raises httpx.RemoteProtocolError after a cut."""
    admin = portal.admin()
    (row,) = portal.rows("select id from chat_provider where name = 'environment'")
    path = f"/admin/chat/provider/{row['id']}/examine/"
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', admin.get(path).text)
    assert token
    fields = {"model": "behaving", "csrfmiddlewaretoken": token[1]}
    headers = {"Accept": "application/x-ndjson", "Referer": portal.url + path}
    answer = admin.post(path, data=fields, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content.splitlines()


def test_what_breaks_in_the_middle_of_an_answer_is_logged_and_cut_and_those_after_it_are_well(new_portal):
    portal: Portal = new_portal()
    portal.execute(LEDGER_BREAKS)
    for times in (1, 2):  # a server that had stumbled over the first would let the second wait for ever
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            examine(portal)
        assert portal.log.count("Exception inside application: no ledger today") == times
    portal.execute("drop trigger broken")
    assert b'"card"' in examine(portal)[-1]
    assert "already been started" not in portal.log
    os.truncate(portal.log_path, 0)  # its tracebacks were meant to be there
