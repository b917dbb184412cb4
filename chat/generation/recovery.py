"""Lock the data directory for one process, and end the generations that the last process left unfinished."""

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
    """An exclusive lock on the data directory, and on the database's directory if that is another one.

    The kernel releases the lock when the process ends, whatever the cause.
    """

    def __init__(self, *directories: Path) -> None:
        self._paths = sorted({directory.resolve() / LOCK_NAME for directory in directories})
        self._files: list[int] = []

    def acquire(self) -> None:
        """Take the lock. Raises DataDirectoryBusy if another process holds it."""
        try:
            for path in self._paths:
                self._files.append(_lock(path))
        except DataDirectoryBusy:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock. Does nothing if it is not held."""
        while self._files:
            os.close(self._files.pop())


def data_lock() -> DataDirectoryLock:
    """Return the lock for the directories in the settings."""
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
    """End every generation that the last process left running, and return their number.

    The lock ensures that no other process writes them. A stopping generation becomes stopped, a running one
    interrupted. Queued ones stay queued, because nothing of them was sent; the runner starts them again.
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
        text=generation.message.content + text,  # the message holds the beginning of a continued answer
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
    """Return the measured timing if the last checkpoint stored it with a finish_reason, else that of the segments."""
    known = Timing(record.ttft_ms, record.duration_ms, record.writing_ms, record.longest_gap_ms, record.deltas)
    if not segments or record.deltas == segments[-1].seq:
        return known
    return Timing(record.ttft_ms, segments[-1].at_ms, deltas=segments[-1].seq)


def _usage_of(generation: Generation, text: str, reasoning: str) -> ledger.Usage:
    """Count the tokens of the prompt and of the stored text. If that fails they are unknown, and the start goes on."""
    try:
        return inputs.count_usage(inputs.prepared_request_of(generation.pk), text, reasoning)
    except inputs.Unusable:  # the model was deleted
        return ledger.Usage()
    except Exception:
        logger.exception("the tokens of generation %s could not be counted", generation.pk)
        return ledger.Usage()
