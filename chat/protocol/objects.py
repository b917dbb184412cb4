"""The JSON objects inside frames. A field that is NotRequired is left out when there is nothing to say."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class User(TypedDict):
    """Who is logged in."""

    id: int
    name: str


class Limits(TypedDict):
    """What a user may do; 0 = no limit, but for the bytes."""

    running: int
    queued: int
    sockets: int
    prompts_per_minute: int
    text_bytes: int
    frame_bytes: int


class Stats(TypedDict):
    """How a model has done lately."""

    ttft_ms: int | None
    tokens_per_second: float | None
    error_percent: int | None
    requests: int
    failing: bool


class ModelChoice(TypedDict):
    """A model that a user may choose. `note`: its stats in words."""

    id: str
    label: str
    provider: str
    stats: NotRequired[Stats]
    note: NotRequired[str]


class Usage(TypedDict):
    """The tokens of one request, and what they cost as a decimal string; all None = unknown."""

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
    """When the text of one answer came."""

    ttft_ms: int | None
    duration_ms: int | None
    inter_token_latency_ms: float | None
    tokens_per_second: float | None
    characters_per_second: float | None
    deltas: int
    longest_gap_ms: int | None


class AddedMessage(TypedDict):
    """A message of the tree; `generation` is that of an answer."""

    id: str
    parent: str | None
    role: str
    content: str
    reasoning: str
    created_at: str
    generation: NotRequired[str]


class ListedConversation(TypedDict):
    """A conversation as the list shows it; `state` is that of its newest answer."""

    id: str
    title: str
    model: str | None
    pinned: bool
    archived: bool
    updated_at: str
    state: str | None
    unread: bool


class DeletedConversation(TypedDict):
    """What is left of it."""

    id: str
