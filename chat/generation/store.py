"""Store the begin, the checkpoints and the end of a run, and read a stored answer.

`begin`, `request_stop`, `checkpoint`, `remember` and `finish` run in the writer's transaction, `stored` in a reader.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import timezone

from chat import ledger
from chat.generation.events import AnswerEnded
from chat.generation.failpoint import reach
from chat.generation.log import Unsaved
from chat.ledger import NOTHING_SENT, Outcome, Usage
from chat.models import Conversation, Generation, Message, Provider, Segment, State
from chat.pricing import Rate
from chat.protocol import Snapshot
from chat.providers.base import UnsupportedField
from chat.timing import Timing

STORED = "stored"
"""The epoch of a text that is read from the database."""


@dataclass(frozen=True)
class Progress:
    """One run's part of a checkpoint: its unsaved deltas and its timing. `finish_reason`: None until one arrives."""

    generation: uuid.UUID
    usage_record: int
    unsaved: Unsaved | None
    timing: Timing
    attempts: int
    finish_reason: str | None


@dataclass(frozen=True)
class End:
    """How a generation ended, with everything that is stored about it."""

    generation: uuid.UUID
    usage_record: int
    state: State
    text: str = ""
    reasoning: str = ""
    deltas: int = 0
    finish_reason: str | None = None
    code: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = NOTHING_SENT
    timing: Timing = field(default_factory=Timing)
    attempts: int = 0
    response_model: str = ""
    upstream_request_id: str = ""
    turns_left_out: int = 0
    curve: Sequence[tuple[int, int]] = ()
    """Pairs of milliseconds and characters, for the chart of the receipt."""
    rate: Rate | None = None
    """The prices that were valid when the prompt was accepted."""
    kept_characters: int = 0
    """Code points of the text that a continued answer started with."""
    seen: bool = False
    """Whether a tab had the conversation open when the generation ended."""

    @property
    def new_characters(self) -> int:
        """Code points that this generation wrote."""
        return len(self.text) - self.kept_characters

    @property
    def cost(self) -> Decimal | None:
        """The cost in the currency of the rate; None = unknown."""
        return self.usage.cost(self.rate)

    @property
    def outcome(self) -> Outcome:
        """The figures for the usage record."""
        return Outcome(
            state=self.state,
            usage=self.usage,
            timing=self.timing,
            rate=self.rate,
            characters=self.new_characters,
            attempts=self.attempts,
            finish_reason=self.finish_reason,
            error_code=self.code or "",
            upstream_request_id=self.upstream_request_id,
            response_model=self.response_model,
        )


def begin(generation: uuid.UUID) -> bool:
    """Change queued → running. Return False if it was stopped or deleted meanwhile."""
    began = Generation.objects.begin(generation)
    if began:
        ledger.mark_running(generation)
    return began


def request_stop(generation: uuid.UUID) -> bool:
    """Change running → stopping, and return whether that happened. The run stores the end."""
    return Generation.objects.request_stop(generation)


def checkpoint(progress: Sequence[Progress]) -> set[uuid.UUID]:
    """Store the unsaved deltas of all logs at once. Return the generations that have ended or were deleted."""
    ids = {one.generation for one in progress}
    # guard: a late checkpoint appends nothing
    alive = set(Generation.objects.unfinished().filter(pk__in=ids).values_list("pk", flat=True))
    unsaved = [one.unsaved for one in progress if one.unsaved and one.generation in alive]
    Segment.objects.bulk_create(
        Segment(
            generation_id=new.generation,
            prev=new.prev,
            seq=new.seq,
            text=new.text,
            reasoning=new.reasoning,
            at_ms=new.at_ms,
        )
        for new in unsaved
    )
    for one in progress:
        if one.finish_reason is not None:
            # guard: a late checkpoint changes no finish reason
            Generation.objects.unfinished().filter(pk=one.generation).update(finish_reason=one.finish_reason)
        if one.finish_reason is not None or (one.unsaved and one.unsaved.prev == 0):
            ledger.note_progress(one.usage_record, one.timing, one.attempts, one.finish_reason)
    return ids - alive


def remember(provider_id: int, refused: UnsupportedField) -> None:
    """Store in the provider's row that the upstream refuses a field."""
    provider = Provider.objects.filter(pk=provider_id).first()
    if provider is None:
        return
    provider.refuse(refused.field, refused.model)
    if refused.instead:  # other models get this field from their first request on
        provider.max_tokens_field = refused.instead
    provider.save(update_fields=["max_tokens_field", "refused_fields"])


