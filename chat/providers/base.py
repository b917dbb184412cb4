"""What every adapter speaks: the request it gets, the events it yields, the one error that leaves this package.

Knows no dialect and no HTTP library.

    ProviderError(code, reason, permanent, retry_after)   the only exception that leaves chat.providers
      code   of Kind.UPSTREAM: stable, tested, stored; the sentence a person reads is made in chat/texts/errors.py
    asyncio.CancelledError                                leaves it only when somebody outside cancelled the task
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chat.codes import Code, Kind


class ProviderError(Exception):
    """An upstream failed, in our words.

    code         one of Kind.UPSTREAM
    permanent    True when sending the same request again cannot help; by default the code decides
    retry_after  seconds that upstream asked us to wait; None when it said nothing usable; `inf` when it asked for ever
    reason       upstream's own text, redacted already; kept are at most 200 characters; may be empty
    max_tries    how often the request may be sent in all when nothing was delivered yet
    request_id   upstream's own id of the request, for support; may be empty

    Raises ValueError for a code that is none of an upstream's.
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
    """A piece of the answer as it came: any length, not a token. At least one of the two is non-empty."""

    text: str = ""
    reasoning: str = ""


@dataclass(frozen=True)
class FinishReported:
    """Upstream gave a non-empty finish_reason, verbatim. Deltas and usage may still follow."""

    reason: str


@dataclass(frozen=True)
class UsageReported:
    """Token counts as upstream reports them. The last one of a stream holds; they are never added up.

    place  where they lay: `own_chunk` · `finish_chunk` · `text_chunk` (before the finish) · `x_groq` · `choice`
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class ResponseStarted:
    """The headers of a good answer (status 2xx) are here. The first event of every stream; the id may be empty.

    rate_limits  the headers that tell of rate limits, by their names in lower case
    """

    request_id: str = ""
    rate_limits: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class ModelNamed:
    """The model that upstream says it used; it may differ from the one asked for."""

    model: str


@dataclass(frozen=True)
class Warned:
    """Something odd that did not hurt, for the log; each kind at most once in a stream.

    bad_utf8              bytes became U+FFFD
    lone_surrogate        half a character became U+FFFD
    unexpected_choice     an index other than 0 was dropped
    unexpected_data       JSON that is no chunk
    usage_ignored         counts that can't be true
    content_after_finish  upstream put a finish_reason before the end
    done_without_finish   the end mark came alone: the answer may be cut
    cut_after_finish      the connection broke, but the answer was complete
    cumulative?           deltas seem to repeat the text so far
    refusal               the text is a refusal
    whole_answer          JSON came where a stream was asked for
    content_type          a stream under another name
    compressed            packed, though identity was asked for
    """

    what: str


Event = TextDelta | FinishReported | UsageReported | ResponseStarted | ModelNamed | Warned


class Probe(Protocol):
    """Told of the moments that are measured; all calls are synchronous and must not raise.

    A request may be handed over more than once in one `stream()`: when a kept-alive connection turned out to be dead,
    and when upstream refused a field. Each `started` begins anew.
    """

    def started(self) -> None:
        """The request is handed to the HTTP client."""

    def sent(self) -> None:
        """The whole request has left for upstream: from here on it may be billed."""

    def received(self) -> None:
        """Bytes of the answer's body were read."""


@dataclass(frozen=True)
class TimeLimits:
    """Our own limits in seconds; httpx's read timeout never fires while keep-alives come.

    connect        for a place in the pool, for the TCP connection, and for TLS: for each of them
    first_byte     from the sent request to the answer's headers
    first_body     from there to the first byte of the body
    first_content  from the sent request to the first delta, however many keep-alive comments come; at least first_byte
    idle           between two reads of the body
    idle_content   between two deltas, however many keep-alive comments come; at least idle
    after_finish   how long usage is awaited after finish_reason; comments don't lengthen it
    total          for the whole generation; kept by its owner, not by adapters
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
    """One question to a model.

    messages  role and content, in order; content is plain text
    options   sampling settings as the upstream names them, passed through; only what somebody set
    """

    model: str
    messages: Sequence[Mapping[str, str]]
    options: Mapping[str, Any] = field(default_factory=dict)


def plain_text(messages: Sequence[Mapping[str, str]]) -> str:
    """The messages as one text, a blank line between two of them; no roles, since a base model knows none.

    An answer that comes last is to be continued: the model wrote it right behind its prompt, and finds it there again.
    """
    *earlier, last = messages
    before = "\n\n".join(message["content"] for message in earlier)
    between = "\n\n" if earlier and last["role"] != "assistant" else ""
    return before + between + last["content"]


@dataclass(frozen=True)
class UnsupportedField:
    """A field of the request that upstream does not take with `model` ('' = with none), and the one sent instead."""

    field: str
    model: str = ""
    instead: str = ""


@dataclass(frozen=True)
class Endpoint:
    """Where and how to reach an upstream: a provider's row, with its credentials decrypted.

    base_url          up to and without `/chat/completions`; untidy ones are tidied (`http.clean_base_url`)
    dialect           `chat_completions` (messages) or `completions` (one plain text, legacy)
    auth              `bearer` · `api_key_header` (Azure's `api-key`) · `evolution` · `none`; a blank key sends none
    key_id            for `evolution`: `api_key` is its secret, and both are exchanged for tokens at `token_url`
    usage_mode        `auto` asks for usage and stops asking when upstream refuses the field; `ask`; `never`
    whole_answers     asks for the answer in one piece, for servers that cannot stream
    think_tags        `kept` in the text · `tagged`: `<think>…</think>` before the answer is reasoning · `opened`: the
                      same without the first tag
    max_tokens_field  `max_tokens` or `max_completion_tokens`: what the option `max_tokens` is called there, but for a
                      model that refused this one
    extra_headers     as they are stored: a value that is no text is refused when it is to be sent
    extra_query       added to the address; extra_body is added to the payload, and options win over it
    max_parallel      answers at once; 0 = no limit
    private_network   plain http, and addresses of this machine and of private networks, are allowed
    refused_fields    (model, field) that upstream refused before: not sent; model '' = with every model
    remember          called with an UnsupportedField when upstream refuses a field, so that it isn't sent again; called
                      in the event loop: it must not block
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
        """What upstream may repeat of ours, and nobody is to read."""
        extra = (value for value in self.extra_headers.values() if isinstance(value, str))
        return (self.api_key, self.key_id, *extra)


class Adapter(Protocol):
    """One dialect of one upstream."""

    def stream(self, request: CompletionRequest, probe: Probe) -> AsyncGenerator[Event, None]:
        """Send the request once and yield what comes, in upstream's order, until the answer is complete.

        Returning normally means complete (a finish_reason or an end mark came). Closing the generator early, or
        cancelling the task that waits for the next event, closes the connection to upstream at once. Whoever may leave
        the loop by itself holds it in `contextlib.aclosing`: a generator that is merely dropped closes later.
        Raises ProviderError for everything that goes wrong, also after some deltas.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
