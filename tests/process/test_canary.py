"""A provider's key goes to its server and nowhere else, whatever that server does with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from chat.models import Conversation, Provider
from tests.reliability.canaries import needles
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import (
    DONE,
    Rst,
    Script,
    Send,
    answer,
    chunk,
    document,
    error,
    head,
    html,
    raw_body,
    stream,
)

PIECE = 12
"""A part of the key that is this long is as good as the key."""

ADMIN_LISTS = ("provider", "languagemodel", "conversation", "message", "generation", "segment", "usagerecord")


@pytest.fixture
def own_upstream() -> Iterator[Upstream]:
    """One that may be gone at the end."""
    with Upstream.start() as upstream:
        yield upstream


def faults(key: str) -> list[tuple[Script, str]]:
    """What the server does with a request, and the code that comes of it."""
    location = {"Location": f"https://elsewhere.example/?key={key}", "Content-Length": "0"}
    return [
        (error(401, f"Incorrect API key provided: {key}. Find yours at https://x.example/."), "upstream_auth"),
        (error(401, f"Incorrect API key provided: {key[:14]}…{key[-8:]}.", code=key), "upstream_auth"),
        (error(400, f"The field {key} is unknown; {key[:20]} is, too."), "upstream_rejected"),
        (error(403, key, type=key, headers={"X-Request-Id": key}), "upstream_forbidden"),
        (error(404, f"No model for {key}"), "upstream_not_found"),
        (error(429, key, code="insufficient_quota"), "upstream_quota"),
        (html(500, f"<html><body><pre>Authorization: Bearer {key}</pre></body></html>"), "upstream_error"),
        (document({"error": {"message": f"{key} is used up", "code": key}}), "upstream_error"),
        (document({"detail": [{"loc": ["header", key], "msg": key}]}, 422), "upstream_rejected"),
        (stream("Half", {"error": {"message": f"bad key {key}", "type": key}}), "upstream_error"),
        (stream("Half", f"data: {{nonsense {key}\n\n".encode()), "upstream_malformed"),
        (stream("Half", f"event: error\ndata: {key}\n\n".encode()), "upstream_"),
        ((Send(head(302, location)),), "upstream_redirect"),
        ((Send(f"HTTP/1.1 {key}\r\n\r\n".encode()),), "upstream_bad_response"),
        ((Send(f"HTTP/1.1 200 OK\r\n{key}\r\n\r\n".encode()),), "upstream_bad_response"),
        ((*stream("Half", whole=False), Send(f"{key}\r\n".encode())), "upstream_malformed"),
        (stream("x", headers={"Content-Type": "text/event-stream", "Content-Encoding": key}), "upstream_encoding"),
        (raw_body(b"hello", headers={"Content-Type": key}), "upstream_bad_response"),
        ((Rst(),), "upstream_"),
    ]


def repeating(key: str) -> Script:
    """A good answer that says the key in every field that is no text."""
    parts = chunk("All the same.", model=key, id=key, system_fingerprint=key, service_tier=key, object=key)
    headers = {"Content-Type": "text/event-stream", "X-Request-Id": key, "X-RateLimit-Reset": key}
    return stream(parts, chunk(finish=key, usage=(7, 5), model=key), DONE, headers=headers)


def test_the_needles_are_found_in_a_haystack():
    key = new_key()
    for written in (key, f"https://x.example/?key={httpx.QueryParams({'k': key})}", key.encode().hex(), key[3:15]):
        assert holds(written.encode(), key)
    assert not holds(b"nothing of it " * 1000, key)


@pytest.mark.slow
@pytest.mark.parametrize("is_evolution", [False, True], ids=["key", "key id, secret and token"])
async def test_the_key_is_nowhere_but_encrypted(is_evolution: bool, new_portal, own_upstream: Upstream):
    portal, key = new_portal(), new_key()
    await asyncio.to_thread(enter_key, portal, own_upstream.base_url, key)
    socket = await portal.connect()
    canaries = [key]
    if is_evolution:
        key_id, secret = new_key(), new_key()
        canaries += [key_id, secret]
        await asyncio.to_thread(enter_key, portal, own_upstream.base_url, secret, key_id)
        for script in (error(401, f"{key_id} and {secret} don't fit"), html(500, f"<pre>{secret} {key_id}</pre>")):
            own_upstream.play("POST /token", script)
            assert (await socket.ask("hi"))["state"] == "failed"
        own_upstream.play("POST /token", document({"access_token": key, "id_token": secret, "expires_in": 3600}))
    for script, code in faults(key):
        own_upstream.play("fake", script)
        finished = await socket.ask("hi")
        assert finished["state"] == "failed" and finished["code"].startswith(code), (finished, script)
    own_upstream.play("fake", stream("All is ", "well.", DONE), repeating(key), answer("And on."))
    for _ in range(2):
        assert (await socket.ask("hi"))["state"] == "completed"
    assert own_upstream.requests[-1].headers["authorization"] == f"Bearer {key}", "it went where it belongs"
    own_upstream.close()
    assert (await socket.ask("hi"))["code"] == "upstream_unreachable"
    texts = [json.dumps(frame, ensure_ascii=False) for frame in socket.frames] + portal.lines
    pages = await asyncio.to_thread(lambda: dict(read_pages(portal)))
    assert len(pages) > 60

    places = [(f"frame or line {text[:300]}", text.encode()) for text in texts]
    places += [(f"page {path}", text.encode()) for path, text in pages.items()]
    places += [(f"file {path}", path.read_bytes()) for path in files(portal)]
    places += [(f"table {table}", rows.encode()) for table, rows in tables(portal)]
    places += [(f"process {path}", path.read_bytes()) for path in processes(portal)]
    sent = "\n".join(f"{request.headers} {request.body}" for request in own_upstream.requests).encode()
    for canary in canaries:
        assert [place for place, data in places if holds(data, canary)] == []
        assert holds(sent, canary), "or this test would find nothing at all"
    (provider,) = portal.rows(Provider.objects.filter(name="environment"))
    assert provider.ciphertext.startswith("gAAAAA")


def new_key() -> str:
    """Of characters that URLs write in another way, and without the form of a key: known by its value only."""
    words = ["".join(secrets.choice("bcdfghjkmnpqrstvwxz") for _ in range(12)) for _ in range(2)]
    return f"canary/{words[0]}+{words[1]}=="


def holds(data: bytes, key: str) -> bool:
    """The key is in there, in some spelling, or a good part of it."""
    pieces = {key[at : at + PIECE].encode() for at in range(len(key) - PIECE + 1)}
    return any(needle in data for needle in needles(key) | pieces)


def enter_key(portal: Portal, base_url: str, key: str, key_id: str = "") -> None:
    """By the form, as an admin does it; with a key id the key is its secret."""
    admin = portal.admin()
    (provider,) = portal.rows(Provider.objects.filter(name="environment"))
    path = f"/admin/chat/provider/{provider.pk}/change/"
    form = Form()
    form.feed(admin.get(path).text)
    fields = {**form.fields, "base_url": base_url, "auth": "bearer", "private_network": "on", "api_key": key}
    if key_id:
        fields |= {"auth": "evolution", "key_id": key_id, "token_url": base_url.removesuffix("/v1") + "/token"}
    fields["max_retries"] = "1"  # one wait for each fault is enough
    answer_ = admin.post(path, data=fields, headers={"Referer": portal.url + path})
    assert answer_.status_code == 302, answer_.text


class Form(HTMLParser):
    """The fields of a page's forms, as a browser would send them untouched."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type") not in ("submit", "file"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self.fields[name] = given.get("value") or ("on" if given.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self.fields[self._select] = given.get("value") or ""
        elif tag == "textarea":
            self._text = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self._select = self._text = ""

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text] += data


