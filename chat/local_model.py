"""The built-in language model: llama.cpp's HTTP server on loopback, in a child process of the portal.

Run as a program, this module is that child. It reads port, key and model file as one JSON line from stdin, and exits
at the end of stdin. The portal holds the only other end of that pipe, so the child exits whenever the portal ends,
even by kill -9. The child does not import Django.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from pathlib import Path

logger = logging.getLogger(__name__)

BASE_DIR = Path(__file__).resolve().parent.parent
MODEL_FILE = BASE_DIR / ".cache" / "model" / "SmolLM2-135M-Instruct.gguf"
MODEL_NAME = "SmolLM2-135M-Instruct"
CONTEXT_WINDOW = 2048
PARALLEL = 2
RESTARTS = 3
SECONDS_TO_END = 2.0
# Only what the child needs to find its libraries, without the portal's secrets.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV")


class LocalModel:
    """The portal's side: starts, restarts and stops the child. Belongs to one event loop."""

    def __init__(self, model_file: Path = MODEL_FILE) -> None:
        self._model_file = model_file
        self._port = _free_port()
        self.api_key = secrets.token_urlsafe(24)
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @staticmethod
    def available() -> bool:
        """Return whether the model is enabled in the settings and its two packages are installed."""
        from django.conf import settings  # not at the top, because the child does not import Django

        packages = MODEL_FILE.is_file() and importlib.util.find_spec("xllamacpp") is not None
        return bool(settings.PORTAL_LOCAL_MODEL) and packages

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def pid(self) -> int | None:
        """The child's process id, or None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the child, and restart it when it exits. The model answers about a second later (see `ready`)."""
        if self._supervisor is None:
            self._process = await self._launch()
            self._supervisor = asyncio.create_task(self._supervise(self._process))

    async def ready(self, seconds: float = 15.0) -> bool:
        """Wait until the model is loaded, and return whether it is. Until then it answers every request with 503."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._supervisor and not self._supervisor.done():
            with contextlib.suppress(OSError):
                if b" 200 " in await self._health():
                    return True
            await asyncio.sleep(0.05)
        return False

    async def _health(self) -> bytes:
        """Return the status line of the child's health page."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return await asyncio.wait_for(reader.readline(), 2)
        except TimeoutError:
            return b""
        finally:
            writer.close()

    async def stop(self) -> None:
        """Stop the child by closing its stdin; kill it after two seconds."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
        process, self._process = self._process, None
        if process is None:
            return
        _close_stdin(process)
        try:
            await asyncio.wait_for(process.wait(), SECONDS_TO_END)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _supervise(self, process: asyncio.subprocess.Process) -> None:
        for _ in range(RESTARTS):
            code = await process.wait()
            _close_stdin(process)
            logger.warning("the built-in model ended with code %s; starting it again", code)
            process = self._process = await self._launch()
        code = await process.wait()
        _close_stdin(process)
        logger.error(
            "the built-in model ended with code %s, after %s restarts; it stays away until the portal is restarted",
            code,
            RESTARTS,
        )

    async def _launch(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chat.local_model",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            cwd=BASE_DIR,
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
            # Ctrl-C reaches the whole process group, but running answers must be drained first.
            start_new_session=True,
        )
        # By stdin, because every user of the machine can read a command line.
        line = json.dumps({"port": self._port, "api_key": self.api_key, "model": str(self._model_file)})
        if process.stdin:
            process.stdin.write(line.encode() + b"\n")
        return process


def _close_stdin(process: asyncio.subprocess.Process) -> None:
    if process.stdin:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Run the child: serve until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Service managers signal all processes of a service at once; only the portal may end this one.
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_leave_at_end_of_stdin, daemon=True).start()
    os.nice(5)  # the portal's event loop has priority
    server = _serve(order["model"], order["port"], order["api_key"])
    threading.Event().wait()
    del server


def _leave_at_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)  # llama.cpp's threads would delay an ordinary exit


def _serve(model: str, port: int, api_key: str) -> object:
    import xllamacpp  # 30 MB, which only the child needs in memory

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.api_keys = [api_key]
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT_WINDOW * PARALLEL
    # Two threads wait for each other in busy loops, which is slower than one thread when the cores are busy.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.sse_ping_interval = 30
    params.cache_ram_mib = 64
    params.offline = True
    params.ui = False
    params.fit_params = False
    params.verbosity = 0  # errors only
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
