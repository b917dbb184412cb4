"""THE browser wire of /ws/chat/: commands (parsed, unknown fields refused) and frames (frozen dataclasses).

docs/protocol.md mirrors the names, static/chat/js/protocol.js those that the page needs; a test compares the three.
Knows neither Django nor Channels: JSON text in, dataclasses out, and back.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar, get_args

from chat.options import OPTIONS, is_encodable

PROTOCOL = 1
FRAME_BYTES = 1024 * 1024
TEXT_BYTES = 256 * 1024
DELTA_BYTES = 64 * 1024
SNAPSHOT_BYTES = 2 * 1024 * 1024
DEPTH = 8
MARKS = 1024
"""Brackets, braces, commas and colons of a command outside of its texts: many times what any needs."""

PHASES = ("queued", "connecting", "waiting", "writing", "retrying")
REFUSALS = (
    "empty",
    "too_long",
    "not_found",
    "unknown_model",
    "no_model",
    "limit_user",
    "rate_limited",
    "budget",
    "idempotency_mismatch",
    "busy_try_again",
    "storage_full",
    "server_restarting",
)
ERRORS = ("invalid_json", "invalid_command", "too_large", "not_found", "internal")


class CloseCode(IntEnum):
    """Why the portal closes a socket."""

    LOG_IN = 4001
    FORBIDDEN = 4003
    TOO_FAST = 4008
    RESTARTING = 4012
    TOO_SLOW = 4013
    TOO_MANY_SOCKETS = 4029


class ProtocolError(Exception):
    """A command that cannot be read. `code` is one of ERRORS; `ref` is what it was about, if that could be told."""

    def __init__(self, code: str, ref: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.ref = ref


# ── Commands: browser → portal ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Send:
    """A prompt. `conversation` None = a new one; `parent` None = at the end of the newest branch."""

    type: ClassVar[str] = "send"
    key: uuid.UUID
    conversation: uuid.UUID | None
    text: str
    model: str | None = None
    options: dict[str, Any] | None = None
    parent: uuid.UUID | None = None


@dataclass(frozen=True)
class Regenerate:
    """Another answer to the same prompt: a sibling of the answer `message` (or an answer to the prompt `message`)."""

    type: ClassVar[str] = "regenerate"
    key: uuid.UUID
    message: uuid.UUID
    model: str | None = None
    options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Continue:
    """Go on where the answer `message` was cut: a sibling of it that begins with its text."""

    type: ClassVar[str] = "continue"
    key: uuid.UUID
    message: uuid.UUID


@dataclass(frozen=True)
class Follow:
    """Send what comes after `seq` *after*."""

    type: ClassVar[str] = "follow"
    generation: uuid.UUID
    after: int
    epoch: str | None = None


@dataclass(frozen=True)
class Unfollow:
    """Send no more of it."""

    type: ClassVar[str] = "unfollow"
    generation: uuid.UUID


@dataclass(frozen=True)
class Watch:
    """Tell me what changes: in the list of conversations, and in `conversation` new messages; None = only the list."""

    type: ClassVar[str] = "watch"
    conversation: uuid.UUID | None


@dataclass(frozen=True)
class Stop:
    """End the answer."""

    type: ClassVar[str] = "stop"
    generation: uuid.UUID


@dataclass(frozen=True)
class Heartbeat:
    """Are you there?"""

    type: ClassVar[str] = "hb"


PromptCommand = Send | Regenerate | Continue
"""What makes a generation."""
Command = PromptCommand | Follow | Unfollow | Watch | Stop | Heartbeat
COMMANDS: dict[str, type[Any]] = {command_class.type: command_class for command_class in get_args(Command)}


def parse(text: str) -> Command:
    """Read one command. Raises ProtocolError: `invalid_json` or `invalid_command`."""
    if len(text) > MARKS:
        _refuse_overgrown(text)
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError("invalid_json") from None
    if not isinstance(data, dict) or _is_deeper(data, DEPTH):
        raise ProtocolError("invalid_command")
    ref = _ref(data)
    command_class = COMMANDS.get(data.pop("type", None) if isinstance(data.get("type"), str) else None)  # type: ignore[arg-type]
    if command_class is None:
        raise ProtocolError("invalid_command", ref)
    values: dict[str, Any] = {}
    for one in fields(command_class):
        if one.name not in data:
            if one.default is MISSING:
                raise ProtocolError("invalid_command", ref)
            continue
        value = data.pop(one.name)
        if value is None and "None" in str(one.type):
            values[one.name] = None
            continue
        try:
            values[one.name] = _READERS[str(one.type).removesuffix(" | None")](value)
        except ValueError:
            raise ProtocolError("invalid_command", ref) from None
    if data:
        raise ProtocolError("invalid_command", ref)
    return command_class(**values)  # type: ignore[no-any-return]


def _refuse_overgrown(text: str) -> None:
    """Raises ProtocolError: a megabyte of brackets is not read, which would take the event loop a second.

    What doesn't close all that it opens is called no JSON, as it would be after reading.
    """
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"', 2 * MARKS)[::2])
    marks = {mark: outside.count(mark) for mark in "[]{},:"}
    if sum(marks.values()) > MARKS:
        is_closed = marks["["] == marks["]"] and marks["{"] == marks["}"]
        raise ProtocolError("invalid_command" if is_closed else "invalid_json")


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


def _read_uuid(value: Any) -> uuid.UUID:
    """Only the usual form, in lower case: what comes back in frames is then what was sent."""
    if not isinstance(value, str) or str(read := uuid.UUID(value)) != value:
        raise ValueError("not a UUID")
    return read


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    value.encode()  # UnicodeEncodeError is a ValueError: half a surrogate pair cannot be stored or sent
    return value


def _read_count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError("not a count")
    return value


def _read_options(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    for name, one in value.items():
        if name not in OPTIONS or not OPTIONS[name](one):
            raise ValueError(name)
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "uuid.UUID": _read_uuid,
    "str": _read_text,
    "int": _read_count,
    "dict[str, Any]": _read_options,
}


# ── Frames: portal → browser ──────────────────────────────────────────────────────────────────────────────────────
# A field that is None stands as null; one with the default ABSENT is left out.

ABSENT: Any = object()


@dataclass(frozen=True)
class Hello:
    """The first frame."""

    type: ClassVar[str] = "hello"
    boot: str
    user: dict[str, Any]
    limits: dict[str, int]
    models: list[dict[str, Any]]
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Accepted:
    """The prompt is stored, and will be answered whatever happens to this socket."""

    type: ClassVar[str] = "accepted"
    key: str
    conversation: str
    user_message: str
    assistant_message: str
    generation: str
    state: str
    duplicate: bool


@dataclass(frozen=True)
class Refused:
    """The prompt is not taken. `parameters` fill the sentence and are not sent."""

    type: ClassVar[str] = "refused"
    key: str
    code: str
    message: str = ""
    retry_after_ms: int = ABSENT
    parameters: Mapping[str, Any] = field(default_factory=dict, metadata={"sent": False})


@dataclass(frozen=True)
class Snapshot:
    """Everything up to `seq`; replaces what the browser has."""

    type: ClassVar[str] = "snapshot"
    generation: str
    epoch: str
    seq: int
    text: str
    reasoning: str
    state: str


@dataclass(frozen=True)
class Delta:
    """The deltas (prev, seq]; to be applied only by who stands at `prev`."""

    type: ClassVar[str] = "delta"
    generation: str
    prev: int
    seq: int
    text: str = ABSENT
    reasoning: str = ABSENT


@dataclass(frozen=True)
class Status:
    """Where it stands. `turns_left_out`: so many of the oldest turns did not fit into the context window.

    While `retrying`, `code` and `message` say why. `parameters` fill the sentence and are not sent.
    `elapsed_ms`: since it was queued, since the request of this attempt was sent, or since the wait for the next one
    began; `ttft_ms`: as in `finished`, from the first delta on.
    """

    type: ClassVar[str] = "status"
    generation: str
    state: str
    phase: str
    attempt: int = ABSENT
    wait_ms: int = ABSENT
    position: int = ABSENT
    turns_left_out: int = ABSENT
    elapsed_ms: int = ABSENT
    ttft_ms: int = ABSENT
    code: str = ABSENT
    message: str = ABSENT
    parameters: Mapping[str, Any] = field(default_factory=dict, metadata={"sent": False})


@dataclass(frozen=True)
class Finished:
    """The end, and what it took. The last frame of a following. `parameters` fill the sentence and are not sent.

    `message` says why the answer isn't whole, also where there is no code: stopped, or cut at a limit.
    """

    type: ClassVar[str] = "finished"
    generation: str
    seq: int
    state: str
    finish_reason: str | None
    usage: dict[str, Any]
    timing: dict[str, Any]
    length: int
    sha256: str
    code: str | None = None
    message: str = ABSENT
    parameters: Mapping[str, Any] = field(default_factory=dict, metadata={"sent": False})


@dataclass(frozen=True)
class MessageAdded:
    """A new message of the watched conversation; a running answer's text comes by following its `generation`."""

    type: ClassVar[str] = "message"
    conversation: str
    message: dict[str, Any]


