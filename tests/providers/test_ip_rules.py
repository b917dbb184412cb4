"""Where requests may go: every address of a name is checked, and the checked one is the one that is connected to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore
import pytest

from chat.providers import Endpoint, ProviderError, TimeLimits, build, list_models, may_be_reached
from chat.providers.ip_rules import is_private
from chat.providers.resolver import THREADS
from chat.providers.transport import PinnedBackend, ssl_context
from tests.support.asking import Outcome, ask, ask_once, endpoint
from tests.support.certificates import self_signed
from tests.support.upstream import Upstream
from tests.support.upstream.script import Send, head

NAME = "model.test"

# fmt: off
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.128.0.1", "198.20.0.1", "192.0.1.1",
    "223.255.255.254", "2606:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888", "2400:cb00::1",
]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.255", "198.18.0.7", "::1", "fc00::1", "fd12:3456:789a::1",
]
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200", "192.0.0.192",
    "168.63.129.16", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:7f00:1",
    "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:7f00:1::1",
    "2001:db8::1", "fe80::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100::1",
    "3fff::1", "5f00::1",
]
# fmt: on

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


class Names:
    """What the machine's resolver says: of each name one answer after the other, the last again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.seconds = 0.0
        self.hanging = ""
        self.goes_on = threading.Event()

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **more: Any) -> list[Any]:
        self.asked.append(str(host))
        time.sleep(self.seconds)
        if host == self.hanging:
            self.goes_on.wait(60)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.goes_on.set()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every host that a TCP connection was begun to, as it was named."""
    hosts: list[str] = []
    below = httpcore.AnyIOBackend.connect_tcp

    async def connect_tcp(self: Any, host: str, *args: Any, **more: Any) -> Any:
        hosts.append(host)
        return await below(self, host, *args, **more)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    yield hosts


def written(address: str) -> str:
    """An IP address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def is_refused(outcome: Outcome) -> bool:
    """For good, and without a word about what is where."""
    assert outcome.error is not None
    assert not any(address in outcome.error.reason for address in (*NEVER[:12], *PRIVATE))
    return (outcome.code, outcome.max_tries, outcome.events) == ("upstream_unreachable", 1, [])


