"""A time limit for many successive waits that needs neither a task nor a timer for each of them.

`asyncio.timeout` makes a timer for each wait. A stream waits thousands of times, with limits that mostly move into the
future. Deadline keeps one timer, which checks when it fires whether the limit has passed.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

LATE = 0.1
"""Seconds. A timer that fires later than this shows a busy or suspended process, not a slow upstream."""


class Deadline:
    """`with deadline.until(when): await …` raises TimeoutError when the loop's clock passes `when`.

    A cancellation by others stays a CancelledError, even if both happen at once. One task may use it at a time.
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
        """Set the limit, in the loop's time. May also be called during the wait."""
        if when != self._when:
            self._when, self._pardoned = when, False
        if when < math.inf and (self._timer is None or self._timer.when() > when):
            self._arm(when)
        return self

    def close(self) -> None:
        """Cancel the timer."""
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
            return  # no wait is running; the next one sets the timer again
        now = self._loop.time()
        if now < self._when:
            self._arm(self._when)
        elif now - due > LATE and not self._pardoned:
            # The loop was blocked, and data from upstream may be unread in the socket. So each limit gets one more
            # check, however many waits it is set for.
            self._pardoned = True
            self._arm(now + LATE)
        else:
            self._expired = True
            self._task.cancel()