@dataclass(frozen=True)
class ConversationChanged:
    """A conversation as the list shows it; of a deleted one only the id stands there."""

    type: ClassVar[str] = "conversation"
    conversation: dict[str, Any]
    deleted: bool


@dataclass(frozen=True)
class HeartbeatReply:
    """How far each followed generation is; who is behind follows again.

    `models`: as in `hello`, once more when another provider doesn't answer, or answers again.
    """

    type: ClassVar[str] = "hb"
    heads: dict[str, int]
    models: list[dict[str, Any]] = ABSENT


@dataclass(frozen=True)
class Restart:
    """The portal closes this socket with 4012 in so many milliseconds."""

    type: ClassVar[str] = "restart"
    in_ms: int


@dataclass(frozen=True)
class Bye:
    """Why the socket is closed right after."""

    type: ClassVar[str] = "bye"
    code: str
    message: str = ""


@dataclass(frozen=True)
class Error:
    """A command had no effect."""

    type: ClassVar[str] = "error"
    code: str
    message: str = ""
    ref: str | None = None


Frame = (
    Hello
    | Accepted
    | Refused
    | Snapshot
    | Delta
    | Status
    | Finished
    | MessageAdded
    | ConversationChanged
    | HeartbeatReply
    | Restart
    | Bye
    | Error
)
FRAMES: dict[str, type[Any]] = {frame_class.type: frame_class for frame_class in get_args(Frame)}


def encode(frame: Frame) -> str:
    """The frame as JSON text; fields that are ABSENT and those not meant to be sent are left out."""
    data = {"type": frame.type}
    for one in fields(frame):
        value = getattr(frame, one.name)
        if value is not ABSENT and one.metadata.get("sent", True):
            data[one.name] = value
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
