"""Commands are read strictly; frames are written as the contract says."""

import contextlib
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import protocol
from chat.codes import Code, Kind
from chat.management.commands.protocol_types import FILE
from chat.protocol import FRAME_BYTES, MARKS, ProtocolError
from chat.protocol.typescript import declarations
from tests.support.processor_time import seconds

ID = "7b0f2a52-5b0e-4d1c-9f43-0a6f6d1f9a01"


def send(**changes):
    return {"type": "send", "key": ID, "conversation": None, "text": "hi", **changes}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (send(), protocol.Send(uuid.UUID(ID), None, "hi")),
        (
            send(model="3", options={"temperature": 0.5, "stop": ["x"], "seed": 1, "max_tokens": 5}, parent=ID),
            protocol.Send(
                uuid.UUID(ID),
                None,
                "hi",
                "3",
                {"temperature": 0.5, "stop": ["x"], "seed": 1, "max_tokens": 5},
                uuid.UUID(ID),
            ),
        ),
        (send(model=None, options=None, parent=None), protocol.Send(uuid.UUID(ID), None, "hi")),
        ({"type": "regenerate", "key": ID, "message": ID}, protocol.Regenerate(uuid.UUID(ID), uuid.UUID(ID))),
        ({"type": "continue", "key": ID, "message": ID}, protocol.Continue(uuid.UUID(ID), uuid.UUID(ID))),
        ({"type": "follow", "generation": ID, "after": 0}, protocol.Follow(uuid.UUID(ID), 0)),
        (
            {"type": "follow", "generation": ID, "after": 7, "epoch": "e"},
            protocol.Follow(uuid.UUID(ID), 7, "e"),
        ),
        ({"type": "unfollow", "generation": ID}, protocol.Unfollow(uuid.UUID(ID))),
        ({"type": "stop", "generation": ID}, protocol.Stop(uuid.UUID(ID))),
        ({"type": "hb"}, protocol.Heartbeat()),
    ],
)
def test_a_well_formed_command_is_read(command, expected):
    assert protocol.parse(json.dumps(command)) == expected


