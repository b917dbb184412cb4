"""Base URLs that are read in more than one way are refused before anything is looked up."""

from __future__ import annotations

import pytest

from tests.support.asking import ask_once
from tests.support.upstream import Upstream

FORMS = [
    # who is logged in there
    "http://user:secret@127.0.0.1:{port}/v1",
    "http://127.0.0.1:{port}@evil.example/v1",
    "http://evil.example@127.0.0.1:{port}/v1",
    "http://evil.example%40127.0.0.1:{port}/v1",
    # what some readers drop, and others take for a slash
    "http://127.0.0.1:{port}\\@evil.example/v1",
    "http:\\\\127.0.0.1:{port}\\v1",
    "http://evil.example\\.127.0.0.1:{port}/v1",
    "http://127.0.0.1:{port}/v1\\..\\admin",
    "http://127.0.\t0.1:{port}/v1",
    "ht\ntp://127.0.0.1:{port}/v1",
    "http://127.0.0.1\x00:{port}/v1",
    "http://127.0.0.1:{port}/v1\r\nHost: evil.example",
    "http://127.0.0.1 :{port}/v1",
    "http://127.0.0.1:{port}/\x7fv1",
    "http://127.0.0.1:{port}/\x85v1",
    "http://local\u200bhost:{port}/v1",
    "http://local\u00adhost:{port}/v1",
    "http://\u202e127.0.0.1:{port}/v1",
    # 127.0.0.1 as only some read it, and numbers that are no address
    "http://2130706433:{port}/v1",
    "http://0x7f000001:{port}/v1",
    "http://0X7F.1:{port}/v1",
    "http://0x7f.0.0.0x1:{port}/v1",
    "http://0177.0.0.1:{port}/v1",
    "http://017700000001:{port}/v1",
    "http://127.1:{port}/v1",
    "http://127.0.1:{port}/v1",
    "http://127.0.0.01:{port}/v1",
    "http://127.000.000.001:{port}/v1",
    "http://0:{port}/v1",
    "http://127.0.0.1.1:{port}/v1",
    "http://256.0.0.1:{port}/v1",
    "http://evil.example.1:{port}/v1",
    # letters and dots that become others
    "http://127。0。0。1:{port}/v1",
    "http://127．0．0．1:{port}/v1",
    "http://127｡0.0.1:{port}/v1",
    "http://１２７.0.0.1:{port}/v1",
    "http://①②⑦.⓪.⓪.①:{port}/v1",
    "http://۱۲۷.۰.۰.۱:{port}/v1",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/v1",
    "http://localhoſt:{port}/v1",
    "http://\u212aernel.example:{port}/v1",
    "http://ｌｏｃａｌｈｏｓｔ:{port}/v1",
    "http://evil.ex℀mple:{port}/v1",
    # coded
    "http://%31%32%37.0.0.1:{port}/v1",
    "http://127%2e0%2e0%2e1:{port}/v1",
    "http://127.0.0.1%2f:{port}/v1",
    "http://127.0.0.1%00.evil.example:{port}/v1",
    # dots
    "http://127.0.0.1.:{port}/v1",
    "http://localhost.:{port}/v1",
    "http://.localhost:{port}/v1",
    "http://evil..example:{port}/v1",
    # brackets and zones
    "http://[fe80::1%eth0]:{port}/v1",
    "http://[fe80::1%25eth0]:{port}/v1",
    "http://[::1%25lo]:{port}/v1",
    "http://[::1]evil.example:{port}/v1",
    "http://evil.example[::1]:{port}/v1",
    "http://[127.0.0.1]:{port}/v1",
    "http://[v1.x]:{port}/v1",
    "http://[::1:{port}/v1",
    "http://::1:{port}/v1",
    # labels that no name has
    "http://-evil.example:{port}/v1",
    "http://evil!.example:{port}/v1",
    "http://" + "a" * 64 + ".example:{port}/v1",
    "http://" + "a." * 130 + "example:{port}/v1",
    # ways upwards
    "http://127.0.0.1:{port}/v1/..;/admin",
    "http://127.0.0.1:{port}/v1/..;a=b/admin",
    "http://127.0.0.1:{port}/v1/../admin",
    "http://127.0.0.1:{port}/v1/%2e%2e/admin",
    "http://127.0.0.1:{port}/v1/.%2E;/admin",
    "http://127.0.0.1:{port}/v1/%252e%252e/admin",
    "http://127.0.0.1:{port}/v1/..%2fadmin",
    "http://127.0.0.1:{port}/v1/%5c..%5cadmin",
    "http://127.0.0.1:{port}/v1%0d%0aHost:%20evil.example",
    # ports
    "http://127.0.0.1:0/v1",
    "http://127.0.0.1:65536/v1",
    "http://127.0.0.1:-1/v1",
    "http://127.0.0.1:1e3/v1",
    "http://127.0.0.1:８０/v1",
    "http://127.0.0.1:{port}:80/v1",
    # no address of a web server
    "ftp://127.0.0.1:{port}/v1",
    "file://127.0.0.1:{port}/v1",
    "gopher://127.0.0.1:{port}/v1",
    "ws://127.0.0.1:{port}/v1",
    "//127.0.0.1:{port}/v1",
    "127.0.0.1:{port}/v1",
    "http:127.0.0.1:{port}/v1",
    "http:///127.0.0.1:{port}/v1",
    "http://127.0.0.1:{port}/v1?url=http://evil.example",
    "http://127.0.0.1:{port}/v1#@evil.example",
]


@pytest.mark.parametrize("form", FORMS)
async def test_an_odd_address_is_refused_before_anything_is_looked_up(form, upstream: Upstream, names, connected):
    outcome = await ask_once(form.replace("{port}", str(upstream.port)))
    assert (outcome.code, outcome.max_tries) == ("upstream_bad_response", 1)
    assert (names.asked, connected, upstream.connections) == ([], [], [])


def test_there_are_enough_of_them():
    assert len(FORMS) >= 60 and len(set(FORMS)) == len(FORMS)
