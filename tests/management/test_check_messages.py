"""`manage.py check_messages`: a catalogue and the source agree, and it says where they don't."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chat.management.commands.check_messages import differences, problems_of, texts_in_source

HEADER = """msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"""


@pytest.fixture
def catalogue(tmp_path: Path):
    """Writes a German catalogue with the given entries."""

    def write(*entries: str) -> Path:
        po = tmp_path / "django.po"
        po.write_text("\n".join([HEADER, *entries]), encoding="utf-8")
        return po

    return write


def entry(text: str, translation: str) -> str:
    return f'msgid "{text}"\nmsgstr "{translation}"\n'


def test_a_complete_catalogue_has_no_problems(catalogue):
    assert list(problems_of(catalogue(entry("Log in", "Anmelden"), entry("%(size)s KiB", "%(size)s KiB")))) == []


@pytest.mark.parametrize(
    ("faulty", "problem"),
    [
        (entry("Log in", ""), "'Log in' is not translated"),
        ("#, fuzzy\n" + entry("Log in", "Abmelden"), "'Log in' is only guessed (fuzzy)"),
        (entry("%(size)s KiB", "%(site)s KiB"), "'%(size)s KiB' has other placeholders in its translation"),
    ],
)
def test_an_entry_that_people_would_stumble_over_is_named(catalogue, faulty, problem):
    assert list(problems_of(catalogue(faulty))) == [problem]


def test_a_text_that_is_missing_and_one_that_is_left_over_are_named(catalogue):
    po = catalogue(entry("Log in", "Anmelden"))
    assert list(differences(po, {"Log in"})) == []
    missing, left_over = differences(po, {"A new text"})
    assert "'A new text' is missing" in missing and "'Log in' stands nowhere" in left_over


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="xgettext is not here")
def test_the_texts_of_the_source_are_extracted_afresh():
    assert {"Log in", "New conversation", "The model returned no text."} <= texts_in_source()
