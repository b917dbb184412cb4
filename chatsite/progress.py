"""Progress messages and child processes of `./run.py`. It imports only the standard library."""

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
    """A step failed. The message names the step and the remedy."""


def say(text: str) -> None:
    """Print progress to stderr, because other programs read the two lines on stdout."""
    sys.stderr.write(f"chatsite: {text}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Print the name of a step, and that it still runs."""
    start = time.monotonic()
    say(name + " ...")
    with heartbeat(start, HEARTBEAT_SECONDS):
        yield
    say(f"  done in {time.monotonic() - start:.1f} s")


@contextlib.contextmanager
def heartbeat(start: float, seconds: float) -> Iterator[None]:
    """Print every few seconds that the step still runs."""
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