def read_pages(portal: Portal) -> Iterator[tuple[str, str]]:
    """Everything that an admin can look at, and the admin's own conversations."""
    admin = portal.admin()
    paths = ["/chat/", "/admin/"]
    for name in ADMIN_LISTS:
        index = f"/admin/chat/{name}/"
        paths.append(index)
        ids = re.findall(rf'href="({index}[^/"]+/change/)', admin.get(index, params={"all": ""}).text)
        paths += ids + [path.replace("/change/", "/history/") for path in ids]
    paths += [f"/chat/{conversation.pk}/" for conversation in portal.rows(Conversation.objects.all())]
    for path in dict.fromkeys(paths):
        page = admin.get(path)
        assert page.status_code == 200, path
        yield path, page.text


def files(portal: Portal) -> list[Path]:
    """All of the data directory: the database with its -wal, and the log."""
    found = [path for path in portal.data.rglob("*") if path.is_file()]
    assert {"chatsite.sqlite3", "chatsite.sqlite3-wal", "portal.log"} <= {path.name for path in found}
    return found


def tables(portal: Portal) -> Iterator[tuple[str, str]]:
    """The rows of every table, as the database gives them."""
    for table, rows in portal.database.tables().items():
        yield table, "\n".join(str(value) for row in rows for value in row)


def processes(portal: Portal) -> Iterator[Path]:
    """What the machine shows of the portal's processes to everybody, and to their owner."""
    assert portal.process is not None
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("only Linux shows the command lines of processes as files")
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family = {portal.process.pid}
    while grown := {child for child, parent in parents if parent in family} - family:
        family |= grown
    for pid in family:
        for name in ("cmdline", "environ"):
            path = Path(f"/proc/{pid}/{name}")
            if os.access(path, os.R_OK):
                yield path
