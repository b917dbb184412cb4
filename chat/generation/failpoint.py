"""Named points at which a test kills the process. Without PORTAL_FAILPOINT each costs one comparison."""

import os
import signal

from django.conf import settings

POINTS = ("after_accept_commit", "before_finish_commit", "after_finish_commit")


def reach(point: str) -> None:
    """Kill the process with SIGKILL if PORTAL_FAILPOINT names this point."""
    if point == settings.PORTAL_FAILPOINT:
        os.kill(os.getpid(), signal.SIGKILL)