def missing(generations: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Return the generations that are not in the database any more."""
    wanted = set(generations)
    return wanted - set(Generation.objects.filter(pk__in=wanted).values_list("pk", flat=True))


def bare(end: End) -> End:
    """Return the end without the figures that may have prevented storing it: text and state, with unknown usage."""
    return End(
        end.generation,
        end.usage_record,
        end.state,
        end.text,
        end.reasoning,
        end.deltas,
        kept_characters=end.kept_characters,
        usage=Usage(),
    )


def finish(end: End) -> bool:
    """Store the text in the message, end the generation and close its usage record, all or nothing.

    Return False if it had ended already (nothing changes) or was deleted (only its usage record is closed).
    """
    reach("before_finish_commit")
    ended = Generation.objects.end(
        end.generation,
        end.state,
        finish_reason=end.finish_reason,
        error_code=end.code or "",
        error_parameters=dict(end.parameters),
        deltas=end.deltas,
        turns_left_out=end.turns_left_out,
        curve=list(end.curve),
    )
    if ended:
        Message.objects.filter(generation=end.generation).update(content=end.text, reasoning=end.reasoning)
        Segment.objects.filter(generation=end.generation).delete()
        if end.seen:
            Conversation.objects.filter(messages__generation=end.generation).update(seen_at=timezone.now())
    ledger.close_record(end.usage_record, end.outcome)
    return ended


def ended(end: End) -> AnswerEnded:
    """Return the last event for followers. It is the same for an end in memory and a stored one."""
    return AnswerEnded(
        generation=end.generation,
        seq=end.deltas,
        state=end.state,
        finish_reason=end.finish_reason,
        usage=end.usage,
        timing=end.timing,
        length=len(end.text),
        sha256=hashlib.sha256(end.text.encode()).hexdigest(),
        characters=end.new_characters,
        code=end.code,
        parameters=end.parameters,
        rate=end.rate,
    )


def is_owned(user_id: int, generation_id: uuid.UUID) -> bool:
    """Return whether the generation belongs to the user."""
    # guard: a foreign answer that has ended is unknown, too
    return Generation.objects.owned_by(user_id).filter(pk=generation_id).exists()


class Unfinished(Exception):
    """The generation has not ended: its text is in its log."""


def stored(user_id: int, generation_id: uuid.UUID) -> tuple[Snapshot, AnswerEnded] | None:
    """Read a generation's text and end. None = unknown, or another user's. Raises Unfinished."""
    # guard: a stored answer is followed by its owner
    found = Generation.objects.owned_by(user_id).filter(pk=generation_id).select_related("message", "usage").first()
    if found is None:
        return None
    if not found.is_final:
        raise Unfinished
    end = stored_end(found)
    snapshot = Snapshot(str(found.pk), STORED, end.deltas, end.text, end.reasoning, found.state)
    return snapshot, ended(end)


def fold(segments: Iterable[Segment]) -> tuple[int, str, str]:
    """Join consecutive segments. Return the last seq, the content and the reasoning."""
    seq, texts, reasonings = 0, [], []
    for segment in segments:
        # guard: no text is joined over a hole
        if segment.prev != seq:
            break
        seq = segment.seq
        texts.append(segment.text)
        reasonings.append(segment.reasoning)
    return seq, "".join(texts), "".join(reasonings)


def stored_end(generation: Generation) -> End:
    """Return the End that `finish` stored."""
    record = generation.usage
    return End(
        generation=generation.pk,
        usage_record=record.pk,
        state=State(generation.state),
        text=generation.message.content,
        reasoning=generation.message.reasoning,
        kept_characters=generation.kept_characters,
        rate=record.rate,
        deltas=generation.deltas,
        finish_reason=generation.finish_reason,
        code=generation.error_code or None,
        parameters=generation.error_parameters,
        usage=Usage(
            record.prompt_tokens,
            record.completion_tokens,
            record.total_tokens,
            record.reasoning_tokens,
            record.cached_tokens,
            record.usage_source,
            record.counted_with,
            record.is_estimated,
        ),
        timing=Timing(record.ttft_ms, record.duration_ms, record.writing_ms, record.longest_gap_ms, record.deltas),
    )
