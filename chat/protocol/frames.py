"""Frames to the browser. A field that is None is sent as null; one that is UNSET is omitted."""

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
    """Close codes of the socket."""

    LOG_IN = 4001
    FORBIDDEN = 4003
    TOO_FAST = 4008
    RESTARTING = 4012
    TOO_SLOW = 4013
    TOO_MANY_SOCKETS = 4029


class ProtocolError(Exception):
    """A command is invalid. `code` is of Kind.ERROR; `ref`: the command's key or generation, if known."""

    def __init__(self, code: Code, ref: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.ref = ref


class _Frame(Struct, frozen=True, tag_field="type"):
    """The base of frames. Their tag is the field `type`."""

    @property
    def type(self) -> str:
        """The tag, which is the field `type` in JSON."""
        return str(self.__struct_config__.tag)


class Hello(_Frame, frozen=True, tag="hello"):
    """The first frame."""

    boot: str
    user: User
    limits: Limits
    models: list[ModelChoice]
    protocol: int = PROTOCOL


class Accepted(_Frame, frozen=True, tag="accepted"):
    """The prompt is stored. It will be answered even if this socket closes."""

    key: str
    conversation: str
    user_message: str
    assistant_message: str
    generation: str
    state: str
    duplicate: bool


class Refused(_Frame, frozen=True, tag="refused"):
    """The prompt is refused."""

    key: str
    code: Code
    message: str = ""
    retry_after_ms: int | UnsetType = UNSET


class Snapshot(_Frame, frozen=True, tag="snapshot"):
    """The whole text up to `seq`. It replaces the browser's text."""

    generation: str
    epoch: str
    seq: int
    text: str
    reasoning: str
    state: str


class Delta(_Frame, frozen=True, tag="delta"):
    """The deltas (prev, seq]. Only a follower at `prev` may apply them."""

    generation: str
    prev: int
    seq: int
    text: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET


class Status(_Frame, frozen=True, tag="status"):
    """The status of a generation. `turns_left_out`: how many of the oldest turns did not fit into the context window.

    While `retrying`, `code` and `message` give the reason.
    `elapsed_ms`: milliseconds since it was queued, the attempt was sent, or the wait for the next attempt began.
    `ttft_ms`: as in `finished`, from the first delta on.
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
    """The end of a generation, with its usage and timing. The last frame of a following.

    `message` explains why the answer isn't complete, also without a code: stopped, or cut at a limit.
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
    """A new message of the watched conversation. Follow its `generation` for the text of a running answer."""

    conversation: str
    message: AddedMessage


class ConversationChanged(_Frame, frozen=True, tag="conversation"):
    """A changed conversation, with the fields of the list. A deleted one has only its id."""

    conversation: ListedConversation | DeletedConversation
    deleted: bool


class HeartbeatReply(_Frame, frozen=True, tag="hb"):
    """The last seq of each followed generation. A page that is behind follows again.

    `models`: as in `hello`; sent when an outage of a provider has started or ended.
    """

    heads: dict[str, int]
    models: list[ModelChoice] | UnsetType = UNSET


class Restart(_Frame, frozen=True, tag="restart"):
    """The portal closes this socket with 4012 after this number of milliseconds."""

    in_ms: int


class Bye(_Frame, frozen=True, tag="bye"):
    """The reason for which the socket is closed next."""

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
    """Return the frame as JSON text, without UNSET fields."""
    return _encoder.encode(frame).decode()


_encoder = json.Encoder()
