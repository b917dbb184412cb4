"""Decide which queued generation starts next. It does no I/O and runs on the event loop.

Users take turns, whatever the number of their prompts. The slots of users and providers are limited, and a branch has
one running answer at a time.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass

from chat.generation.accept import Admitted

WEIGHT = 0.1
"""The weight of the last answer in the average duration."""


@dataclass(frozen=True)
class Entry:
    """A queued generation. `deadline`: when its waiting ends, in seconds of the runner's clock."""

    user_id: int
    admitted: Admitted
    deadline: float


class Queue:
    """Queued entries by user, in order of arrival. The users take turns."""

    def __init__(self, user_slots: int) -> None:
        self._user_slots = user_slots
        self._waiting: dict[int, list[Entry]] = {}
        self._running: dict[uuid.UUID, Entry] = {}
        self._average: float | None = None

    def add(self, entry: Entry) -> None:
        """Append the entry to its user's queue."""
        self._waiting.setdefault(entry.user_id, []).append(entry)

    def take(self, open_runs: Container[uuid.UUID]) -> Entry | None:
        """Remove and return the next entry that may start, and count it as running; None if there is none.

        open_runs  running generations. An entry that waits for one of them, or for a queued one, stays in the queue
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
        """Free the slots of a generation that has ended."""
        self._running.pop(generation, None)

    def find(self, generation: uuid.UUID) -> Entry | None:
        """Return the queued entry of a generation, or None."""
        return next((entry for entry in self._all() if entry.admitted.generation == generation), None)

    def remove(self, generation: uuid.UUID) -> None:
        """Remove a generation from its user's queue."""
        for user_id, entries in list(self._waiting.items()):
            left = [entry for entry in entries if entry.admitted.generation != generation]
            if left:
                self._waiting[user_id] = left
            else:
                del self._waiting[user_id]

    def positions(self) -> Iterator[tuple[uuid.UUID, int, int | None]]:
        """Yield each queued generation, its position in its user's queue from 1, and the expected wait in ms.

        The wait is the average duration of an answer times the number of answers that must end one after the other in a
        slot of the user before it starts. It is None until the first answer has ended.
        """
        for entries in self._waiting.values():
            for position, entry in enumerate(entries, start=1):
                slots = 1 if entry.admitted.waits_for else self._user_slots or 1
                rounds = -(-position // slots)
                wait_ms = None if self._average is None else round(1000 * self._average * rounds)
                yield entry.admitted.generation, position, wait_ms

    def took(self, seconds: float) -> None:
        """Add the duration of a complete answer, in seconds, to the average."""
        self._average = seconds if self._average is None else (1 - WEIGHT) * self._average + WEIGHT * seconds

    def overdue(self, now: float) -> list[Entry]:
        """Return the entries whose deadline has passed."""
        return [entry for entry in self._all() if entry.deadline <= now]

    def _all(self) -> list[Entry]:
        return [entry for entries in self._waiting.values() for entry in entries]
