"""`manage.py check_messages`: the catalogue and the source agree, and it says where they don't."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from django.conf import settings

from chat.management.commands.check_messages import differences, problems_of, texts_in_source

ENGLISH = Path(settings.BASE_DIR) / "locale" / "en" / "LC_MESSAGES" / "django.po"


def test_the_source_language_needs_no_translation():
    assert list(problems_of(ENGLISH)) == []


def test_a_text_that_is_missing_and_one_that_is_left_over_are_named():
    (missing, left_over) = differences(ENGLISH, (known := _texts()) - {"Log in"} | {"A new text"})
    assert "'A new text' is missing" in missing and "'Log in' stands nowhere" in left_over
    assert list(differences(ENGLISH, known)) == []


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="xgettext is not here")
def test_the_catalogue_has_exactly_the_texts_of_the_source():
    assert list(differences(ENGLISH, texts_in_source())) == []


def _texts() -> set[str]:
    from chat.management.commands.check_messages import _ids

    return _ids(ENGLISH)
