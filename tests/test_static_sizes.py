"""How much a browser has to load, and that stylesheets stay readable in one go."""

import gzip
from pathlib import Path

import pytest
from django.conf import settings

from chatsite.static_storage import without_comments

STATIC = Path(settings.BASE_DIR) / "static" / "chat"
SCRIPT_BYTES = 40 * 1024
STYLE_LINES = 150


def compressed(source: str) -> int:
    return len(gzip.compress(source.encode(), compresslevel=9))


def test_the_script_stays_small_as_it_is_delivered():
    scripts = {file.name: file.read_text() for file in sorted(STATIC.glob("js/*.js"))}
    delivered = {name: compressed(without_comments(source)) for name, source in scripts.items()}

    assert scripts
    assert sum(delivered.values()) <= SCRIPT_BYTES, sorted(delivered.items(), key=lambda item: -item[1])


def test_what_is_delivered_is_the_same_program_without_comments():
    source = '// What it is for.\n\nexport const a = "// b"; // why\n  // note\n  a();\n'

    assert without_comments(source) == 'export const a = "// b"; // why\na();\n'


@pytest.mark.parametrize("file", sorted(STATIC.glob("js/*.js")), ids=lambda file: file.name)
def test_no_text_of_the_script_spans_lines(file):
    source = file.read_text()

    assert all(line.count("`") % 2 == 0 for line in source.splitlines())
    assert "/*" not in source
