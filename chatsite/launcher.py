"""The commands of `./run.py`. It imports only the standard library, to run before anything is installed."""

from __future__ import annotations

import contextlib
import glob
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from chatsite import local_environment
from chatsite.install import (
    A_DAY,
    PYTHON,
    ROOT,
    install,
    install_browser_libraries,
    install_for_developers,
    install_model,
    lock_packages,
    node,
    only_one_at_a_time,
)
from chatsite.progress import HEARTBEAT_SECONDS, Failed, heartbeat, say

SLOW_CHECKS = ("mypy", "templates")
"""Checks that run in parallel to the tests."""
WORKERS = ["-n", "2", "--dist", "worksteal"]  # tests spend most of their time waiting


def main(arguments: list[str], usage: str) -> int:
    """Run one command of `./run.py` and return its exit code. --help and unknown commands print `usage`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # on exit, subprocess.run kills its child
    command, rest = (arguments[:1] or ["serve"])[0], arguments[1:]
    if command not in COMMANDS or (rest and command not in WITH_ARGUMENTS):
        sys.stdout.write(usage)
        return 0 if command in ("-h", "--help", "help") else 2
    if os.environ.get("PORTAL_DATA_DIR"):  # relative to the current directory
        os.environ["PORTAL_DATA_DIR"] = os.path.abspath(os.path.expanduser(os.environ["PORTAL_DATA_DIR"]))
    os.chdir(ROOT)
    try:
        return COMMANDS[command](*rest)
    except (Failed, OSError) as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130


def serve() -> int:
    """Set up, then replace this process by the portal. Returns an exit code only if the set-up failed."""
    code = setup()
    if code == 0:
        os.execv(PYTHON, [PYTHON, "manage.py", "serve"])  # so that the started process is the portal
    return code


def setup() -> int:
    """Install, fill in secrets and defaults, and migrate. Return the exit code of `setup_portal`."""
    with only_one_at_a_time():
        install("requirements.lock")
        install_browser_libraries()
        data_dir = Path(os.environ.get("PORTAL_DATA_DIR") or os.path.join(ROOT, "var"))
        values = local_environment.stored_and_given(os.environ, data_dir)
        if local_environment.wants_local_model(values):
            install_model(retry=sys.argv[1:2] == ["setup"])
        made = local_environment.write_missing_secrets(values, data_dir)
        if "PORTAL_KEYRING" in made and (data_dir / "chatsite.sqlite3").exists():
            say("warning: the database is older than its new keyring: enter providers' credentials again.")
        os.environ.update(local_environment.defaults(values))
        return subprocess.run([PYTHON, "manage.py", "setup_portal"]).returncode


def check() -> int:
    """Run all checks. Return 1 if one fails."""
    install_for_developers()
    return report(run_checks())


def test(*arguments: str) -> int:
    """Run all checks and tests. `arguments` go to pytest."""
    install_for_developers()
    with beside(SLOW_CHECKS) as slow:
        failed = run_checks(without=SLOW_CHECKS)
        failed += run_tests(*arguments)
        failed += [check.name for check in slow if not check.finish()]
    return report(failed)


def run_tests(*arguments: str) -> list[str]:
    """Run the JavaScript tests, then pytest. Return the names of the failed ones."""
    failed = []
    scripts = sorted(glob.glob("tests/js/**/*.test.*js", recursive=True))
    if scripts and not run_check("node --test", [node(), "--test"] + scripts, show=True):
        failed.append("node --test")
    if not run_check("pytest", [PYTHON, "-m", "pytest"] + WORKERS + list(arguments), show=True):
        failed.append("pytest")
    return failed


def shots(*arguments: str) -> int:
    """Take the screenshots of the page."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "tests.browser.shots"] + list(arguments)).returncode


def bench(*arguments: str) -> int:
    """Run a measurement. Without a valid name, it lists the measurements."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "bench"] + list(arguments)).returncode


def scoreboard(*arguments: str) -> int:
    """Measure the reliability figures."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "tests.reliability"] + list(arguments)).returncode


def lock(*arguments: str) -> int:
    """Write the lock files. `arguments` go to uv."""
    lock_packages(*arguments)
    return 0


def checks() -> dict[str, list[str]]:
    """Return name → command of all checks."""
    return {
        "ruff check": [PYTHON, "-m", "ruff", "check", "--quiet", "."],
        "ruff format": [PYTHON, "-m", "ruff", "format", "--quiet", "--check", "."],
        "mypy": [PYTHON, "-m", "mypy", "--no-error-summary"],
        "import rules": [PYTHON, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-logo"],
        "system checks": [PYTHON, "manage.py", "check", "--fail-level", "WARNING"],
        "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
        "message catalogues": [PYTHON, "manage.py", "check_messages"],
        "biome": [node(), "node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"],
        "types of scripts": [node(), "node_modules/typescript/bin/tsc"],
        "templates": [PYTHON, "-m", "djlint", "--lint", "--quiet", "templates"],
    }


def run_checks(without: Collection[str] = ()) -> list[str]:
    """Run the checks, also after a failure. Return the names of the failed ones."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    return [name for name, command in checks().items() if name not in without and not run_check(name, command)]


def run_check(name: str, arguments: list[str], show: bool = False) -> bool:
    """Run a check and print its outcome; if it fails, with its output. Return whether it succeeded."""
    start = time.monotonic()
    with heartbeat(start, A_DAY if show else HEARTBEAT_SECONDS):
        done = subprocess.run(arguments, stdout=None if show else subprocess.PIPE, stderr=subprocess.STDOUT)
    say_outcome(name, done.returncode, f"in {time.monotonic() - start:.1f} s", done.stdout)
    return done.returncode == 0


def say_outcome(name: str, code: int, when: str, output: bytes | None) -> None:
    """Print the outcome of a check; if it failed, with its output."""
    say(f"{name:<18} {'FAILED' if code else 'ok'} {when}")
    if code and output:
        sys.stdout.write(output.decode("utf-8", "replace"))
        sys.stdout.flush()


class CheckBeside:
    """A check that runs in parallel. Its output is held back until `finish`."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  a pipe that nobody reads would hold it up
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)

    def finish(self) -> bool:
        """Wait for the check and print its outcome. Return whether it succeeded."""
        code = self._process.wait()
        self._output.seek(0)
        say_outcome(self.name, code, "beside the tests", self._output.read())
        return code == 0

    def end(self) -> None:
        """Terminate the check if it still runs."""
        self._process.terminate()
        self._process.wait()
        self._output.close()


@contextlib.contextmanager
def beside(names: Collection[str]) -> Iterator[list[CheckBeside]]:
    """Run the checks in parallel to the body of `with`."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    running: list[CheckBeside] = []
    try:
        for name in names:
            running.append(CheckBeside(name, checks()[name]))
        yield running
    finally:
        for check in running:
            check.end()


def report(failed: list[str]) -> int:
    if failed:
        say("failed: " + ", ".join(failed))
    return 1 if failed else 0


COMMANDS: dict[str, Callable[..., int]] = {
    "serve": serve,
    "setup": setup,
    "check": check,
    "test": test,
    "shots": shots,
    "bench": bench,
    "scoreboard": scoreboard,
    "lock": lock,
}
WITH_ARGUMENTS = ("test", "shots", "bench", "scoreboard", "lock")
