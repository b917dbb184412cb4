"""The commands of `./run.py`. The standard library only: `serve` and `setup` run before anything is installed."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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

WORKERS = ["-n", "2", "--dist", "worksteal"]  # most of a test's time is waiting


def main(arguments: list[str], usage: str) -> int:
    """Run one command of `./run.py`; returns its exit code. `usage` is shown for --help and for an unknown command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # subprocess.run ends its child on the way out
    command, rest = (arguments[:1] or ["serve"])[0], arguments[1:]
    if command not in COMMANDS or (rest and command not in WITH_ARGUMENTS):
        sys.stdout.write(usage)
        return 0 if command in ("-h", "--help", "help") else 2
    if os.environ.get("PORTAL_DATA_DIR"):  # relative to where it was typed
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
    """Set up, then become the portal; returns an exit code only when the set-up failed."""
    code = setup()
    if code == 0:
        os.execv(PYTHON, [PYTHON, "manage.py", "serve"])  # the process that was started is the portal
    return code


def setup() -> int:
    """Install, fill in secrets and defaults, migrate; returns the exit code of `setup_portal`."""
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
    """Run every check; 1 when one fails."""
    install_for_developers()
    return report(run_checks())


def test(*arguments: str) -> int:
    """Run every check and every test; arguments go to pytest."""
    install_for_developers()
    failed = run_checks()
    scripts = sorted(glob.glob("tests/js/**/*.test.*js", recursive=True))
    if scripts and not run_check("node --test", [node(), "--test"] + scripts, show=True):
        failed.append("node --test")
    if not run_check("pytest", [PYTHON, "-m", "pytest"] + WORKERS + list(arguments), show=True):
        failed.append("pytest")
    return report(failed)


def shots(*arguments: str) -> int:
    """Make the pictures of the page."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "tests.browser.shots"] + list(arguments)).returncode


def bench(*arguments: str) -> int:
    """Also without a name, or with a wrong one: then it says which there are."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "bench"] + list(arguments)).returncode


def scoreboard(*arguments: str) -> int:
    """Play the reliability figures."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "tests.reliability"] + list(arguments)).returncode


def lock(*arguments: str) -> int:
    """Write the lock files again; `arguments` go to uv."""
    lock_packages(*arguments)
    return 0


def run_checks() -> list[str]:
    """Run every check, also after one failed: a developer wants the whole list."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    checks = [
        ("ruff check", [PYTHON, "-m", "ruff", "check", "--quiet", "."]),
        ("ruff format", [PYTHON, "-m", "ruff", "format", "--quiet", "--check", "."]),
        ("mypy", [PYTHON, "-m", "mypy", "--no-error-summary"]),
        ("import rules", [PYTHON, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-logo"]),
        ("system checks", [PYTHON, "manage.py", "check", "--fail-level", "WARNING"]),
        ("migrations", [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"]),
        ("message catalogues", [PYTHON, "manage.py", "check_messages"]),
        ("templates", [PYTHON, "-m", "djlint", "--lint", "--quiet", "templates"]),
    ]
    return [name for name, arguments in checks if not run_check(name, arguments)]


def run_check(name: str, arguments: list[str], show: bool = False) -> bool:
    """One line for a check that is satisfied; what the others have to say follows theirs."""
    start = time.monotonic()
    with heartbeat(start, A_DAY if show else HEARTBEAT_SECONDS):
        done = subprocess.run(arguments, stdout=None if show else subprocess.PIPE, stderr=subprocess.STDOUT)
    say(f"{name:<18} {'FAILED' if done.returncode else 'ok'} in {time.monotonic() - start:.1f} s")
    if done.returncode and done.stdout:
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
        sys.stdout.flush()
    return done.returncode == 0


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
