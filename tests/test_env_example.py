"""`.env.example` is the reference of the variables: it names each one that is read, and no other."""

import re

from django.conf import settings

from chatsite.environment import SECRETS


def documented_names():
    text = (settings.BASE_DIR / ".env.example").read_text(encoding="utf-8")
    return re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE), text


def test_every_variable_is_documented_once():
    names, _ = documented_names()

    assert sorted(names) == sorted(settings.ENVIRONMENT_NAMES)


def test_every_secret_is_said_to_come_from_a_file_too():
    _, text = documented_names()

    assert [name for name in SECRETS if f"{name}_FILE" not in text] == []