# Which addresses ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hosts", "private"),
    [
        (PUBLIC, False),
        (PRIVATE, True),
        (NEVER, True),
        (["localhost", "model.localhost", "fe80::1%eth0"], True),
        (["api.example.com", "localhost.example.com", "notlocalhost"], False),
    ],
)
def test_one_rule_says_what_is_private(hosts, private):
    assert {host for host in hosts if is_private(host) is not private} == set()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address):
    assert may_be_reached(address, private_network=False) and may_be_reached(address, private_network=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_by_providers_that_are_marked_so(address):
    assert may_be_reached(address, private_network=True) and not may_be_reached(address, private_network=False)


@pytest.mark.parametrize("address", [*NEVER, "fe80::1%eth0", "::1%lo", "2606:4700::1111%1", "127.1", "localhost", ""])
def test_others_by_nobody(address):
    assert not may_be_reached(address, private_network=True)


# Before a connection ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", FORMS)
async def test_an_odd_address_is_refused_before_anything_is_looked_up(form, upstream: Upstream, names, connected):
    outcome = await ask_once(form.replace("{port}", str(upstream.port)))
    assert (outcome.code, outcome.max_tries) == ("upstream_bad_response", 1)
    assert (names.asked, connected, upstream.connections) == ([], [], [])


def test_there_are_enough_of_them():
    assert len(FORMS) >= 60 and len(set(FORMS)) == len(FORMS)


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", NEVER)
async def test_a_forbidden_address_is_not_connected_to(address, scheme, private, upstream: Upstream, names, connected):
    names.answers[NAME] = [[address]]
    for host in (written(address), NAME):
        base_url = f"{scheme}://{host}:{upstream.port}/v1"
        assert is_refused(await ask_once(base_url, private_network=private))
    assert (connected, upstream.connections) == ([], [])


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", PRIVATE)
async def test_a_private_one_is_not_connected_to_without_the_mark(
    address, scheme, upstream: Upstream, names, connected
):
    names.answers[NAME] = names.answers["localhost"] = [[address]]
    for host in (written(address), NAME, "localhost"):
        assert is_refused(await ask_once(f"{scheme}://{host}:{upstream.port}/v1", private_network=False))
    assert (connected, upstream.connections) == ([], [])


async def test_plain_http_needs_the_mark_wherever_it_goes(names, connected):
    names.answers["api.example.com"] = [["8.8.8.8"]]
    assert is_refused(await ask_once("http://api.example.com/v1", private_network=False))
    assert (names.asked, connected) == ([], [])


@pytest.mark.parametrize("others", [["169.254.169.254"], ["::ffff:127.0.0.1"], ["127.0.0.1", "0.0.0.0"], ["fe80::1%2"]])
async def test_one_forbidden_address_is_enough(others, upstream: Upstream, names, connected):
    for addresses in ([*others, "127.0.0.1"], ["127.0.0.1", *others]):
        names.answers[NAME] = [addresses]
        assert is_refused(await ask_once(f"http://{NAME}:{upstream.port}/v1"))
    assert (connected, upstream.connections) == ([], [])


async def test_one_private_address_is_enough_without_the_mark(upstream: Upstream, names, connected):
    for addresses in (["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1111", "::1"]):
        names.answers[NAME] = [addresses]
        assert is_refused(await ask_once(f"https://{NAME}:{upstream.port}/v1", private_network=False))
    assert (connected, upstream.connections) == ([], [])


async def test_a_name_without_addresses_is_refused(names, connected):
    names.answers[NAME] = [[]]
    assert is_refused(await ask_once(f"http://{NAME}/v1"))


@pytest.mark.parametrize("name", ["Host", "host ", "Content-Length", "TRANSFER-ENCODING", "Connection"])
async def test_no_extra_header_names_another_host_or_another_end(name, upstream: Upstream):
    outcome = await ask_once(upstream.base_url, extra_headers={name: "evil.example"})
    assert (outcome.code, outcome.max_tries) == ("upstream_rejected", 1)
    assert upstream.connections == []


async def test_a_redirect_to_metadata_is_not_followed(upstream: Upstream, connected):
    for status in (301, 302, 303, 307, 308):
        where = {"Location": "http://169.254.169.254/latest/meta-data/", "Content-Length": "0"}
        upstream.play("m", (Send(head(status, where)),))
        outcome = await ask_once(upstream.base_url, "m")
        assert (outcome.code, outcome.max_tries) == ("upstream_redirect", 1)
    assert set(connected) == {"127.0.0.1"}


async def test_the_list_of_models_is_asked_for_in_the_same_way(upstream: Upstream, names, connected):
    names.answers[NAME] = [["169.254.169.254"]]
    for base_url in (f"http://{NAME}:{upstream.port}/v1", f"http://0.0.0.0:{upstream.port}/v1"):
        with pytest.raises(ProviderError) as caught:
            await list_models(Endpoint(base_url, private_network=True))
        assert (caught.value.code, caught.value.permanent) == ("upstream_unreachable", True)
    assert (connected, upstream.connections) == ([], [])


@pytest.mark.parametrize(
    ("token_url", "code"),
    [
        ("http://169.254.169.254/latest", "upstream_unreachable"),
        (f"http://{NAME}/token", "upstream_unreachable"),
        ("http://127.1/token", "upstream_bad_response"),
    ],
)
async def test_keys_are_exchanged_in_the_same_way(token_url, code, upstream: Upstream, names, connected):
    names.answers[NAME] = [["127.0.0.1", "100.100.100.200"]]
    outcome = await ask_once(upstream.base_url, auth="evolution", key_id="key-id-0123456789", token_url=token_url)
    assert (outcome.code, outcome.max_tries) == (code, 1)
    assert (connected, upstream.connections) == ([], [])


# The checked address, and no other ────────────────────────────────────────────────────────────────────────────────────


async def test_the_name_is_looked_up_once_and_its_checked_address_is_connected_to(upstream: Upstream, names, connected):
    names.answers[NAME] = [["127.0.0.1"], ["169.254.169.254"]]
    assert (await ask_once(f"http://{NAME}:{upstream.port}/v1")).text == "This is a short answer."
    assert (names.asked, connected) == ([NAME], ["127.0.0.1"])
    assert upstream.requests[0].headers["host"] == f"{NAME}:{upstream.port}"
    assert is_refused(await ask_once(f"http://{NAME}:{upstream.port}/v1")), "the next connection is checked anew"
    assert connected == ["127.0.0.1"]


async def test_a_resolver_that_flips_between_check_and_connection_changes_nothing(upstream: Upstream, names):
    names.answers[NAME] = [["8.8.8.8"], ["127.0.0.1"], ["8.8.8.8"], ["127.0.0.1"]]
    below = Below({"8.8.8.8": 0.0})
    pinned = PinnedBackend(private_network=False, below=below)
    await pinned.connect_tcp(NAME, upstream.port, timeout=1)
    with pytest.raises(httpcore.ConnectError):
        await pinned.connect_tcp(NAME, upstream.port, timeout=1)
    await pinned.connect_tcp(NAME, upstream.port, timeout=1)
    assert below.connected == ["8.8.8.8", "8.8.8.8"]
    assert upstream.connections == []


async def test_under_tls_the_certificate_is_checked_by_name(tmp_path: Path, monkeypatch, names, connected):
    names.answers[NAME] = names.answers["other.test"] = [["127.0.0.1"]]
    files = self_signed(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", files[0])
    ssl_context.cache_clear()
    try:
        with Upstream.start(files) as upstream:
            assert (await ask_once(f"https://{NAME}:{upstream.port}/v1")).text == "This is a short answer."
            assert (await ask_once(f"https://other.test:{upstream.port}/v1")).code == "upstream_tls"
            assert (await ask_once(f"https://127.0.0.1:{upstream.port}/v1")).code == "upstream_tls"
            assert [request.headers["host"] for request in upstream.requests] == [f"{NAME}:{upstream.port}"]
    finally:
        ssl_context.cache_clear()
    assert connected == ["127.0.0.1"] * 3


async def test_the_servers_name_goes_into_the_handshake(tmp_path: Path, names):
    names.answers[NAME] = [["127.0.0.1"]]
    greeted: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path, NAME))
    context.sni_callback = lambda connection, name, _: greeted.append(name)  # type: ignore[assignment]
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        await ask_once(f"https://{NAME}:{server.sockets[0].getsockname()[1]}/v1")
    assert greeted == [NAME]


