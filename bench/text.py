"""Texts as models write them: Markdown with paragraphs, lists, code and tables, of any length, always the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

PIECE = re.compile(r"\s*\S{1,5}|\s+\Z")
"""About what a token holds of such a text."""

_PARAGRAPHS = [
    "The export is slow because every order is read twice: once for its **header** and once for its lines. With "
    "240,000 orders that makes `480,001` queries, and each of them waits for a round trip of about five milliseconds. "
    "So the database is idle most of the time, and the disk has nothing to do either.",
    "Before you change anything, measure. Switch on the log of slow queries, run the export for *one* customer, and "
    "count the lines: the number tells you more than any profiler. See [the manual](https://docs.example.com/log) for "
    "the setting, which is off by default.",
    "Reading in batches keeps the memory flat. A batch of a thousand rows is large enough that the round trips no "
    "longer matter, and small enough that a failed one can be read again without anybody noticing the difference.",
    "An index helps only when the query can use it. Here the filter is on `created_at`, but the order is by `id`, so "
    "the planner has to choose: it reads all of the index or it sorts all of the rows, and **neither** is what you "
    "want. An index on both columns, in this order, answers the whole query.",
]
_LISTS = [
    "1. Count the queries of one export.\n2. Join header and lines in one of them.\n"
    "3. Read a thousand rows at a time.\n4. Write each batch before the next one is read.\n",
    "- **Time**: forty minutes now, less than one with batches.\n- **Memory**: 1.2 GB now, 60 MB with a server-side "
    "cursor.\n- **Locks**: none are held between two batches.\n  - Long transactions would keep old rows alive.\n"
    "  - Short ones see new orders; filter by the time at which the export began.\n",
]
_CODES = [
    "```python\ndef batches(connection, size=1000):\n    last = 0\n    while True:\n"
    "        rows = connection.execute(\n"
    '            "SELECT id, created_at, total FROM orders WHERE id > ? ORDER BY id LIMIT ?",\n'
    "            (last, size),\n        ).fetchall()\n        if not rows:\n            return\n        yield rows\n"
    '        last = rows[-1]["id"]  # the place where the next batch begins\n```\n',
    "```sql\nSELECT o.id, o.created_at, sum(l.price * l.quantity) AS total\nFROM orders AS o\nJOIN order_lines AS l ON "
    "l.order_id = o.id\nWHERE o.created_at >= date '2026-01-01'\nGROUP BY o.id, o.created_at\nORDER BY o.id;\n```\n",
]
_TABLE = (
    "| Way | Queries | Time | Memory |\n|---|--:|--:|--:|\n| as it is | 480,001 | 40 min | 1.2 GB |\n"
    "| joined | 1 | 95 s | 1.9 GB |\n| joined, in batches | 241 | 52 s | 60 MB |\n"
)


def _blocks() -> Iterator[str]:
    paragraphs, lists, codes = map(itertools.cycle, (_PARAGRAPHS, _LISTS, _CODES))
    for number in itertools.count(1):
        yield f"## {number}. What to look at next\n"
        yield from (next(paragraphs) + "\n", next(lists), next(paragraphs) + "\n", next(codes), next(paragraphs) + "\n")
        if number % 3 == 0:
            yield _TABLE


def markdown(words: int) -> str:
    """At least so many words, up to the end of a block."""
    text, count = [], 0
    for block in _blocks():
        text.append(block)
        count += len(block.split())
        if count >= words:
            break
    return "\n".join(text)


def pieces(text: str) -> list[str]:
    """The text as a model sends it, about a token at a time."""
    parts = PIECE.findall(text)
    assert "".join(parts) == text
    return parts
