"""The control of G1, a process of its own: `python -m tests.reliability.checkpoints FILE`.

What a portal does that has nothing else to do: wait 250 ms and commit, again and again. Ends with its stdin, and then
says how many milliseconds the longest round took: on a busy machine more than 250, and no portal can do better.
"""

from __future__ import annotations

import select
import sqlite3
import sys
import time

ROWS = [("x" * 400,)] * 8
"""About what one checkpoint writes in G1."""


def main(path: str) -> None:
    """Commit until stdin ends."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("create table segment (text text)")
    longest, last, over = 0.0, time.monotonic(), False
    while not over:
        over = bool(select.select([sys.stdin], [], [], 0.25)[0])
        connection.execute("begin immediate")
        connection.executemany("insert into segment values (?)", ROWS)
        connection.execute("commit")
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    print(longest * 1000)


if __name__ == "__main__":
    main(sys.argv[1])
