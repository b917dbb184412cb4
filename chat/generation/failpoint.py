"""Named points at which a test ends the process as `kill -9` would. Without PORTAL_FAILPOINT they cost a comparison."""

import os
import signal

from django.conf import settings

POINTS = ("after_accept_commit", "before_finish_commit", "after_finish_commit")


def reach(point: str) -> None:
    """End the process here when PORTAL_FAILPOINT names this point."""
    if point == settings.PORTAL_FAILPOINT:
        os.kill(os.getpid(), signal.SIGKILL)
