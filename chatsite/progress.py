"""What `./run.py` says while it works, and the processes it runs. The standard library only."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

HEARTBEAT_SECONDS = 8


class Failed(Exception):
    """A step did not work; the text says which one and what to do."""


def say(text: str) -> None:
    """Progress goes to stderr: stdout has the two lines that other programs read."""
    sys.stderr.write(f"chatsite: {text}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say what takes so long."""
    start = time.monotonic()
    say(name + " ...")
    with heartbeat(start, HEARTBEAT_SECONDS):
        yield
    say(f"  done in {time.monotonic() - start:.1f} s")


@contextlib.contextmanager
def heartbeat(start: float, seconds: float) -> Iterator[None]:
    """Say every few seconds that it still goes on."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds):
            say(f"  ... {time.monotonic() - start:.0f} s")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def must_run(arguments: list[str], what: str) -> None:
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failed(f"{what} failed: {shlex.join(arguments)}\n{done.stdout.strip()}")