# As before ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_unknown_name_is_told_apart_from_a_refused_one(names):
    outcome = await ask_once("http://nowhere.test/v1")
    assert (outcome.code, outcome.max_tries) == ("upstream_dns", 2)


async def test_a_slow_look_up_counts_for_the_limit_to_connect(names):
    names.seconds = 1.5
    outcome = await ask_once(f"http://{NAME}/v1", limits=TimeLimits(connect=0.1))
    assert (outcome.code, outcome.max_tries) == ("upstream_unreachable", 3)
    assert outcome.seconds < names.seconds


async def test_a_name_that_hangs_holds_up_no_other_server(upstream: Upstream, names):
    names.hanging, names.answers["other.test"] = NAME, [["127.0.0.1"]]
    limits = TimeLimits(connect=0.1)
    hanging = await asyncio.gather(*(ask_once(f"http://{NAME}/v1", limits=limits) for _ in range(20)))
    assert {(one.code, one.max_tries) for one in hanging} == {("upstream_unreachable", 3)}
    other = await ask_once(f"http://other.test:{upstream.port}/v1", limits=TimeLimits(connect=30))
    assert other.text == "This is a short answer."
    assert not names.goes_on.is_set(), "it hangs all the while"


async def test_of_one_server_few_look_ups_hang_and_the_others_end_by_the_limit_to_connect(upstream: Upstream, names):
    names.hanging, names.answers[NAME] = NAME, [["127.0.0.1"]]
    adapter = build(endpoint(f"http://{NAME}:{upstream.port}/v1", TimeLimits(connect=0.1)))
    for _ in range(2 * THREADS):
        outcome = await ask(adapter)
        assert (outcome.code, outcome.max_tries) == ("upstream_unreachable", 3)
    assert names.asked == [NAME] * THREADS, "what was given up before its turn is not looked up"
    names.goes_on.set()
    async with asyncio.timeout(10):
        while (await ask(adapter)).error is not None:  # until a thread is free again
            await asyncio.sleep(0.01)
    await adapter.aclose()


