"""A portal as a real process, started by its own command, and clients that talk to its real port."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import httpx
import websockets

from tests.support.portal_database import PortalDatabase

if TYPE_CHECKING:
    from django.db.models import QuerySet

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
ADMIN, PASSWORD = "admin", "a-password-for-tests-only"
KEYS = {
    "SECRET_KEY": "only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz",
    "PORTAL_KEYRING": "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OS1hYmNkZWY=",
    "PORTAL_ADMIN_USER": ADMIN,
    "PORTAL_ADMIN_PASSWORD": PASSWORD,
}
START_SECONDS = 30
FRAME_SECONDS = 15


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Portal:
    """One portal on a data directory of its own. May be killed and started again on the same port and data."""

    def __init__(self, upstream_url: str, models: str = "fake", template: Path | None = None, **env: str) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="chatsite-portal-"))
        if template is not None:
            shutil.copytree(template, self.data, dirs_exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_user, self.admin_password = env.get("PORTAL_ADMIN_USER", ADMIN), PASSWORD
        hosts = f"127.0.0.1,localhost,127.0.0.1:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "OPENAI_"))}
        inherited.pop("DJANGO_SETTINGS_MODULE", None)
        self.env = {
            **inherited,
            **KEYS,
            "PORT": str(self.port),
            "PORTAL_DATA_DIR": str(self.data),
            "ALLOWED_HOSTS": hosts,
            "PORTAL_ORIGINS": f"http://127.0.0.1:{self.port},http://localhost:{self.port}",
            "OPENAI_BASE_URL": upstream_url,
            "OPENAI_MODEL": models,
            "PORTAL_DRAIN_SECONDS": "5",
            "PORTAL_USER_PROMPTS_PER_MINUTE": "0",
            **env,
        }
        self.database = PortalDatabase(self.data)
        self.log_path = self.data / "portal.log"
        self.lines: list[str] = []
        self.clients: list[httpx.Client] = []
        self._admin: httpx.Client | None = None
        self.process: subprocess.Popen[str] | None = None

    def setup(self) -> None:
        """Migrate, create the admin and the providers: once per data directory or change of environment."""
        subprocess.run(
            [sys.executable, "manage.py", "setup_portal"], cwd=ROOT, env=self.env, check=True, stdout=subprocess.DEVNULL
        )

    def start(self, setup: bool = True) -> Portal:
        """Start and wait for the ready line."""
        if setup:
            self.setup()
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(START_SECONDS) or self.process.poll() is not None:
            raise AssertionError(f"the portal did not start:\n{self.log}")
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout
        for line in process.stdout:
            self.lines.append(line.rstrip())
            if "ready at" in line:
                ready.set()
        process.stdout.close()
        ready.set()

    @property
    def log(self) -> str:
        """Everything on stderr so far."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def send_signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """The exit code."""
        assert self.process
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM, at the end of a test; nothing may have gone wrong on the way."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def remove(self) -> None:
        """End it and delete its data; a test that is over has no use for a drain."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for client in self.clients:
            client.close()
        self.database.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def rows(self, query: QuerySet[Any, T]) -> list[T]:
        """What a queryset finds in the database, read beside the portal."""
        return self.database.rows(query)

    def change(self, work: Callable[[], T]) -> T:
        """Change the database beside the portal; returns what `work` does, which is asked in another thread."""
        return self.database.change(work)

    def add_provider(self, name: str, base_url: str, **fields: Any) -> None:
        """One more provider like the first, with one model like the first that is called as it is."""
        from chat.models import LanguageModel, Provider  # pictures and measurements need no Django in this process

        def add() -> None:
            provider, model = Provider.objects.order_by("pk")[0], LanguageModel.objects.order_by("pk")[0]
            for field, value in {"pk": None, "name": name, "base_url": base_url, **fields}.items():
                setattr(provider, field, value)
            provider.save()
            model.pk, model.name, model.provider, model.position = None, name, provider, 900
            model.save()

        self.change(add)

    def generation(self, generation: str) -> dict[str, Any]:
        """A generation with its answer and its usage record, as stored."""
        from django.db.models import F

        from chat.models import Generation

        stored = ("prompt_tokens", "completion_tokens", "total_tokens", "usage_source", "ttft_ms", "duration_ms")
        found = Generation.objects.filter(pk=generation, usage__isnull=False).annotate(
            content=F("message__content"),
            reasoning=F("message__reasoning"),
            usage_state=F("usage__state"),
            **{name: F(f"usage__{name}") for name in (*stored, "closed_at", "attempts")},
        )
        rows = self.rows(found.values())
        assert len(rows) == 1, rows
        return dict(rows[0])

    def check_invariants(self) -> None:
        """What must hold in every database at any rest."""
        from chat import integrity

        assert self.database.damage() == []
        assert self.database.ask(integrity.breaches) == {}

    def login(self, user: str | None = None, password: str = PASSWORD) -> httpx.Client:
        """A client that is logged in by the form, as a browser would do it; the admin's, when nobody is named."""
        client = httpx.Client(base_url=self.url, timeout=10)
        self.clients.append(client)
        page = client.get("/accounts/login/").text
        form = re.search(r"<form[^>]*method=.post.*?</form>", page, re.S)
        assert form, page
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0]))
        name = re.search(r'name="([^"]+)"[^>]*autocomplete="username"', form[0])
        secret = re.search(r'<input[^>]*type="password"[^>]*>', form[0])
        assert name and secret, form[0]
        secret_name = re.search(r'name="([^"]+)"', secret[0])
        assert secret_name
        who = user or self.admin_user
        data = {k: html.unescape(v) for k, v in fields.items()} | {name[1]: who, secret_name[1]: password}
        answer = client.post("/accounts/login/", data=data, headers={"Referer": f"{self.url}/accounts/login/"})
        assert answer.status_code == 302, answer.text[:500]
        return client

    def clients_of(self, *names: str) -> list[httpx.Client]:
        """Clients that are logged in without the form, which hashes passwords slowly on purpose. Who is not there yet
        is added, without a password."""
        from django.conf import settings
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
        from django.contrib.sessions.backends.db import SessionStore
        from django.test import override_settings

        def begin(name: str) -> str:
            user, is_new = get_user_model().objects.get_or_create(username=name)
            if is_new:
                user.set_unusable_password()
                user.save()
            session = SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.save()
            return str(session.session_key)

        with override_settings(SECRET_KEY=self.env["SECRET_KEY"]):  # signs sessions
            keys = self.change(lambda: [begin(name) for name in names])
        clients = [httpx.Client(base_url=self.url, timeout=30) for _ in keys]
        for client, key in zip(clients, keys, strict=True):
            client.cookies.set(f"sessionid_{self.port}", key, domain="127.0.0.1")
        self.clients += clients
        return clients

    def admin(self) -> httpx.Client:
        """The admin, logged in once; for tests that don't log out."""
        if self._admin is None:
            (self._admin,) = self.clients_of(self.admin_user)
        return self._admin

    def add_user(self, name: str, password: str) -> int:
        """Another person, added in the admin as an admin would do it; their id. Harmless when they are there."""
        from django.contrib.auth import get_user_model

        known = get_user_model().objects.filter(username=name).values_list("pk", flat=True)
        if not self.rows(known):
            admin = self.admin()
            page = admin.get("/admin/chat/user/add/").text
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            assert token
            fields = {"username": name, "password1": password, "password2": password, "usable_password": "true"}
            answer = admin.post(
                "/admin/chat/user/add/",
                data={"csrfmiddlewaretoken": token[1], **fields},
                headers={"Referer": self.url + "/admin/"},
            )
            assert answer.status_code == 302, answer.text
        return int(self.rows(known.all())[0])

    def post(self, client: httpx.Client, path: str, **fields: str) -> httpx.Response:
        """What the page's own script posts."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/chat/").text)
        assert token
        return client.post(path, data=fields, headers={"X-CSRFToken": token[1], "Referer": f"{self.url}/chat/"})

    async def connect(self, client: httpx.Client | None = None, **headers: str) -> Socket:
        """A socket of a logged-in client, after its hello."""
        socket_ = await self.connect_raw(client or await asyncio.to_thread(self.admin), **headers)
        socket_.hello = await socket_.next("hello")
        return socket_

    async def connect_raw(self, client: httpx.Client | None, **headers: str) -> Socket:
        """The same without waiting for anything."""
        cookie = "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar) if client else ""
        connection = await websockets.connect(
            f"ws://127.0.0.1:{self.port}/ws/chat/",
            additional_headers={"Cookie": cookie} if cookie else {},
            origin=headers.get("origin", self.url),  # type: ignore[arg-type]
            max_size=16 * 1024 * 1024,
            ping_interval=None,
            close_timeout=1,  # a portal that was killed never answers
        )
        return Socket(connection)


class Socket:
    """A browser's side of /ws/chat/. `frames` holds everything that came; followers are checked as they come."""

    opened: ClassVar[list[Socket]] = []

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.opened.append(self)
        self.connection = connection
        self.frames: list[dict[str, Any]] = []
        self.texts: dict[str, Text] = {}
        self.hello: dict[str, Any] = {}

    async def command(self, type: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type, **fields}))

    async def frame(self, seconds: float = FRAME_SECONDS) -> dict[str, Any]:
        """The next frame, whatever it is."""
        async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may swallow a cancellation, such as until's
            frame = json.loads(await self.connection.recv())
        self.frames.append(frame)
        if "generation" in frame:
            self.texts.setdefault(frame["generation"], Text()).apply(frame)
        return frame

    async def next(self, type: str, seconds: float = FRAME_SECONDS, **fields: Any) -> dict[str, Any]:
        """The next frame of this type with these values."""
        return await self.until(
            lambda frame: frame["type"] == type and all(frame.get(k) == v for k, v in fields.items()), seconds
        )

    async def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = FRAME_SECONDS) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.frame(seconds)
                if wanted(frame):
                    return frame

    async def prompt(self, text: str, conversation: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send a prompt; its `accepted` frame."""
        key = fields.pop("key", None) or str(uuid.uuid4())
        await self.command("send", key=key, conversation=conversation, text=text, **fields)
        return await self.next("accepted", key=key)

    async def ask(self, text: str, conversation: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send a prompt and wait for the end of its answer; its `finished` frame."""
        accepted = await self.prompt(text, conversation, **fields)
        return await self.next("finished", generation=accepted["generation"])

    async def close_code(self, seconds: float = FRAME_SECONDS) -> int:
        """Read on to the end; the code that the portal closed with."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.frame(seconds)
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    async def close(self) -> None:
        await self.connection.close()


class Text:
    """What a careful browser makes of the frames of one generation: no gap and nothing twice."""

    def __init__(self) -> None:
        self.text = self.reasoning = ""
        self.seq: int | None = None
        self.epoch = ""
        self.deltas = 0

    def apply(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "snapshot":
            self.text, self.reasoning, self.seq = frame["text"], frame["reasoning"], frame["seq"]
            self.epoch = frame["epoch"]
        elif frame["type"] == "delta":
            assert frame["prev"] == self.seq, f"gap or repetition: at {self.seq}, got {frame['prev']}"
            self.text += frame.get("text", "")
            self.reasoning += frame.get("reasoning", "")
            self.seq = frame["seq"]
            self.deltas += 1
        elif frame["type"] == "finished":
            assert frame["seq"] == self.seq
