"""The IP address that was checked is connected to; how names are looked up, and which address is taken."""

from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path
from typing import Any

import httpcore
import pytest

from chat.providers import TimeLimits, build
from chat.providers.resolver import THREADS
from chat.providers.transport import PinnedBackend, ssl_context
from tests.support.asking import ask, ask_once, endpoint
from tests.support.certificates import self_signed
from tests.support.resolver import NAME, is_refused
from tests.support.upstream import Upstream

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


# How a name is looked up, and which address is taken ─────────────────────────────────────────────────────────────────


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
