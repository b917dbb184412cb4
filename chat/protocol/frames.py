"""Frames: what the portal sends. A field that is None stands as null; one that is UNSET is left out."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, get_args

from msgspec import UNSET, Struct, UnsetType, json

from chat.codes import Code
from chat.protocol.objects import (
    AddedMessage,
    DeletedConversation,
    Limits,
    ListedConversation,
    ModelChoice,
    Timing,
    Usage,
    User,
)

PROTOCOL = 1
SOCKET_PATH = "/ws/chat/"
FRAME_BYTES = 1024 * 1024
DELTA_BYTES = 64 * 1024

PHASES = ("queued", "connecting", "waiting", "writing", "retrying")


class CloseCode(IntEnum):
    """Why the portal closes a socket."""

    LOG_IN = 4001
    FORBIDDEN = 4003
    TOO_FAST = 4008
    RESTARTING = 4012
    TOO_SLOW = 4013
    TOO_MANY_SOCKETS = 4029


class ProtocolError(Exception):
    """A command that cannot be read. `code` is one of Kind.ERROR; `ref` is what it was about, if that could be told."""

    def __init__(self, code: Code, ref: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.ref = ref


class _Frame(Struct, frozen=True, tag_field="type"):
    """A frame; its tag is the field `type`."""

    @property
    def type(self) -> str:
        """The tag: what the field `type` holds in JSON."""
        return str(self.__struct_config__.tag)


class Hello(_Frame, frozen=True, tag="hello"):
    """The first frame."""

    boot: str
    user: User
    limits: Limits
    models: list[ModelChoice]
    protocol: int = PROTOCOL


class Accepted(_Frame, frozen=True, tag="accepted"):
    """The prompt is stored, and will be answered whatever happens to this socket."""

    key: str
    conversation: str
    user_message: str
    assistant_message: str
    generation: str
    state: str
    duplicate: bool


class Refused(_Frame, frozen=True, tag="refused"):
    """The prompt is not taken."""

    key: str
    code: Code
    message: str = ""
    retry_after_ms: int | UnsetType = UNSET


class Snapshot(_Frame, frozen=True, tag="snapshot"):
    """Everything up to `seq`; replaces what the browser has."""

    generation: str
    epoch: str
    seq: int
    text: str
    reasoning: str
    state: str


class Delta(_Frame, frozen=True, tag="delta"):
    """The deltas (prev, seq]; to be applied only by who stands at `prev`."""

    generation: str
    prev: int
    seq: int
    text: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET


class Status(_Frame, frozen=True, tag="status"):
    """Where it stands. `turns_left_out`: so many of the oldest turns did not fit into the context window.

    While `retrying`, `code` and `message` say why.
    `elapsed_ms`: since it was queued, since the request of this attempt was sent, or since the wait for the next one
    began; `ttft_ms`: as in `finished`, from the first delta on.
    """

    generation: str
    state: str
    phase: str
    attempt: int | UnsetType = UNSET
    wait_ms: int | UnsetType = UNSET
    position: int | UnsetType = UNSET
    turns_left_out: int | UnsetType = UNSET
    elapsed_ms: int | UnsetType = UNSET
    ttft_ms: int | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    message: str | UnsetType = UNSET


class Finished(_Frame, frozen=True, tag="finished"):
    """The end, and what it took. The last frame of a following.

    `message` says why the answer isn't whole, also where there is no code: stopped, or cut at a limit.
    """

    generation: str
    seq: int
    state: str
    finish_reason: str | None
    usage: Usage
    timing: Timing
    length: int
    sha256: str
    code: str | None = None
    message: str | UnsetType = UNSET


class MessageAdded(_Frame, frozen=True, tag="message"):
    """A new message of the watched conversation; a running answer's text comes by following its `generation`."""

    conversation: str
    message: AddedMessage


class ConversationChanged(_Frame, frozen=True, tag="conversation"):
    """A conversation as the list shows it; of a deleted one only the id stands there."""

    conversation: ListedConversation | DeletedConversation
    deleted: bool


class HeartbeatReply(_Frame, frozen=True, tag="hb"):
    """How far each followed generation is; who is behind follows again.

    `models`: as in `hello`, once more when another provider doesn't answer, or answers again.
    """

    heads: dict[str, int]
    models: list[ModelChoice] | UnsetType = UNSET


class Restart(_Frame, frozen=True, tag="restart"):
    """The portal closes this socket with 4012 in so many milliseconds."""

    in_ms: int


class Bye(_Frame, frozen=True, tag="bye"):
    """Why the socket is closed right after."""

    code: Code
    message: str = ""


class Error(_Frame, frozen=True, tag="error"):
    """A command had no effect."""

    code: Code
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
FRAMES: dict[str, type[Any]] = {str(one.__struct_config__.tag): one for one in get_args(Frame)}


def encode(frame: Frame) -> str:
    """The frame as JSON text, without what is UNSET."""
    return _encoder.encode(frame).decode()


_encoder = json.Encoder()
