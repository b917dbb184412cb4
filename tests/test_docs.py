"""The documents say what the code does: names, fields, codes, limits and settings are compared, examples are read."""

from __future__ import annotations

import ast
import json
import re
import uuid
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from msgspec import structs

from chat import protocol
from chat.codes import Code, Kind
from chat.context_usage import Measure
from chat.generation import store
from chat.health.model_stats import ModelStats
from chat.ledger import Usage
from chat.models import FINAL_STATES, OPEN_STATES, State
from chat.options import OPTIONS
from chat.pricing import Rate
from chat.texts.errors import SENTENCES
from chat.texts.frames import frame_of
from chat.texts.model_stats import stats_in_words
from chat.texts.page import page_strings
from chat.views.tokens import shown
from chatsite.environment import SECRETS
from chatsite.settings import read_version
from tests.support import upstream_tables
from tests.support.portal import Portal
from tests.support.upstream import Gate, Upstream, answer

ROOT = Path(settings.BASE_DIR)
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/protocol.md",
    "docs/operations.md",
)
LONGEST = {"README.md": 120, "CONTRIBUTING.md": 140, "docs/architecture.md": 250}
CLOSE_NAMES = {code.name.lower(): int(code) for code in protocol.CloseCode}

Row = dict[str, str]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sections(text: str, level: int) -> dict[str, str]:
    """The heading's words → what stands below it, up to the next heading of its level or a higher one."""
    found = re.finditer(rf"^#{{{level}}} (.+)\n((?:(?!#{{1,{level}}} ).*(?:\n|\Z))*)", text, re.MULTILINE)
    return {match[1].strip("`"): match[2] for match in found}


def table(text: str) -> list[Row]:
    """The rows of the first table, without the backticks around a whole cell."""
    lines = re.search(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    assert lines, f"no table in {text[:200]!r}"
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()]
    assert all(len(row) == len(head) for row in body), body
    return [dict(zip(head, (re.sub(r"^`([^`]*)`$", r"\1", cell) for cell in row), strict=True)) for row in body]


