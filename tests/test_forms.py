"""What may be kept of a conversation, and how the page reads it."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from chat.forms import DetailsForm, details, read_stop
from chat.models import Conversation
from chat.options import OPTIONS


def filled(**fields: str) -> DetailsForm:
    data = QueryDict(mutable=True)
    data.update(fields)
    return DetailsForm(data)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({}, {}),
        ({"title": "  Rivers\t and\nstones "}, {"title": "Rivers and stones"}),
        ({"title": "x" * 200}, {"title": "x" * 200}),
        ({"pinned": "on"}, {"pinned": True}),
        ({"pinned": ""}, {"pinned": False}),
        ({"system_prompt": " Be brief.\r\n\r\n  <b>"}, {"system_prompt": " Be brief.\n\n  <b>"}),
        ({"system_prompt": "x" * 32_000}, {"system_prompt": "x" * 32_000}),
        ({"system_prompt": " \n\t"}, {"system_prompt": ""}),
        ({"temperature": "0"}, {"options": {"temperature": 0}}),
        ({"temperature": " 2.0 "}, {"options": {"temperature": 2}}),
        ({"temperature": "0.25"}, {"options": {"temperature": 0.25}}),
        ({"temperature": ""}, {"options": {"temperature": None}}),
        ({"max_tokens": "1"}, {"options": {"max_tokens": 1}}),
        ({"max_tokens": "10000000"}, {"options": {"max_tokens": 10_000_000}}),
        ({"max_tokens": " "}, {"options": {"max_tokens": None}}),
        ({"seed": "0"}, {"options": {"seed": 0}}),
        ({"reasoning_effort": "low"}, {"options": {"reasoning_effort": "low"}}),
        ({"reasoning_effort": ""}, {"options": {"reasoning_effort": None}}),
        ({"seed": str(-(2**53))}, {"options": {"seed": -(2**53)}}),
        ({"seed": str(2**53)}, {"options": {"seed": 2**53}}),
        ({"stop": "END\r\n###"}, {"options": {"stop": ["END", "###"]}}),
        ({"stop": "\n \n"}, {"options": {"stop": None}}),
        ({"stop": "a\nb\nc\nd\n"}, {"options": {"stop": ["a", "b", "c", "d"]}}),
        ({"stop": "x" * 200}, {"options": {"stop": ["x" * 200]}}),
        (
            {"title": "T", "seed": "7", "temperature": "", "unknown": "x", "top_p": "0.5"},
            {"title": "T", "options": {"seed": 7, "temperature": None}},
        ),
    ],
)
def test_only_what_was_sent_is_changed(fields: dict[str, str], changes: dict[str, object]) -> None:
    form = filled(**fields)
    assert form.is_valid(), form.errors
    assert form.changes() == changes
    for name, option in form.changes().get("options", {}).items():
        assert option is None or OPTIONS[name](option)


@pytest.mark.parametrize(
    ("field", "written", "sentence"),
    [
        ("title", "", "Write a title."),
        ("title", " \n ", "Write a title."),
        ("title", "x" * 201, "This text has 201 characters; at most 200 can be kept."),
        ("title", "a\0b", "Null characters are not allowed."),
        ("system_prompt", "x" * 32_001, "This text has 32001 characters; at most 32000 can be kept."),
        ("system_prompt", "a\0b", "Null characters are not allowed."),
        *[
            ("temperature", written, "Write a number from 0 to 2, or leave it empty.")
            for written in ("-0.1", "2.01", "warm", "nan", "inf", "1e999", "0x1", "1,5,0")
        ],
        *[
            ("max_tokens", written, "Write a whole number from 1 to 10,000,000, or leave it empty.")
            for written in ("0", "-1", "10000001", "1.5", "many", "9" * 5_000)
        ],
        *[
            (
                "seed",
                written,
                "Write a whole number of at most 9,007,199,254,740,992 on either side of 0, or leave it empty.",
            )
            for written in (str(2**53 + 1), str(-(2**53) - 1), "1.0", "seed", "nan")
        ],
        *[
            ("stop", written, "At most four texts, one a line, each of at most 200 characters.")
            for written in ("a\nb\nc\nd\ne", "x" * 201, "a\0b")
        ],
    ],
)
def test_what_cannot_be_kept_is_said(field: str, written: str, sentence: str) -> None:
    form = filled(**{field: written})
    assert form.errors == {field: [sentence]}


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        (r"\n\nUser:", ["\n\nUser:"]),
        (r"a\tb", ["a\tb"]),
        (r"\r\n", ["\r\n"]),
        (r"C:\\new", [r"C:\new"]),
        (r"\d\\", ["\\d\\"]),
        ("\\", ["\\"]),
        (" a ", [" a "]),
        ("a\u2028b", ["a\u2028b"]),
    ],
)
def test_stop_texts_are_read_line_by_line(written: str, texts: list[str]) -> None:
    assert read_stop(written) == texts


def test_details_are_what_the_page_reads() -> None:
    options = {"temperature": 0.2, "top_p": 0.9, "stop": "END"}
    conversation = Conversation(title="T", system_prompt="S", pinned=True, options=options)
    assert details(conversation) == {
        "title": "T",
        "pinned": True,
        "system_prompt": "S",
        "temperature": 0.2,
        "max_tokens": None,
        "stop": ["END"],
        "seed": None,
        "reasoning_effort": None,
    }
    assert details(Conversation(options={"stop": ["a", "b"]}))["stop"] == ["a", "b"]
    assert details(Conversation())["stop"] == []
