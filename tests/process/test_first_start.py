"""The newcomer's way: ./run.py on a fresh data directory, a real model, one question."""

import asyncio
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from chat.local_model import MODEL_FILE
from tests.support.portal import ROOT, Portal
from tests.support.portal_database import PortalDatabase

QUESTION = "What is 1+1? Answer in one word."


class StartedByRun(Portal):
    """A portal as a person starts it: ./run.py with nothing but PORT and a data directory."""

    def __init__(self) -> None:
        super().__init__("")
        kept = ("PATH", "HOME", "LANG", "PIP_CERT", "PIP_FIND_LINKS", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.env = {**environment, "PORT": str(self.port), "PORTAL_DATA_DIR": str(self.data / "fresh")}

    def run(self) -> float:
        """Start, wait for the ready line; the seconds it took."""
        self.lines.clear()
        started = time.monotonic()
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(
                [str(ROOT / "run.py")], env=self.env, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if "ready at" in line:
                self.process.stdout.close()  # nothing more is printed
                return time.monotonic() - started
        raise AssertionError(self.log)


def model_processes() -> list[int]:
    """The pids of all built-in models that run on this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"chat.local_model" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it ended while we looked
    return found


async def until_gone(pids: set[int]) -> None:
    async with asyncio.timeout(5):
        while pids & set(model_processes()):
            await asyncio.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for the model's process in /proc")
async def test_a_fresh_start_answers_with_the_built_in_model_and_the_model_ends_with_the_portal(capsys, tmp_path):
    if not MODEL_FILE.is_file() and "CI" not in os.environ:
        pytest.skip("the built-in model's packages could not be had; ./run.py setup says why")
    portal = StartedByRun()
    try:
        before = set(model_processes())
        first = await asyncio.to_thread(portal.run)
        assert len(portal.lines) == 2, portal.lines
        created = re.fullmatch(r"chatsite: created user (\S+) with password (\S+)", portal.lines[0])
        assert created
        assert portal.lines[1] == f"chatsite: ready at {portal.url}/"
        client = await asyncio.to_thread(portal.login, created[1], created[2])
        socket = await portal.connect(client)
        accepted = await socket.prompt(QUESTION)
        sent = time.monotonic()
        await socket.next("delta")
        first_delta = time.monotonic() - sent
        finished = await socket.next("finished", seconds=60)
        assert finished["state"] == "completed"
        text = socket.texts[finished["generation"]].text
        assert text.strip()
        portal.database = PortalDatabase(portal.data / "fresh")
        row = portal.generation(finished["generation"])
        assert row["content"] == text
        assert row["completion_tokens"] == finished["usage"]["completion_tokens"]
        assert (row["ttft_ms"], row["duration_ms"]) == (
            finished["timing"]["ttft_ms"],
            finished["timing"]["duration_ms"],
        )
        page = client.get(f"/chat/{accepted['conversation']}/").text
        assert f'data-message-id="{accepted["assistant_message"]}"' in page
        admin = client.get("/admin/chat/usagerecord/").text
        assert str(finished["usage"]["completion_tokens"]) in admin
        assert portal.process
        mine = set(model_processes()) - before
        assert len(mine) == 1
        portal.kill()
        await until_gone(mine)
        second = await asyncio.to_thread(portal.run)
        assert len(portal.lines) == 1, "no second user, no second password"
        assert portal.generation(finished["generation"])["content"] == text
        mine = set(model_processes()) - before
        portal.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(portal.wait) == 0
        await until_gone(mine)
        with capsys.disabled():
            print(
                f"\n    ./run.py on a fresh data directory: ready after {first:.1f} s, first delta {first_delta:.2f} s"
                f" after sending; second start {second:.1f} s"
            )
    finally:
        portal.remove()
