"""The interface of adapters: their request, their events and their only exception.

Imports no dialect and no HTTP library.

    ProviderError(code, reason, permanent, retry_after)   the only exception that leaves chat.providers
      code   of Kind.UPSTREAM: stable, tested, stored; chat/texts/errors.py has the sentence for users
      asyncio.CancelledError                                leaves it only if the caller's task was cancelled
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chat.codes import Code, Kind


class ProviderError(Exception):
    """A failure of an upstream, described by a code of the portal.

    code         one of Kind.UPSTREAM
    permanent    whether sending the same request again cannot help; the default depends on the code
    retry_after  seconds to wait, as upstream requested; None without a usable value; may be `inf`
    reason       upstream's message, redacted and cut to 200 characters; may be empty
    max_tries    how often the request may be sent in total if no delta was delivered
    request_id   upstream's id of the request, for support; may be empty

    Raises ValueError for a code that is not of Kind.UPSTREAM.
    """

    def __init__(
        self,
        code: str,
        reason: str = "",
        *,
        permanent: bool | None = None,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{code}: {reason}" if reason else code)
        self.code = Code(code)
        if not self.code.rules.kind & Kind.UPSTREAM:
            raise ValueError(f"{code!r} is no code of an upstream")
        self.permanent = self.code.rules.is_permanent if permanent is None else permanent
        self.retry_after = retry_after
        self.reason = reason[:200]
        self.max_tries = 1 if self.permanent else self.code.rules.max_tries
        self.request_id = request_id


@dataclass(frozen=True)
class TextDelta:
    """A piece of the answer, of any length. It is not a token. At least one of the fields is non-empty."""

    text: str = ""
    reasoning: str = ""


@dataclass(frozen=True)
class FinishReported:
    """A non-empty finish_reason, verbatim. Deltas and usage may still follow."""

    reason: str


@dataclass(frozen=True)
class UsageReported:
    """Token counts as reported by upstream. The last event of a stream replaces earlier ones.

    place  where the counts were: `own_chunk` · `finish_chunk` · `text_chunk` (before the finish) · `x_groq` · `choice`
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class ResponseStarted:
    """The headers of a successful answer (status 2xx) have arrived. The first event of every stream.

    request_id   may be empty
    rate_limits  the headers about rate limits, by their names in lower case
    """

    request_id: str = ""
    rate_limits: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class ModelNamed:
    """The model that upstream reports. It may differ from the requested one."""

    model: str


@dataclass(frozen=True)
class Warned:
    """A harmless irregularity, for the log. Each kind occurs at most once in a stream.

    bad_utf8              invalid bytes were replaced by U+FFFD
    lone_surrogate        a lone surrogate was replaced by U+FFFD
    unexpected_choice     an index other than 0 was dropped
    unexpected_data       JSON that is not a chunk was ignored
    usage_ignored         impossible token counts were ignored
    content_after_finish  content followed a finish_reason
    done_without_finish   `[DONE]` came without a finish_reason: the answer may be cut
    cut_after_finish      the connection broke after the answer was complete
    cumulative?           deltas seem to repeat the text so far
    refusal               the text is a refusal
    whole_answer          upstream sent one JSON document instead of a stream
    content_type          a stream has the wrong content type
    compressed            the body is compressed although `identity` was requested
    """

    what: str


Event = TextDelta | FinishReported | UsageReported | ResponseStarted | ModelNamed | Warned


class Probe(Protocol):
    """Gets a call at each measured moment of a request. The methods are synchronous and must not raise.

    One `stream()` may send its request several times: if a kept-alive connection was dead, and if upstream refused a
    field. Each `started` resets the measurement.
    """

    def started(self) -> None:
        """The request is passed to the HTTP client."""

    def sent(self) -> None:
        """The whole request is sent. From now on it may be billed."""

    def received(self) -> None:
        """Bytes of the answer's body were read."""


