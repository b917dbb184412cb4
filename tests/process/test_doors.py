"""Who may open the socket, what it takes, and what it costs to misuse it."""

import asyncio
import contextlib
import socket as sockets
import uuid

import httpx
import pytest
import websockets

from chat.models import Message
from tests.support.portal import Portal, Socket
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, Pause, answer


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}.evil.test",
        "http://evil.test",
        "http://user@127.0.0.1:{port}",
        "HTTP://127.0.0.1:{port}",
        "http://127.0.0.1.:{port}",
        "http://127.0.0.1:{port}/",
    ],
)
async def test_a_wrong_or_missing_origin_is_refused_before_accept(portal: Portal, origin: str | None):
    client = await asyncio.to_thread(portal.login)
    wrong = origin.format(port=portal.port) if origin else None
    with pytest.raises(websockets.InvalidStatus) as refused:
        await portal.connect_raw(client, origin=wrong)  # type: ignore[arg-type]
    assert refused.value.response.status_code in (403, 400)  # 400: not even the form of an origin


async def test_a_wrong_host_or_path_is_refused_before_accept(portal: Portal):
    for address, headers in (("/ws/chat/", {"Host": "evil.test"}), ("/ws/other/", {})):
        raw = "".join(
            f"{name}: {value}\r\n"
            for name, value in {
                "Host": f"127.0.0.1:{portal.port}",
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version": "13",
                "Origin": portal.url,
                **headers,
            }.items()
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", portal.port)
        writer.write(f"GET {address} HTTP/1.1\r\n{raw}\r\n".encode())
        assert b" 403 " in await reader.readline()
        writer.close()


async def test_without_a_session_the_socket_says_log_in_and_closes_with_4001(portal: Portal):
    socket = await portal.connect_raw(None)
    assert (await socket.frame())["type"] == "bye"
    assert await socket.close_code() == 4001


async def test_a_logout_ends_what_the_open_socket_may_do(portal: Portal, upstream: Upstream):
    client = await asyncio.to_thread(portal.login)
    socket = await portal.connect(client)
    page = client.get("/chat/").text
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    client.post("/accounts/logout/", data={"csrfmiddlewaretoken": token}, headers={"Referer": portal.url + "/chat/"})
    await socket.command("send", key=str(uuid.uuid4()), conversation=None, text="after the logout")
    assert await socket.close_code() == 4001
    assert upstream.count() == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "dance"}', '{"type": "watch"}'])
async def test_a_command_that_cannot_be_read_is_an_error_and_changes_nothing(portal: Portal, text: str):
    socket = await portal.connect()
    await socket.connection.send(text)
    frame = await socket.next("error")
    assert frame["code"] in ("invalid_json", "invalid_command")
    assert frame["message"]
    await socket.connection.send(b"\x00binary")
    assert (await socket.next("error"))["code"] == "invalid_json"
    await socket.command("hb")
    await socket.next("hb")


async def test_too_many_bad_commands_close_with_4008(portal: Portal):
    socket = await portal.connect()
    for _ in range(21):
        await socket.connection.send("{")
    assert await socket.close_code() == 4008
    assert sum(frame["type"] == "error" for frame in socket.frames) == 20


async def test_too_many_commands_close_with_4008(portal: Portal):
    socket = await portal.connect()
    for _ in range(40):
        await socket.command("hb")
    for _ in range(40):
        await socket.next("hb")
    for _ in range(60):
        await socket.command("hb")
    assert await socket.close_code() == 4008


async def test_a_frame_over_1_mib_closes_with_1009(portal: Portal):
    socket = await portal.connect()
    await socket.connection.send("x" * (1024 * 1024 + 1))
    assert await socket.close_code() == 1009


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"text": ""}, "empty"),
        ({"text": " \n\t"}, "empty"),
        ({"text": "é" * (128 * 1024 + 1)}, "too_long"),
        ({"text": "hi", "model": "999999"}, "unknown_model"),
        ({"text": "hi", "model": "x"}, "unknown_model"),
        ({"text": "hi", "conversation": str(uuid.uuid4())}, "not_found"),
        ({"text": "hi", "parent": str(uuid.uuid4())}, "not_found"),
    ],
)
async def test_a_prompt_that_cannot_be_taken_is_refused_and_stores_nothing(portal: Portal, fields, code):
    before = portal.database.ask(Message.objects.count)
    socket = await portal.connect()
    key = str(uuid.uuid4())
    await socket.command("send", **{"key": key, "conversation": None, **fields})
    refused = await socket.next("refused")
    assert (refused["key"], refused["code"]) == (key, code)
    assert refused["message"]
    assert portal.database.ask(Message.objects.count) == before


