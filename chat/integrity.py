"""The invariants of the database, and their check.

Each invariant is one query, so it sees a consistent state: the rows of a prompt are stored in one transaction, and so
are those of an end.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from chat.models import FINAL_STATES, OPEN_STATES, Generation, Message, Segment, SelfCheck, UsageRecord

EXAMPLES = 5
FORGOTTEN = timedelta(minutes=1)
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Invariant:
    """An invariant. `broken` returns the rows that break it in a database, given by its alias."""

    name: str
    broken: Callable[[str], QuerySet[Any]]


def _answers_without_generation(using: str) -> QuerySet[Any]:
    written = Generation.objects.filter(message=OuterRef("pk"))
    return Message.objects.using(using).filter(~Exists(written), role=Message.Role.ASSISTANT)


def _without_usage_record(using: str) -> QuerySet[Any]:
    return Generation.objects.using(using).filter(usage=None)


def _open_records_of_ends(using: str) -> QuerySet[Any]:
    return Generation.objects.using(using).filter(state__in=FINAL_STATES, usage__isnull=False, usage__closed_at=None)


def _closed_records_of_runs(using: str) -> QuerySet[Any]:
    return Generation.objects.using(using).filter(state__in=OPEN_STATES, usage__closed_at__isnull=False)


def _states_that_differ(using: str) -> QuerySet[Any]:
    ended = Generation.objects.using(using).filter(state__in=FINAL_STATES, usage__isnull=False)
    return ended.exclude(usage__state=F("state"))


def _segments_of_ends(using: str) -> QuerySet[Any]:
    return Segment.objects.using(using).filter(generation__state__in=[*FINAL_STATES, "queued"])


def _segments_with_a_gap(using: str) -> QuerySet[Any]:
    before = Segment.objects.filter(generation=OuterRef("generation"), seq=OuterRef("prev"))
    return Segment.objects.using(using).filter(~Exists(before), prev__gt=0)


def _ends_without_a_time(using: str) -> QuerySet[Any]:
    return Generation.objects.using(using).filter(Q(state__in=FINAL_STATES) ^ Q(finished_at__isnull=False))


def _messages_off_their_tree(using: str) -> QuerySet[Any]:
    return Message.objects.using(using).filter(
        Q(parent__isnull=False) & ~Q(parent__conversation=F("conversation"))
        | Q(role=Message.Role.ASSISTANT) & ~Q(parent__role=Message.Role.USER)
    )


def _sums_that_are_wrong(using: str) -> QuerySet[Any]:
    tokens = Q(prompt_tokens=None) | Q(completion_tokens=None) | Q(total_tokens=None)
    counted = UsageRecord.objects.using(using).filter(
        usage_source=UsageRecord.UsageSource.COUNTED, closed_at__isnull=False
    )
    return counted.filter(tokens | ~Q(total_tokens=F("prompt_tokens") + F("completion_tokens")))


def _costs_that_are_missing(using: str) -> QuerySet[Any]:
    closed = UsageRecord.objects.using(using).filter(closed_at__isnull=False, prompt_price__isnull=False)
    return closed.filter(prompt_tokens__isnull=False, completion_tokens__isnull=False, cost=None)


INVARIANTS = (
    Invariant("every answer has its generation", _answers_without_generation),
    Invariant("every generation has its usage record", _without_usage_record),
    Invariant("the usage record of an ended generation is closed", _open_records_of_ends),
    Invariant("the usage record of a running generation is open", _closed_records_of_runs),
    Invariant("generation and usage record agree about the end", _states_that_differ),
    Invariant("only running generations have segments", _segments_of_ends),
    Invariant("segments follow each other without a gap", _segments_with_a_gap),
    Invariant("ended generations, and no others, have the time of their end", _ends_without_a_time),
    Invariant("every message hangs in its conversation's tree, an answer below its prompt", _messages_off_their_tree),
    Invariant("counted tokens add up", _sums_that_are_wrong),
    Invariant("what was asked at a price has its cost", _costs_that_are_missing),
)


def breaches(using: str = "default") -> dict[str, list[str]]:
    """Return name of each broken invariant → ids of some rows that break it; empty if none is broken."""
    found = {}
    for invariant in INVARIANTS:
        broken = invariant.broken(using).values_list("pk", flat=True)[:EXAMPLES]
        if ids := [str(pk) for pk in broken]:
            found[invariant.name] = ids
    return found


def forgotten(known: Collection[uuid.UUID]) -> dict[str, list[str]]:
    """Do the same for the invariant that every unfinished generation runs or is queued in the serving process."""
    before = timezone.now() - FORGOTTEN
    unknown = Generation.objects.unfinished().filter(created_at__lt=before).exclude(pk__in=known)
    ids = [str(pk) for pk in unknown.values_list("pk", flat=True)[:EXAMPLES]]
    return {"somebody sees to every generation that has not ended": ids} if ids else {}


def check(known: Collection[uuid.UUID] | None = None) -> SelfCheck:
    """Check all invariants. Does not save. `known`: the serving process's generations; None in other processes."""
    began = time.monotonic()
    found = breaches() | (forgotten(known) if known is not None else {})
    return SelfCheck(
        duration_ms=round((time.monotonic() - began) * 1000), generations=Generation.objects.count(), breaches=found
    )


def record(result: SelfCheck) -> None:
    """Save the result and delete old ones."""
    SelfCheck.objects.filter(at__lt=timezone.now() - KEPT).delete()
    result.save()
