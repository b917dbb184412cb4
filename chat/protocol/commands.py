"""Commands from the browser. Unknown fields and wrong types are refused."""

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
"""The most brackets, braces, commas and colons of a command outside of its texts: many times what one needs."""

_USUAL_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IDS = ("key", "conversation", "parent", "message", "generation")


class _Command(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """The base of commands. Their tag is the field `type`."""

    @property
    def type(self) -> str:
        """The tag, which is the field `type` in JSON."""
        return str(self.__struct_config__.tag)


class Send(_Command, frozen=True, tag="send"):
    """Send a prompt. `conversation` None = a new one; `parent` None = at the end of the newest branch."""

    key: uuid.UUID
    conversation: uuid.UUID | None
    text: str
    model: str | None = None
    options: dict[str, Any] | None = None
    parent: uuid.UUID | None = None


class Regenerate(_Command, frozen=True, tag="regenerate"):
    """Request another answer to a prompt. `message`: an answer, which gets a sibling, or the prompt."""

    key: uuid.UUID
    message: uuid.UUID
    model: str | None = None
    options: dict[str, Any] | None = None


class Continue(_Command, frozen=True, tag="continue"):
    """Continue the cut answer `message`: make a sibling that starts with its text."""

    key: uuid.UUID
    message: uuid.UUID


class Follow(_Command, frozen=True, tag="follow"):
    """Send the events of a generation after the seq `after`."""

    generation: uuid.UUID
    after: Annotated[int, Meta(ge=0, lt=2**53)]
    epoch: str | None = None


class Unfollow(_Command, frozen=True, tag="unfollow"):
    """Stop sending the events of a generation."""

    generation: uuid.UUID


class Watch(_Command, frozen=True, tag="watch"):
    """Send changes in the list of conversations, and new messages of `conversation`; None = the list only."""

    conversation: uuid.UUID | None


class Stop(_Command, frozen=True, tag="stop"):
    """Stop an answer."""

    generation: uuid.UUID


class Heartbeat(_Command, frozen=True, tag="hb"):
    """Request a heartbeat reply."""


PromptCommand = Send | Regenerate | Continue
"""Commands that create a generation."""
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
    """Raise ProtocolError for too many brackets: parsing a megabyte of them would block the event loop for a second.

    Unbalanced brackets give `invalid_json`, as after parsing.
    """
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"', 2 * MARKS)[::2])
    marks = {mark: outside.count(mark) for mark in "[]{},:"}
    if sum(marks.values()) > MARKS:
        is_closed = marks["["] == marks["]"] and marks["{"] == marks["}"]
        raise ProtocolError(Code.INVALID_COMMAND if is_closed else Code.INVALID_JSON)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _is_deeper(value: Any, depth: int) -> bool:
    """Return whether objects and arrays are nested more than `depth` deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(one, depth - 1) for one in inner)


def _ref(data: Mapping[str, Any]) -> str | None:
    """Return the command's key, or else its generation, or None. Only possible ids, so that no long text is echoed."""
    for name in ("key", "generation"):
        value = data.get(name)
        if isinstance(value, str) and len(value) <= 36 and is_encodable(value):
            return value
    return None


def _is_canonical(data: Mapping[str, Any]) -> bool:
    """Return whether ids have their canonical form, texts can be stored, and options have allowed values.

    Frames repeat ids verbatim, so other spellings of a UUID are refused. A lone surrogate can neither be stored nor
    sent.
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