async def test_the_longest_prompt_is_taken(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("long"))
    socket = await portal.connect()
    finished = await socket.ask("é" * (128 * 1024))
    assert finished["state"] == "completed"


async def test_one_user_has_so_many_running_and_queued_and_not_more(new_portal, upstream: Upstream):
    upstream.play("fake", answer("a", Gate("go"), "b"))
    portal: Portal = new_portal(PORTAL_USER_RUNNING="2", PORTAL_USER_QUEUED="3")
    socket = await portal.connect()
    for number in range(5):
        await socket.prompt(f"number {number}")
    await socket.command("send", key=str(uuid.uuid4()), conversation=None, text="one too many")
    assert (await socket.next("refused"))["code"] == "limit_user"
    assert upstream.count() == 2
    upstream.open("go")
    for _ in range(5):
        await socket.next("finished")
    assert upstream.count() == 5


async def test_prompts_per_minute_are_limited_but_sending_again_is_not(new_portal, upstream: Upstream):
    upstream.play("fake", answer("a"))
    portal: Portal = new_portal(PORTAL_USER_PROMPTS_PER_MINUTE="2")
    socket = await portal.connect()
    key = str(uuid.uuid4())
    await socket.prompt("first", key=key)
    await socket.prompt("second")
    await socket.command("send", key=str(uuid.uuid4()), conversation=None, text="third")
    refused = await socket.next("refused")
    assert refused["code"] == "rate_limited"
    assert 0 < refused["retry_after_ms"] <= 60_000
    assert (await socket.prompt("first", key=key))["duplicate"] is True


async def test_one_user_has_so_many_sockets(new_portal):
    portal: Portal = new_portal(PORTAL_USER_SOCKETS="2")
    client = await asyncio.to_thread(portal.login)
    first = await portal.connect(client)
    await portal.connect(client)
    third = await portal.connect_raw(client)
    assert await third.close_code() == 4029
    await first.close()
    async with asyncio.timeout(5):
        while True:
            try:
                again = await portal.connect_raw(client)
                await again.next("hello")
                break
            except websockets.ConnectionClosed:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_5_mib_is_refused_while_it_arrives(portal: Portal, chunked: bool):
    sent = 0
    with sockets.create_connection(("127.0.0.1", portal.port), timeout=10) as connection:
        length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 400000000"
        connection.sendall(f"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n\r\n".encode())
        piece = b"x" * 65536
        try:
            while sent < 400_000_000:
                connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
                sent += len(piece)
        except OSError:
            pass
        connection.settimeout(5)
        answer_ = b""
        with contextlib.suppress(OSError):  # the refusal may be lost behind the reset
            answer_ = connection.recv(100)
    assert answer_ == b"" or b" 413 " in answer_
    assert sent < 50_000_000
    assert httpx.get(f"{portal.url}/healthz").status_code == 200


def test_an_announced_body_over_5_mib_is_refused_before_it_comes(portal: Portal):
    with sockets.create_connection(("127.0.0.1", portal.port), timeout=5) as connection:
        connection.sendall(b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5242881\r\n\r\n")
        assert b" 413 " in connection.recv(100)


async def test_every_answer_carries_the_headers_that_protect_it(portal: Portal):
    client = await asyncio.to_thread(portal.login)
    page = client.get("/chat/")
    static = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    for path in ("/chat/", "/chat", "/", "/admin/", "/admin/jsi18n/", "/no-such-page", static, "/healthz", "/readyz"):
        answer_ = client.get(path)
        assert "frame-ancestors 'none'" in answer_.headers["content-security-policy"], path
        assert "unsafe" not in answer_.headers["content-security-policy"], path
        assert answer_.headers["x-frame-options"] == "DENY", path
        assert answer_.headers["x-content-type-options"] == "nosniff", path
        if path != static:
            assert "no-store" in answer_.headers["cache-control"], path
        if path.startswith(("/chat", "/admin", "/no")):
            assert answer_.headers["x-dns-prefetch-control"] == "off", path
    assert "immutable" in client.get(static).headers["cache-control"]
    assert client.post("/healthz").status_code == 405
    cookies = httpx.get(f"{portal.url}/accounts/login/").headers.get_list("set-cookie")
    assert cookies
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)


