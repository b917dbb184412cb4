"""What a guard is, and the files and tests that most of them name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """`text` stands exactly once in `file`; with `instead` in its place the guard is gone, and a test of `tests` fails.

    A test is a node id of pytest, or a file of tests/js for Node.
    """

    name: str
    file: str
    text: str
    instead: str
    tests: tuple[str, ...]


LOG, STORE, ACCEPT = "chat/generation/log.py", "chat/generation/store.py", "chat/generation/accept.py"
RUN, RUNNER, QUEUE = "chat/generation/run.py", "chat/generation/runner.py", "chat/generation/queue.py"
TALK, NEWS, RECOVERY = "chat/conversations.py", "chat/live/subscriptions.py", "chat/generation/recovery.py"
DOOR, ACCESS, SERVER = "chat/consumers.py", "chat/access.py", "chatsite/server.py"
FOLLOWING_JS = "static/chat/js/following.js"

MACHINE = "tests/generation/test_state_machine.py"
OWNERS = "tests/generation/test_owners.py::test_"
TURNS = "tests/generation/test_turns.py::test_"
LOGS = "tests/generation/test_log.py::test_"
DOORS = "tests/process/test_doors.py::test_"
TABS = "tests/process/test_watching.py::test_"
ENTRY = "tests/test_access.py::test_"
FOREIGN = TABS + "what_a_colleague_sends_to_ones_addresses_is_not_found"