@pytest.mark.parametrize(
    ("text", "code", "ref"),
    [
        ("", "invalid_json", None),
        ("{", "invalid_json", None),
        ("[" * 4000, "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"a":' * 5000, "invalid_json", None),
        ("[" * 100_000 + "]" * 100_000, "invalid_command", None),
        ('{"a":[' + "[]," * 100_000 + "[]]}", "invalid_command", None),
        ('{"type":"follow","after":' + "9" * 5000 + "}", "invalid_json", None),
        (" " * 100_000 + "{}", "invalid_command", None),
        ('{"type": NaN}', "invalid_json", None),
        ("[]", "invalid_command", None),
        ("null", "invalid_command", None),
        ('"hb"', "invalid_command", None),
        ("{}", "invalid_command", None),
        ('{"type": "dance"}', "invalid_command", None),
        ('{"type": ["hb"]}', "invalid_command", None),
        ('{"type": "hb", "more": 1}', "invalid_command", None),
        (json.dumps(send(owner=1)), "invalid_command", ID),
        (json.dumps(send(key="x")), "invalid_command", "x"),
        (json.dumps(send(key=ID.replace("-", ""))), "invalid_command", ID.replace("-", "")),
        (json.dumps(send(key=ID.upper())), "invalid_command", ID.upper()),
        (json.dumps(send(key=ID.replace("7", "\uff17"))), "invalid_command", ID.replace("7", "\uff17")),
        (json.dumps(send(key="\ud800")), "invalid_command", None),
        (json.dumps({"type": "stop", "generation": "\ud800"}), "invalid_command", None),
        (f'{{"type": "hb", "x": {"[" * 600 + "]" * 600}}}', "invalid_command", None),
        (f'{{"type": "send", "key": "{ID}", "options": {{"temperature": 1{"0" * 400}}}}}', "invalid_command", ID),
        (f'{{"type": "send", "key": "{ID}", "options": {{"temperature": -1{"0" * 400}}}}}', "invalid_command", ID),
        (json.dumps(send(options={"temperature": 1e308})), "invalid_command", ID),
        (json.dumps(send(key=None)), "invalid_command", None),
        (json.dumps(send(key="k" * 5000)), "invalid_command", None),
        (json.dumps(send(text=1)), "invalid_command", ID),
        (json.dumps(send(text=None)), "invalid_command", ID),
        (json.dumps(send(text="\ud800")), "invalid_command", ID),
        (json.dumps(send(model=3)), "invalid_command", ID),
        (json.dumps(send(options=[])), "invalid_command", ID),
        (json.dumps(send(options={"temperature": 3})), "invalid_command", ID),
        (json.dumps(send(options={"temperature": True})), "invalid_command", ID),
        (json.dumps(send(options={"api_key": "x"})), "invalid_command", ID),
        (json.dumps(send(options={"max_tokens": 0})), "invalid_command", ID),
        (json.dumps(send(options={"stop": []})), "invalid_command", ID),
        (json.dumps(send(options={"stop": ["a"] * 5})), "invalid_command", ID),
        (json.dumps(send(options={"stop": ["\ud800"]})), "invalid_command", ID),
        (json.dumps({"type": "send", "key": ID, "text": "hi"}), "invalid_command", ID),
        (json.dumps({"type": "follow", "generation": ID, "after": -1}), "invalid_command", ID),
        (json.dumps({"type": "follow", "generation": ID, "after": 1.5}), "invalid_command", ID),
        (json.dumps({"type": "follow", "generation": ID, "after": True}), "invalid_command", ID),
        (json.dumps({"type": "stop"}), "invalid_command", None),
        (json.dumps({"type": "watch"}), "invalid_command", None),
        (json.dumps({"type": "watch", "conversation": "here"}), "invalid_command", None),
        (json.dumps({"type": "continue", "key": ID, "message": ID, "text": "x"}), "invalid_command", ID),
        (json.dumps({"type": "edit", "key": ID, "message": ID, "text": "x"}), "invalid_command", ID),
    ],
)
def test_anything_else_is_an_error_that_says_what_it_was_about(text, code, ref):
    with pytest.raises(ProtocolError) as caught:
        protocol.parse(text)
    assert (caught.value.code, caught.value.ref) == (code, ref)


HOSTILE = {
    "arrays": '{"a":[' + "[]," * (FRAME_BYTES // 3) + "[]]}",
    "objects": '{"a":[' + "{}," * (FRAME_BYTES // 3) + "{}]}",
    "texts": "[" + '"",' * (FRAME_BYTES // 3) + '""]',
    "names": "{" + ",".join(f'"{number}":1' for number in range(FRAME_BYTES // 12)) + "}",
    "the same name": "{" + ",".join(['"a":1'] * (FRAME_BYTES // 6)) + "}",
    "digits": '{"a":' + "1" * FRAME_BYTES + "}",
    "fractions": '{"a":0.' + "1" * FRAME_BYTES + "e-1}",
    "blanks": '{"a":' + " " * FRAME_BYTES + "1}",
    "quotes": '"' * FRAME_BYTES,
    "quotes in a text": send(text='"' * (FRAME_BYTES // 2)),
    "backslashes in a text": send(text="\\" * (FRAME_BYTES // 2)),
    "halves in a text": send(text="\ud83d" * (FRAME_BYTES // 6)),
    "a text without end": '"' + '\\"' * (FRAME_BYTES // 2) + "\\",
    "arrays after a text without end": '{"a":"\\' + '\\"[],' * (FRAME_BYTES // 5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_largest_frame_costs_no_more_than_the_longest_text(name: str):
    text = HOSTILE[name] if isinstance(HOSTILE[name], str) else json.dumps(HOSTILE[name])

    def read() -> None:
        with contextlib.suppress(ProtocolError):
            protocol.parse(text)

    longest = json.dumps(send(text="x" * FRAME_BYTES))
    assert seconds(read) < 20 * seconds(lambda: protocol.parse(longest))


def test_no_command_comes_near_the_bound_of_marks_outside_of_texts():
    numbers = {"temperature": -1.7976931348623157e-308, "top_p": 5e-324, "max_tokens": 10_000_000, "seed": -(2**53)}
    options = {**numbers, "frequency_penalty": -5e-324, "presence_penalty": 5e-324, "stop": ['\\"[],' * 40] * 4}
    longest = send(text='\\"[],{}' * 50_000, model="1", options=options | {"temperature": 0.0}, parent=ID)
    assert protocol.parse(json.dumps(longest, indent=8)).text == longest["text"]
    outside = json.dumps(send(text="", options=dict.fromkeys(options, -1.7976931348623157e-308)), indent=8)
    assert sum(outside.count(mark) for mark in "[]{},:") < MARKS / 10


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_input_makes_the_parser_fail_in_another_way(value):
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        protocol.parse(text)
    except ProtocolError as error:
        assert error.code in Code.of(Kind.ERROR)


def test_absent_fields_are_left_out_and_unknown_ones_are_null():
    frame = json.loads(protocol.encode(protocol.Delta("g", 0, 1, text="é\u2028")))
    assert frame == {"type": "delta", "generation": "g", "prev": 0, "seq": 1, "text": "é\u2028"}
    frame = json.loads(protocol.encode(protocol.Error("not_found")))
    assert frame == {"type": "error", "code": "not_found", "message": "", "ref": None}


def test_the_types_of_the_script_are_those_of_the_structs():
    assert FILE.read_text() == declarations(), "run manage.py protocol_types"
