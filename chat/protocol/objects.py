"""The JSON objects inside frames. A NotRequired field is omitted if it has no value."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class User(TypedDict):
    """The logged-in user."""

    id: int
    name: str


class Limits(TypedDict):
    """The limits of a user. 0 = no limit, except for the byte sizes."""

    running: int
    queued: int
    sockets: int
    prompts_per_minute: int
    text_bytes: int
    frame_bytes: int


class Stats(TypedDict):
    """The statistics of a model."""

    ttft_ms: int | None
    tokens_per_second: float | None
    error_percent: int | None
    requests: int
    failing: bool


class ModelChoice(TypedDict):
    """A model that the user may choose. `note`: its statistics in words."""

    id: str
    label: str
    provider: str
    stats: NotRequired[Stats]
    note: NotRequired[str]


class Usage(TypedDict):
    """The tokens of one request, and their cost as a decimal string. All None = unknown."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    source: str
    reasoning_tokens: NotRequired[int]
    cached_tokens: NotRequired[int]
    estimated: NotRequired[bool]
    cost: NotRequired[str]
    currency: NotRequired[str]


class Timing(TypedDict):
    """The timing of one answer."""

    ttft_ms: int | None
    duration_ms: int | None
    inter_token_latency_ms: float | None
    tokens_per_second: float | None
    characters_per_second: float | None
    deltas: int
    longest_gap_ms: int | None


class AddedMessage(TypedDict):
    """A message of the tree. Only answers have a `generation`."""

    id: str
    parent: str | None
    role: str
    content: str
    reasoning: str
    created_at: str
    generation: NotRequired[str]


class ListedConversation(TypedDict):
    """A conversation of the list. `state` is that of its newest answer."""

    id: str
    title: str
    model: str | None
    pinned: bool
    archived: bool
    updated_at: str
    state: str | None
    unread: bool


class DeletedConversation(TypedDict):
    """The id of a deleted conversation."""

    id: str