def test_a_foreign_host_is_refused_without_a_word_in_the_log(portal: Portal):
    before = portal.log
    assert httpx.get(f"{portal.url}/chat/", headers={"Host": "evil.test"}).status_code == 400
    assert portal.log == before


@pytest.mark.parametrize("path", ["/admin/", "/accounts/login/", "/chat/"])
def test_a_post_without_a_token_is_refused_without_a_word_in_the_log(portal: Portal, path: str):
    before = portal.log
    assert httpx.post(portal.url + path).status_code == 403
    assert portal.log == before


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1001)),
        ("application/x-www-form-urlencoded", b"x" * 3_000_000),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n' * 101 + b"--x--\r\n",
        ),
    ],
    ids=["fields", "size", "files"],
)
def test_a_form_beyond_all_measure_is_refused_without_a_word_in_the_log(portal: Portal, content_type: str, body: bytes):
    before = portal.log
    with httpx.Client(base_url=portal.url, headers={"Origin": portal.url}) as client:
        client.get("/accounts/login/")  # for the cookie: what comes without one is not even read
        answer_ = client.post("/accounts/login/", content=body, headers={"Content-Type": content_type})
    assert answer_.status_code in (400, 413)
    assert portal.log == before


def rss(portal: Portal) -> int:
    """Resident memory in MB."""
    assert portal.process
    with open(f"/proc/{portal.process.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) // 1024


async def test_a_browser_that_never_reads_cannot_fill_the_memory_by_following_again(
    new_portal, upstream: Upstream, capsys
):
    upstream.play("fake", answer(*["x" * 4000] * 450))
    portal: Portal = new_portal()
    client = await asyncio.to_thread(portal.login)
    generation = (await (await portal.connect(client)).ask("warm up"))["generation"]
    before = rss(portal)
    deaf = [await portal.connect(client) for _ in range(10)]
    for one in deaf:
        one.connection.transport.pause_reading()
        for _ in range(30):
            await one.command("follow", generation=generation, after=0)
    other = await portal.connect(client)
    await other.command("follow", generation=generation, after=0)
    await other.next("finished")
    after = rss(portal)
    for one in deaf:
        one.connection.transport.abort()
    with capsys.disabled():
        print(f"\n    10 deaf browsers that follow 1.8 MB 30 times each: RSS {before} → {after} MB")
    assert after - before < 10 * 8


@pytest.mark.skipif(not hasattr(sockets, "TCP_NOTSENT_LOWAT"), reason="the system has no such bound")
async def test_what_a_browser_does_not_read_waits_in_the_log_and_not_in_the_buffers_below(
    portal: Portal, upstream: Upstream
):
    upstream.play("fake", answer(Gate("go"), *("x" * 4000, Pause(0.002)) * 450))
    client = await asyncio.to_thread(portal.admin)
    reader = await portal.connect(client)
    generation = (await reader.prompt("at length"))["generation"]
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)  # the browser's own system swallows megabytes
    raw.connect(("127.0.0.1", portal.port))
    connection = await websockets.connect(
        f"ws://127.0.0.1:{portal.port}/ws/chat/",
        sock=raw,
        additional_headers={"Cookie": "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)},
        origin=portal.url,  # type: ignore[arg-type]
        max_queue=1,
        ping_interval=None,
    )
    deaf = Socket(connection)
    await deaf.command("follow", generation=generation, after=0)
    await deaf.next("status")
    connection.transport.pause_reading()
    upstream.open("go")
    await reader.next("finished")
    connection.transport.resume_reading()
    await deaf.next("finished")
    assert deaf.texts[generation].text == "x" * 4000 * 450
    lengths = [len(frame["text"]) for frame in deaf.frames if frame["type"] == "delta"]
    assert sum(length for length in lengths if length > 30_000) > 900_000, "what came meanwhile comes in large pieces"