@dataclass(frozen=True)
class TimeLimits:
    """Our own limits in seconds; httpx's read timeout never fires while keep-alives come.

    connect        for each of: a slot in the pool, the TCP connection, TLS
    first_byte     from the sent request to the headers of the answer
    first_body     from the headers to the first byte of the body
    first_content  from the sent request to the first delta, regardless of keep-alive comments; at least first_byte
    idle           between two reads of the body
    idle_content   between two deltas, regardless of keep-alive comments; at least idle
    after_finish   from finish_reason to usage; comments don't extend it
    total          for the whole generation; the caller enforces it, not the adapter
    """

    connect: float = 5.0
    first_byte: float = 120.0
    first_body: float = 60.0
    first_content: float = 300.0
    idle: float = 60.0
    idle_content: float = 180.0
    after_finish: float = 2.0
    total: float = 900.0


@dataclass(frozen=True)
class CompletionRequest:
    """A request to a model.

    messages  dicts with `role` and `content`, in order; content is plain text
    options   sampling settings with the upstream's names, passed through; only those that were set
    """

    model: str
    messages: Sequence[Mapping[str, str]]
    options: Mapping[str, Any] = field(default_factory=dict)


def plain_text(messages: Sequence[Mapping[str, str]]) -> str:
    """Join the messages with blank lines, without roles, because a base model knows none.

    If the last message is an answer to be continued, it follows its prompt directly, as the model wrote it.
    """
    *earlier, last = messages
    before = "\n\n".join(message["content"] for message in earlier)
    between = "\n\n" if earlier and last["role"] != "assistant" else ""
    return before + between + last["content"]


@dataclass(frozen=True)
class UnsupportedField:
    """A request field that upstream refuses for `model` ('' = for all models), and the one to send instead."""

    field: str
    model: str = ""
    instead: str = ""


@dataclass(frozen=True)
class Endpoint:
    """The settings to reach an upstream: a provider's row with decrypted credentials.

    base_url          the address without `/chat/completions`; it is normalised (`base_url.clean_base_url`)
    dialect           `chat_completions` (messages) or `completions` (one plain text, legacy)
    auth              `bearer` · `api_key_header` (Azure's `api-key`) · `evolution` · `none`; a blank key is not sent
    key_id            for `evolution`: `api_key` is its secret, and both are exchanged for tokens at `token_url`
    usage_mode        `auto` asks for usage until upstream refuses the field; `ask` always, `never` never
    whole_answers     request the answer in one piece, for servers that cannot stream
    think_tags        `kept` in the text · `tagged`: `<think>…</think>` before the answer is reasoning · `opened`: the
                      same without the first tag
    max_tokens_field  `max_tokens` or `max_completion_tokens`: the upstream's name of the option `max_tokens`; the other
                      name is used for a model that refused this one
    extra_headers     as stored; sending a value that is not a string raises ProviderError
    extra_query       added to the address
    extra_body        added to the payload; options take precedence
    max_parallel      the most answers at the same time; 0 = no limit
    private_network   allow plain http, and addresses of this machine and of private networks
    refused_fields    pairs (model, field) that upstream refused before and that are not sent; model '' = all models
    remember          is called with an UnsupportedField when upstream refuses a field; runs in the event loop and must
                      not block
    """

    base_url: str
    auth: str = "bearer"
    api_key: str = field(default="", repr=False)
    key_id: str = field(default="", repr=False)
    token_url: str = ""
    dialect: str = "chat_completions"
    usage_mode: str = "auto"
    whole_answers: bool = False
    think_tags: str = "kept"
    max_tokens_field: str = "max_tokens"
    extra_headers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    extra_query: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limits: TimeLimits = field(default_factory=TimeLimits)
    max_parallel: int = 0
    private_network: bool = False
    refused_fields: frozenset[tuple[str, str]] = frozenset()
    remember: Callable[[UnsupportedField], None] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets that upstream may echo and that must be masked."""
        extra = (value for value in self.extra_headers.values() if isinstance(value, str))
        return (self.api_key, self.key_id, *extra)


class Adapter(Protocol):
    """The client for one endpoint in its dialect."""

    def stream(self, request: CompletionRequest, probe: Probe) -> AsyncGenerator[Event, None]:
        """Send the request once and yield its events in upstream's order until the answer is complete.

        It returns normally only if the answer is complete (a finish_reason or an end mark arrived). Closing the
        generator early, or cancelling the task that waits for the next event, closes the connection at once. Callers
        that may leave the loop early must use `contextlib.aclosing`, because a dropped generator is closed later.
        Raises ProviderError for every failure, also after deltas.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections to the upstream."""
        ...
