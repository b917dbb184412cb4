"""A time limit for many waits in a row that costs no task and no timer for each of them.

`asyncio.timeout` makes a timer a wait. A stream waits thousands of times, with limits that mostly move into the future:
here one timer stays armed, and looks when it fires whether it is really due.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

LATE = 0.1
"""Seconds: a timer that fires later than this measured a busy or suspended process, not upstream."""


class Deadline:
    """`with deadline.until(when): await …` raises TimeoutError when the loop's clock passes `when`.

    A cancellation from outside stays a CancelledError, also when both come at once. Belongs to one task at a time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._when = math.inf
        self._cancelling = 0
        self._expired = False
        self._pardoned = False

    def until(self, when: float) -> Deadline:
        """Set the limit, in the loop's time; also from within the wait."""
        if when != self._when:
            self._when, self._pardoned = when, False
        if when < math.inf and (self._timer is None or self._timer.when() > when):
            self._arm(when)
        return self

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._expired = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._expired and task is not None:
            ours = task.uncancel() <= self._cancelling
            if ours and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error

    def _arm(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._fire, when)

    def _fire(self, due: float) -> None:
        self._timer = None
        if self._task is None or self._when == math.inf:
            return  # nobody waits; the next wait arms again
        now = self._loop.time()
        if now < self._when:
            self._arm(self._when)
        elif now - due > LATE and not self._pardoned:
            # The loop stood still, and what upstream sent meanwhile may lie unread in the socket: one more look at each
            # limit, however many waits it is set for.
            self._pardoned = True
            self._arm(now + LATE)
        else:
            self._expired = True
            self._task.cancel()