def example(text: str) -> dict[str, Any]:
    (only,) = re.findall(r"^```json\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    value = json.loads(only)
    assert isinstance(value, dict)
    return value


def constants_of_the_script() -> dict[str, Any]:
    """What static/chat/js/protocol.js exports: literals, read as JSON."""
    text = re.sub(r"^\s*//.*$", "", page("static/chat/js/protocol.js"), flags=re.MULTILINE)
    found = {}
    for name, literal in re.findall(r"^export const (\w+) = (.*?);$", text, re.MULTILINE | re.DOTALL):
        quoted = re.sub(r"([{,]\s*)(\w+):", r'\1"\2":', literal)
        found[name] = json.loads(re.sub(r",(\s*[\]}])", r"\1", quoted))
    return found


def constant(place: str) -> float:
    """The value of `file: NAME`, read without importing the file."""
    file, name = place.split(": ")
    for node in ast.parse(page(file)).body:
        if isinstance(node, ast.Assign):
            targets = [one for target in node.targets for one in getattr(target, "elts", [target])]
            values = getattr(node.value, "elts", [node.value])
            for target, value in zip(targets, values, strict=True):
                if isinstance(target, ast.Name) and target.id == name:
                    return eval(compile(ast.Expression(value), file, "eval"), {})
    raise AssertionError(f"{place} is not there")


def sent_fields(frame_class: type) -> list[Any]:
    return [one for one in structs.fields(frame_class) if one.name != "parameters"]


# The protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────────

JS = "static/chat/js"
PROTOCOL = page("docs/protocol.md")
PARTS = sections(PROTOCOL, 2)
COMMANDS = sections(PARTS["Commands"], 3)
FRAMES = sections(PARTS["Frames"], 3)
NESTED = sections(PARTS["Frames"], 4)


def test_the_script_has_the_names_of_the_protocol():
    assert constants_of_the_script() == {
        "OPEN_STATES": [str(state) for state in OPEN_STATES],
        "FINAL_STATES": [str(state) for state in FINAL_STATES],
        "CLOSE_CODES": CLOSE_NAMES,
    }


def test_the_script_sends_every_command_and_hears_every_frame():
    script = "".join(page(f"{JS}/{module}.js") for module in ("chat", "connection", "delivery", "stream", "socket"))
    chosen = re.search(
        r'"retry", { view: this, type: name === "(\w+)" \? name : "(\w+)" }', page(f"{JS}/message_view.js")
    )
    sent = {*re.findall(r'{ type: "(\w+)"', script), *(chosen.groups() if chosen else ())}
    heard = set(re.findall(r'case "(\w+)":|\btype [!=]== "(\w+)"', script))

    assert sent == set(protocol.COMMANDS)
    unheard = set(protocol.FRAMES) - {one or other for one, other in heard}
    assert unheard == {"bye"}  # the close code that follows says the same


def test_the_page_has_a_word_for_every_phase():
    assert {f"phase_{phase}" for phase in protocol.PHASES} <= set(page_strings())


def test_the_page_has_every_command_and_frame_in_the_order_of_the_code():
    assert list(COMMANDS) == list(protocol.COMMANDS)
    assert list(FRAMES) == list(protocol.FRAMES)


@pytest.mark.parametrize("name", protocol.COMMANDS)
def test_a_command_is_documented_with_its_fields(name: str):
    rows = table(COMMANDS[name])
    expected = structs.fields(protocol.COMMANDS[name])

    assert [row["field"] for row in rows] == [one.name for one in expected]
    assert [row["needed"] for row in rows] == ["yes" if one.required else "no" for one in expected]
    assert ["null" in row["type"] for row in rows] == ["None" in str(one.type) for one in expected]


@pytest.mark.parametrize("name", protocol.COMMANDS)
def test_the_example_of_a_command_is_one(name: str):
    command = protocol.parse(json.dumps(example(COMMANDS[name])))

    assert type(command) is protocol.COMMANDS[name]


@pytest.mark.parametrize("name", protocol.FRAMES)
def test_a_frame_is_documented_with_its_fields(name: str):
    rows = table(FRAMES[name])
    expected = sent_fields(protocol.FRAMES[name])

    assert [row["field"] for row in rows] == [one.name for one in expected]
    assert [row["sent"] for row in rows] == [
        "sometimes" if one.default is protocol.UNSET else "always" for one in expected
    ]
    assert ["null" in row["type"] for row in rows] == ["None" in str(one.type) for one in expected]


@pytest.mark.parametrize("name", protocol.FRAMES)
def test_the_example_of_a_frame_is_what_the_portal_would_send(name: str):
    shown = example(FRAMES[name])
    assert shown["type"] == name

    frame = protocol.FRAMES[name](**{key: value for key, value in shown.items() if key != "type"})

    assert json.loads(protocol.encode(frame)) == shown
    assert_documented(shown)


def test_the_options_are_those_that_are_read():
    assert {row["option"] for row in table(COMMANDS["send"].split("`options` may hold")[1])} == set(OPTIONS)


def test_usage_and_timing_have_the_fields_of_a_stored_end():
    everything = Usage(1, 2, 3, 4, 5, source="counted", is_estimated=True)
    end = store.End(uuid.UUID(int=1), 1, State.COMPLETED, usage=everything, rate=Rate(Decimal(1), Decimal(2)))
    least = store.End(uuid.UUID(int=1), 1, State.COMPLETED, usage=Usage())
    for name in ("usage", "timing"):
        rows = table(NESTED[f"finished.{name}"])
        most, fewest = (getattr(frame_of(store.ended(one), "en"), name) for one in (end, least))
        assert [row["field"] for row in rows] == list(most)
        assert [row["field"] for row in rows if row["sent"] == "always"] == list(fewest)


def test_the_model_stats_have_the_fields_of_the_code():
    rows = table(NESTED["hello.models.stats"])
    expected = fields(ModelStats)

    assert [row["field"] for row in rows] == [one.name for one in expected]
    assert {row["sent"] for row in rows} == {"always"}
    assert ["null" in row["type"] for row in rows] == ["None" in str(one.type) for one in expected]
    (shown,) = example(FRAMES["hello"])["models"]
    assert stats_in_words(ModelStats(**shown["stats"])) == shown["note"]


def test_a_count_has_the_fields_of_the_code():
    assert [row["field"] for row in table(PARTS["Counting a prompt"])] == list(shown(Measure(1, 0, None)))


def test_the_codes_are_those_of_the_code():
    assert [row["code"] for row in table(PARTS["Refusal codes"])] == list(Code.of(Kind.REFUSAL))
    assert [row["code"] for row in table(PARTS["Error codes"])] == list(Code.of(Kind.ERROR))
    ends = table(PARTS["Codes of an end"])
    assert sorted(row["code"] for row in ends) == sorted(Code.of(Kind.UPSTREAM | Kind.PORTAL))
    closes = table(PARTS["Close codes"])
    assert {row["name"]: int(row["code"]) for row in closes} == CLOSE_NAMES


def test_the_tables_about_model_servers_are_those_of_the_code():
    shown = page("docs/upstreams.md")

    assert shown == upstream_tables.rendered(shown), "python -m tests.support.upstream_tables"
    assert set(upstream_tables.tables()) == {found[2] for found in upstream_tables.BETWEEN.finditer(shown)}


def test_what_is_never_sent_again_is_said_to_be():
    said = {row["code"] for row in table(PARTS["Codes of an end"]) if row[list(row)[2]] == "no"}

    assert said & {*Code.of(Kind.UPSTREAM)} == {code for code in Code if code.rules.is_permanent}


def test_every_code_has_a_sentence():
    assert set(SENTENCES) == set(Code)


def test_what_closes_a_socket_has_a_code():
    assert set(CLOSE_NAMES) == set(Code.of(Kind.CLOSING))


def test_the_limits_are_those_of_the_code():
    rows = table(PARTS["Limits"])

    assert [(row["limit"], int(row["value"].split()[0])) for row in rows] == [
        (row["limit"], constant(row["constant"])) for row in rows
    ]


async def test_a_running_portal_sends_what_is_documented_and_nothing_else(portal: Portal, upstream: Upstream):
    upstream.play("fake", answer("one", Gate("door"), "two", usage=(7, 2)))
    socket = await portal.connect()
    try:
        accepted = await socket.prompt("hi")
        await socket.next("delta")
        await socket.command("hb")
        await socket.next("hb")
        upstream.open("door")
        await socket.next("finished")
        await socket.command("send", key=accepted["key"], conversation=None, text="other")
        await socket.next("refused")
        await socket.command("dance")
        await socket.next("error")
        other = await portal.connect()
        await socket.command("watch", conversation=None)
        await socket.command("stop", generation=str(uuid.uuid4()))
        await socket.next("error")
        await other.ask("and now?", accepted["conversation"])
        await socket.next("conversation")
        await socket.command("watch", conversation=accepted["conversation"])
        await socket.command("stop", generation=str(uuid.uuid4()))
        await socket.next("error")
        await other.ask("and then?", accepted["conversation"])
        await socket.next("message")
        await other.close()
    finally:
        await socket.close()

    assert {frame["type"] for frame in socket.frames} == set(protocol.FRAMES) - {"restart", "bye"}
    for frame in socket.frames:
        assert_documented(frame)


def assert_documented(frame: dict[str, Any]) -> None:
    """Its fields, and those of its objects, are in the tables; those that are always sent are there."""
    name = frame["type"]
    assert_in_table({key: value for key, value in frame.items() if key != "type"}, FRAMES[name])
    for key, value in frame.items():
        if f"{name}.{key}" in NESTED:
            for one in value if isinstance(value, list) else [value]:
                assert_in_table(one, NESTED[f"{name}.{key}"])


def assert_in_table(value: dict[str, Any], text: str) -> None:
    rows = table(text)
    assert set(value) <= {row["field"] for row in rows}
    assert set(value) >= {row["field"] for row in rows if row["sent"] == "always"}


# Settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def settings_table() -> list[Row]:
    return table(sections(page("docs/operations.md"), 2)["Settings"])


def test_every_setting_is_explained_once():
    assert sorted(row["variable"] for row in settings_table()) == sorted(settings.ENVIRONMENT_NAMES)


def test_the_defaults_agree_with_the_example():
    examples = dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", page(".env.example"), re.MULTILINE))

    assert {row["variable"]: row["default"] for row in settings_table()} == examples


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_setting_that_is_not_there(name: str):
    known = settings.ENVIRONMENT_NAMES | {f"{secret}_FILE" for secret in SECRETS}

    assert set(re.findall(r"\b(?:PORTAL|OPENAI)_[A-Z_]*[A-Z]\b", page(name))) - known == set()


# The pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_readme_begins_with_the_two_commands():
    commands = re.search(r"^```sh\n(.*?)^```", page("README.md"), re.MULTILINE | re.DOTALL)
    assert commands

    assert [line.partition("#")[0].strip() for line in commands[1].splitlines()] == ["./run.py", "./run.py test"]


@pytest.mark.parametrize("name", PAGES)
def test_links_and_paths_lead_somewhere(name: str):
    text = page(name)
    headings = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in re.findall(r"^#+ (.+)$", text, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert ((ROOT / name).parent / target).is_file(), target
    places = re.findall(r"`((?:chat|chatsite|tests|static|templates|docs)/[\w./]*)(?::[^`]*)?`", text)
    assert [place for place in places if "NAME" not in place and not (ROOT / place).exists()] == []


@pytest.mark.parametrize(("name", "lines"), LONGEST.items())
def test_a_page_is_short_enough_to_be_read(name: str, lines: int):
    assert len(page(name).splitlines()) <= lines


def test_the_changelog_has_a_section_for_what_comes_and_a_version():
    headings = re.findall(r"^## (.+)$", page("CHANGELOG.md"), re.MULTILINE)

    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])
    assert read_version(ROOT / "CHANGELOG.md") == headings[1].split("]")[0][1:]