async def test_nobody_waits_for_a_look_up_that_hangs(names):
    names.hanging = NAME
    adapter = build(endpoint(f"http://{NAME}/v1"))
    asking = asyncio.create_task(ask(adapter))
    while not names.asked:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await adapter.aclose()
    await asyncio.get_running_loop().shutdown_default_executor()
    hanging = [thread for thread in threading.enumerate() if thread.name.startswith("resolver")]
    assert hanging and all(thread.daemon for thread in hanging), "the end of the process waits for them"


async def test_without_a_thread_for_the_look_up_the_server_cannot_be_reached(upstream: Upstream, names, monkeypatch):
    names.answers[NAME] = [["127.0.0.1"]]
    adapter = build(endpoint(f"http://{NAME}:{upstream.port}/v1"))

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for _ in range(2 * THREADS):
            assert (await ask(adapter)).code == "upstream_unreachable"
    assert (await ask(adapter)).text == "This is a short answer."
    await adapter.aclose()


async def test_a_name_in_other_letters_is_looked_up_as_dns_writes_it(upstream: Upstream, names):
    names.answers["xn--bcher-kva.test"] = [["127.0.0.1"]]
    assert (await ask_once(f"http://bücher.test:{upstream.port}/v1")).text == "This is a short answer."
    assert names.asked == ["xn--bcher-kva.test"]


async def test_of_several_addresses_one_that_takes_the_connection_is_enough(upstream: Upstream, names, connected):
    names.answers[NAME] = [["127.0.0.2", "127.0.0.3", "127.0.0.1"]]  # upstream listens on the last one only
    assert (await ask_once(f"http://{NAME}:{upstream.port}/v1")).text == "This is a short answer."
    assert connected == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    names.answers[NAME] = [["127.0.0.2", "127.0.0.3"]]
    outcome = await ask_once(f"http://{NAME}:{upstream.port}/v1")
    assert (outcome.code, outcome.max_tries) == ("upstream_unreachable", 3)


async def test_an_address_that_does_not_answer_holds_the_next_one_up_for_a_moment_only(names):
    names.answers[NAME] = [["10.0.0.1", "10.0.0.2"]]
    below = Below({"10.0.0.1": 60.0, "10.0.0.2": 0.0})
    stream = await PinnedBackend(private_network=True, below=below).connect_tcp(NAME, 80, timeout=5)
    assert below.streams == [stream] and below.given_up == ["10.0.0.1"]


async def test_when_two_take_the_connection_at_once_one_is_closed(names):
    names.answers[NAME] = [["10.0.0.1", "10.0.0.2"]]
    below = Below({"10.0.0.1": 0.0, "10.0.0.2": 0.0}, together=True)
    stream = await PinnedBackend(private_network=True, below=below).connect_tcp(NAME, 80, timeout=5)
    assert len(below.streams) == 2
    assert [one.closed for one in below.streams if one is not stream] == [True]
    assert not next(one.closed for one in below.streams if one is stream)


async def test_when_none_answers_the_limit_ends_all_of_it(names):
    names.answers[NAME] = [["10.0.0.1", "10.0.0.2"]]
    below = Below({"10.0.0.1": 60.0, "10.0.0.2": 60.0})
    with pytest.raises(httpcore.ConnectTimeout):
        await PinnedBackend(private_network=True, below=below).connect_tcp(NAME, 80, timeout=0.4)
    assert sorted(below.given_up) == ["10.0.0.1", "10.0.0.2"]


class Connected(httpcore.AsyncNetworkStream):
    """A connection to nowhere."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True


class Below(httpcore.AsyncNetworkBackend):
    """Connects to each address after so many seconds; `together` lets all of them answer with the last one."""

    def __init__(self, seconds: dict[str, float], together: bool = False) -> None:
        self.seconds = seconds
        self.connected: list[str] = []
        self.given_up: list[str] = []
        self.streams: list[Connected] = []
        self._all = asyncio.Event()
        self._together = together

    async def connect_tcp(self, host: str, *args: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        try:
            await asyncio.sleep(self.seconds[host])
            if not self._together or len(self.connected) == len(self.seconds):
                self._all.set()
            await self._all.wait()
        except asyncio.CancelledError:
            self.given_up.append(host)
            raise
        self.streams.append(Connected())
        return self.streams[-1]
