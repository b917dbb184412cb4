"""Commands: what the browser sends. Read strictly: unknown fields and other types are refused."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from msgspec import Meta, Struct, ValidationError, convert

from chat.codes import Code
from chat.options import OPTIONS, is_encodable
from chat.protocol.frames import ProtocolError

DEPTH = 8
MARKS = 1024
"""Brackets, braces, commas and colons of a command outside of its texts: many times what any command needs."""

_USUAL_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IDS = ("key", "conversation", "parent", "message", "generation")


class _Command(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """A command; its tag is the field `type`."""

    @property
    def type(self) -> str:
        """The tag: what the field `type` holds in JSON."""
        return str(self.__struct_config__.tag)


class Send(_Command, frozen=True, tag="send"):
    """A prompt. `conversation` None = a new one; `parent` None = at the end of the newest branch."""

    key: uuid.UUID
    conversation: uuid.UUID | None
    text: str
    model: str | None = None
    options: dict[str, Any] | None = None
    parent: uuid.UUID | None = None


class Regenerate(_Command, frozen=True, tag="regenerate"):
    """Another answer to the same prompt: a sibling of the answer `message` (or an answer to the prompt `message`)."""

    key: uuid.UUID
    message: uuid.UUID
    model: str | None = None
    options: dict[str, Any] | None = None


class Continue(_Command, frozen=True, tag="continue"):
    """Go on where the answer `message` was cut: a sibling of it that begins with its text."""

    key: uuid.UUID
    message: uuid.UUID


class Follow(_Command, frozen=True, tag="follow"):
    """Send what comes after `seq` *after*."""

    generation: uuid.UUID
    after: Annotated[int, Meta(ge=0, lt=2**53)]
    epoch: str | None = None


class Unfollow(_Command, frozen=True, tag="unfollow"):
    """Send no more of it."""

    generation: uuid.UUID


class Watch(_Command, frozen=True, tag="watch"):
    """Tell me what changes: in the list of conversations, and in `conversation` new messages; None = only the list."""

    conversation: uuid.UUID | None


class Stop(_Command, frozen=True, tag="stop"):
    """End the answer."""

    generation: uuid.UUID


class Heartbeat(_Command, frozen=True, tag="hb"):
    """Are you there?"""


PromptCommand = Send | Regenerate | Continue
"""What makes a generation."""
Command = PromptCommand | Follow | Unfollow | Watch | Stop | Heartbeat
COMMANDS: dict[str, type[Any]] = {str(one.__struct_config__.tag): one for one in get_args(Command)}


def parse(text: str) -> Command:
    """Read one command. Raises ProtocolError: `invalid_json` or `invalid_command`."""
    if len(text) > MARKS:
        _refuse_overgrown(text)
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError(Code.INVALID_JSON) from None
    if not isinstance(data, dict) or _is_deeper(data, DEPTH):
        raise ProtocolError(Code.INVALID_COMMAND)
    ref = _ref(data)
    command_class = COMMANDS.get(data["type"]) if isinstance(data.get("type"), str) else None
    if command_class is None or not _is_canonical(data):
        raise ProtocolError(Code.INVALID_COMMAND, ref)
    try:
        command: Command = convert(data, command_class)
    except ValidationError:
        raise ProtocolError(Code.INVALID_COMMAND, ref) from None
    return command


def _refuse_overgrown(text: str) -> None:
    """Raises ProtocolError: a megabyte of brackets is not read, which would take the event loop a second.

    What doesn't close all that it opens is called no JSON, as it would be after reading.
    """
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"', 2 * MARKS)[::2])
    marks = {mark: outside.count(mark) for mark in "[]{},:"}
    if sum(marks.values()) > MARKS:
        is_closed = marks["["] == marks["]"] and marks["{"] == marks["}"]
        raise ProtocolError(Code.INVALID_COMMAND if is_closed else Code.INVALID_JSON)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether objects and arrays lie in each other more than `depth` deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(one, depth - 1) for one in inner)


def _ref(data: Mapping[str, Any]) -> str | None:
    """The command's key, else its generation, else None; only what may be an id, so that nothing long comes back."""
    for name in ("key", "generation"):
        value = data.get(name)
        if isinstance(value, str) and len(value) <= 36 and is_encodable(value):
            return value
    return None


def _is_canonical(data: Mapping[str, Any]) -> bool:
    """Whether ids are in their usual form, texts can be stored, and options have values that they may have.

    Ids come back in frames as they were sent, so other spellings of a UUID are refused. Half a surrogate pair can
    neither be stored nor sent.
    """
    for name, value in data.items():
        if name in _IDS and isinstance(value, str) and not _USUAL_ID.fullmatch(value):
            return False
        if isinstance(value, str) and not is_encodable(value):
            return False
    options = data.get("options")
    return not isinstance(options, dict) or all(
        name in OPTIONS and OPTIONS[name](value) for name, value in options.items()
    )
