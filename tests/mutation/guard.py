"""What a guard is, and the comments that mark guards in the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.mutation.mutations import Mutation

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (("chat", "*.py"), ("chatsite", "*.py"), ("static/chat", "*.js"))
MARKER = re.compile(r"\s*(?:#|//) guard: (?P<name>.+)")
COMMENT = re.compile(r"\s*(?:#|//|$)")


@dataclass(frozen=True)
class Guard:
    """A place without which a piece of an answer could be lost, doubled or shown to the wrong person.

    name      as in its marker, `# guard: NAME`
    mutation  how it is taken out
    test      what has to fail then: a node id or a file of pytest, or a file of tests/js for Node
    """

    name: str
    mutation: Mutation
    test: str

    @property
    def test_file(self) -> str:
        """The file of its test, from the root."""
        return self.test.partition("::")[0]


class Marker(NamedTuple):
    """Where a comment marks a guard: `file` from the root, `line` (from 1) of the code that follows the comment."""

    name: str
    file: str
    line: int


def find_markers(root: Path = ROOT) -> list[Marker]:
    """All markers of the sources."""
    paths = [path for folder, pattern in SOURCES for path in sorted((root / folder).rglob(pattern))]
    return [marker for path in paths for marker in markers_of(path.read_text(), path.relative_to(root).as_posix())]


def markers_of(source: str, file: str) -> Iterator[Marker]:
    """The markers of one file, in their order. Several of them may stand above one line."""
    lines = source.splitlines()
    for number, line in enumerate(lines):
        if found := MARKER.fullmatch(line):
            ahead = (later for later in range(number + 1, len(lines)) if not COMMENT.match(lines[later]))
            yield Marker(found["name"], file, next(ahead, number) + 1)
