"""One process writes: the lock on the data directory. And what a dead one left behind: the boot sweep."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from django.conf import settings
from django.db import transaction

from chat import ledger
from chat.codes import Code
from chat.generation import inputs, store
from chat.models import Generation, Segment, State, UsageRecord
from chat.timing import Timing

logger = logging.getLogger(__name__)

LOCK_NAME = "portal.lock"


class DataDirectoryBusy(Exception):
    """Another portal runs on this data directory."""


class DataDirectoryLock:
    """An exclusive lock on the directories where the data lie: the data directory, and the database's if that is
    elsewhere. The kernel frees it with the process, however that ends."""

    def __init__(self, *directories: Path) -> None:
        self._paths = sorted({directory.resolve() / LOCK_NAME for directory in directories})
        self._files: list[int] = []

    def acquire(self) -> None:
        """Take the lock. Raises DataDirectoryBusy when another process holds it."""
        try:
            for path in self._paths:
                self._files.append(_lock(path))
        except DataDirectoryBusy:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back. Harmless when it is not held."""
        while self._files:
            os.close(self._files.pop())


def data_lock() -> DataDirectoryLock:
    """The lock of the portal that these settings describe."""
    return DataDirectoryLock(settings.PORTAL_DATA_DIR, Path(str(settings.DATABASES["default"]["NAME"])).parent)


def _lock(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # guard: a data directory has one portal
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode("ascii", "replace").strip()
        os.close(file)
        raise DataDirectoryBusy(
            f"another portal (process {holder or 'unknown'}) runs on the data directory {path.parent}"
        ) from None
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def sweep() -> int:
    """Give every generation that the last process left running its end; returns how many there were.

    The lock proves that nobody else writes them. What was stopping becomes stopped, what was running interrupted; the
    queued ones stay, since nothing of them was sent (the runner takes them up).
    """
    left = Generation.objects.filter(state__in=(State.RUNNING, State.STOPPING)).select_related(
        "message__conversation", "model", "usage"
    )
    count = 0
    for generation in left:
        with transaction.atomic():
            store.finish(_end_of(generation))
        count += 1
    ledger.close_abandoned()
    if count:
        logger.warning("%d answers of the last process were cut; what had arrived is kept", count)
    return count


def _end_of(generation: Generation) -> store.End:
    segments = list(generation.segments.all())
    seq, text, reasoning = store.fold(segments)
    record = generation.usage
    # guard: what was being stopped is recovered as stopped
    stopped = generation.state == State.STOPPING
    return store.End(
        generation=generation.pk,
        usage_record=record.pk,
        state=State.STOPPED if stopped else State.INTERRUPTED,
        text=generation.message.content + text,  # what is there already is the beginning of a continued answer
        reasoning=generation.message.reasoning + reasoning,
        kept_characters=generation.kept_characters,
        # guard: what broke off after a kill has its cost
        rate=record.rate,
        deltas=seq,
        finish_reason=generation.finish_reason,
        code=None if stopped else Code.SERVER_RESTARTED,
        usage=_usage_of(generation, text, reasoning) if seq else ledger.Usage(),
        timing=_timing_of(record, segments),
        attempts=max(record.attempts, 1),
        turns_left_out=generation.turns_left_out,
    )


def _timing_of(record: UsageRecord, segments: list[Segment]) -> Timing:
    """What was measured: all of it when the last checkpoint came with a finish_reason, else what the segments tell."""
    known = Timing(record.ttft_ms, record.duration_ms, record.writing_ms, record.longest_gap_ms, record.deltas)
    if not segments or record.deltas == segments[-1].seq:
        return known
    return Timing(record.ttft_ms, segments[-1].at_ms, deltas=segments[-1].seq)


def _usage_of(generation: Generation, text: str, reasoning: str) -> ledger.Usage:
    """Our count of what was sent and what had come; unknown when that cannot be told, which must not stop the start."""
    try:
        return inputs.count_usage(inputs.prepared_request_of(generation.pk), text, reasoning)
    except inputs.Unusable:  # the model's row is gone
        return ledger.Usage()
    except Exception:
        logger.exception("the tokens of generation %s could not be counted", generation.pk)
        return ledger.Usage()
