"""Who may run next: the next user in turn, not the next prompt; a user's and a provider's slots; one answer at a time
in a branch. Pure bookkeeping on the event loop.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass

from chat.generation.accept import Admitted

WEIGHT = 0.1
"""Of the last answer in the average."""


@dataclass(frozen=True)
class Entry:
    """A queued generation. `deadline`: when waiting ends, by the runner's clock, in seconds."""

    user_id: int
    admitted: Admitted
    deadline: float


class Queue:
    """Entries by user, in order of arrival; the users take turns."""

    def __init__(self, user_slots: int) -> None:
        self._user_slots = user_slots
        self._waiting: dict[int, list[Entry]] = {}
        self._running: dict[uuid.UUID, Entry] = {}
        self._average: float | None = None

    def add(self, entry: Entry) -> None:
        """Put it at the end of its user's line."""
        self._waiting.setdefault(entry.user_id, []).append(entry)

    def take(self, open_runs: Container[uuid.UUID]) -> Entry | None:
        """The next entry that may start, taken out of the queue and counted as running; None when there is none.

        open_runs  generations that still write: an entry that waits for one of them, or for a queued one, stays
        """
        users = Counter(entry.user_id for entry in self._running.values())
        providers = Counter(entry.admitted.provider for entry in self._running.values())
        for user_id, entries in self._waiting.items():
            # guard: the slots of a user are limited
            if self._user_slots and users[user_id] >= self._user_slots:
                continue
            for entry in entries:
                if self._may_start(entry, providers, open_runs):
                    self.remove(entry.admitted.generation)
                    if user_id in self._waiting:
                        # guard: users take turns
                        self._waiting[user_id] = self._waiting.pop(user_id)  # to the end of the round
                    self._running[entry.admitted.generation] = entry
                    return entry
        return None

    def _may_start(self, entry: Entry, providers: Counter[int | None], open_runs: Container[uuid.UUID]) -> bool:
        slots, before = entry.admitted.provider_slots, entry.admitted.waits_for
        # guard: the slots of a provider are limited
        if slots and providers[entry.admitted.provider] >= slots:
            return False
        # guard: one answer at a time in a branch
        return before is None or (before not in open_runs and self.find(before) is None)

    def done(self, generation: uuid.UUID) -> None:
        """It runs no more."""
        self._running.pop(generation, None)

    def find(self, generation: uuid.UUID) -> Entry | None:
        """The waiting entry of a generation."""
        return next((entry for entry in self._all() if entry.admitted.generation == generation), None)

    def remove(self, generation: uuid.UUID) -> None:
        """Take it out of its line."""
        for user_id, entries in list(self._waiting.items()):
            left = [entry for entry in entries if entry.admitted.generation != generation]
            if left:
                self._waiting[user_id] = left
            else:
                del self._waiting[user_id]

    def positions(self) -> Iterator[tuple[uuid.UUID, int, int | None]]:
        """Each waiting generation, its place in its user's line from 1, and the expected wait in ms.

        The wait is that of as many answers of average length as must end before it, one after the other for each slot
        of the user; None while no answer has ended yet.
        """
        for entries in self._waiting.values():
            for position, entry in enumerate(entries, start=1):
                slots = 1 if entry.admitted.waits_for else self._user_slots or 1
                rounds = -(-position // slots)
                wait_ms = None if self._average is None else round(1000 * self._average * rounds)
                yield entry.admitted.generation, position, wait_ms

    def took(self, seconds: float) -> None:
        """An answer was written from beginning to end in so long."""
        self._average = seconds if self._average is None else (1 - WEIGHT) * self._average + WEIGHT * seconds

    def overdue(self, now: float) -> list[Entry]:
        """What has waited too long."""
        return [entry for entry in self._all() if entry.deadline <= now]

    def _all(self) -> list[Entry]:
        return [entry for entries in self._waiting.values() for entry in entries]
