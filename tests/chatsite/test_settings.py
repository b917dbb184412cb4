"""The environment: good values become settings, bad ones are refused with all their names at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from chatsite.environment import SettingsError, is_loopback, read_environment
from chatsite.settings import read_version

FERNET_KEY = "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OS1hYmNkZWY="
SECRET_KEY = "a-secret-key-that-is-only-for-tests-0123456789"


@pytest.fixture
def read(tmp_path):
    """Read an environment that is good but for `changes`; None takes a variable away."""

    def read(serving=True, testing=False, **changes):
        good = {
            "PORTAL_DATA_DIR": str(tmp_path),
            "SECRET_KEY": SECRET_KEY,
            "PORTAL_KEYRING": FERNET_KEY,
            "ALLOWED_HOSTS": "chat.example.com",
            "PORTAL_ORIGINS": "https://chat.example.com",
        }
        values = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return read_environment(values, base_dir=tmp_path, serving=serving, testing=testing)

    return read


def refused(read, **changes):
    """The names of the refused variables, and the lines."""
    with pytest.raises(SettingsError) as caught:
        read(**changes)
    return [line.partition(":")[0] for line in caught.value.lines], caught.value.lines


def test_a_good_environment_is_read_with_its_defaults(read, tmp_path):
    environment = read()

    assert environment.database_path == tmp_path / "chatsite.sqlite3"
    assert (environment.host, environment.port, environment.debug) == ("127.0.0.1", 8000, False)
    assert environment.base_url == "https://chat.example.com"
    assert environment.https_only
    assert environment.local_model


def test_all_errors_come_at_once_each_with_its_variable(read):
    names, lines = refused(
        read,
        SECRET_KEY="short",
        PORTAL_KEYRING=None,
        ALLOWED_HOSTS="*",
        PORTAL_ORIGINS=None,
        PORT="80x",
        PORTAL_DRAIN_SECONDS="-1",
        PORTAL_SQLITE_SYNCHRONOUS="OFF",
        PORTAL_USER_QUEUD="3",
    )

    assert sorted(names) == sorted(
        [
            "SECRET_KEY",
            "PORTAL_KEYRING",
            "ALLOWED_HOSTS",
            "PORTAL_ORIGINS",
            "PORT",
            "PORTAL_DRAIN_SECONDS",
            "PORTAL_SQLITE_SYNCHRONOUS",
            "PORTAL_USER_QUEUD",
        ]
    )
    assert all("\n" not in line for line in lines)


def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(read):
    _, lines = refused(read, PORTAL_USER_QUEUD="3")

    assert lines == ["PORTAL_USER_QUEUD: is unknown. Did you mean PORTAL_USER_QUEUED?"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", None),
        ("SECRET_KEY", "x" * 60),
        ("SECRET_KEY", "django-insecure-0123456789-abcdefghijklmnopqrstuvwxyz"),
        ("SECRET_KEY", "change-me-0123456789-abcdefghijklmnopqrstuvwxyz"),
        ("PORTAL_KEYRING", "no-fernet-key"),
        ("PORTAL_KEYRING", FERNET_KEY + ",no-fernet-key"),
        ("PORTAL_KEYRING", "A" * 43 + "="),
        ("ALLOWED_HOSTS", None),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", ".example.com"),
        ("PORTAL_ORIGINS", "*"),
        ("PORTAL_ORIGINS", "chat.example.com"),
        ("PORTAL_ORIGINS", "https://*.example.com"),
        ("PORTAL_ORIGINS", "https://chat.example.com/path"),
        ("PORTAL_ORIGINS", "http://chat.example.com"),
        ("PORTAL_ORIGINS", "http://127.0.0.1.example.com"),
        ("PORTAL_ORIGINS", "http://localhost:99999"),
        ("PORTAL_BASE_URL", "chat.example.com"),
        ("DATABASE_URL", "postgres://portal@db/portal"),
        ("DATABASE_URL", "mysql://portal@db/portal"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("REDIS_URL", "redis://redis.example.com:6379/0"),
        ("REDIS_URL", "http://localhost"),
        ("PORTAL_TRUSTED_PROXIES", "yes"),
        ("DEBUG", "perhaps"),
        ("PORTAL_FAILPOINT", "before_accept"),
        ("PORTAL_ADMIN_PASSWORD", "admin"),
        ("OPENAI_BASE_URL", "127.0.0.1:8080/v1"),
        ("OPENAI_BASE_URL", "https://user:password@api.example.com/v1"),
        ("OPENAI_API_KEY_FILE", "/does/not/exist"),
        ("PORTAL_KEYRING_FILE", "/does/not/exist"),
    ],
)
def test_it_refuses(read, name, value):
    names, _ = refused(read, **{name: value})

    assert names == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_ORIGINS", "http://127.0.0.1:8000,http://localhost:8000,http://[::1]:8000"),
        ("PORTAL_ORIGINS", "https://chat.example.com:8443"),
        ("DATABASE_URL", "sqlite:////tmp/other.sqlite3"),
        ("REDIS_URL", "redis://localhost:6379/0"),
        ("REDIS_URL", "rediss://:password@redis.example.com/0"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"),
        ("DEBUG", "1"),
        ("PORT", "0"),
        ("PORT", ""),
    ],
)
def test_it_accepts(read, name, value):
    read(**{name: value})


def test_debug_is_refused_where_others_can_reach_it(read):
    assert refused(read, DEBUG="1", HOST="0.0.0.0")[0] == ["DEBUG"]


def test_plain_http_can_be_accepted_in_so_many_words(read):
    environment = read(PORTAL_ORIGINS="http://chat.lan", PORTAL_INSECURE_HTTP="1")

    assert environment.origins == ["http://chat.lan"]
    assert not environment.https_only


def test_origins_are_written_as_browsers_write_them(read):
    environment = read(PORTAL_ORIGINS="https://Chat.Example.com:443/, http://localhost:80")

    assert environment.origins == ["https://chat.example.com", "http://localhost"]


def test_failpoints_are_for_tests_and_debugging(read):
    assert read(PORTAL_FAILPOINT="here", testing=True).failpoint == "here"
    assert read(PORTAL_FAILPOINT="here", DEBUG="1").failpoint == "here"


def test_a_secret_comes_from_a_file_too(read, tmp_path):
    (tmp_path / "key").write_text("sk-from-a-file\n")

    assert read(OPENAI_API_KEY_FILE=str(tmp_path / "key")).openai_api_key == "sk-from-a-file"


def test_a_secret_and_its_file_must_not_differ(read, tmp_path):
    (tmp_path / "key").write_text("sk-from-a-file\n")

    assert refused(read, OPENAI_API_KEY_FILE=str(tmp_path / "key"), OPENAI_API_KEY="sk-other")[0] == ["OPENAI_API_KEY"]


def test_no_error_tells_a_secret(read):
    _, lines = refused(read, SECRET_KEY="tell-nobody", PORTAL_KEYRING="tell-nobody", PORTAL_ADMIN_PASSWORD="password")

    assert "tell-nobody" not in "".join(lines)
    assert "password" not in "".join(lines).replace("PORTAL_ADMIN_PASSWORD", "")


def test_secrets_env_is_read_and_the_environment_wins(read, tmp_path):
    (tmp_path / "secrets.env").write_text(f"SECRET_KEY={SECRET_KEY}-stored\nPORTAL_KEYRING={FERNET_KEY}\n")

    assert read(SECRET_KEY=None).secret_key == f"{SECRET_KEY}-stored"
    assert read().secret_key == SECRET_KEY


def test_commands_beside_a_local_portal_need_no_hosts_but_serving_does(read, tmp_path):
    (tmp_path / "secrets.env").write_text(f"SECRET_KEY={SECRET_KEY}\n")

    assert read(serving=False, ALLOWED_HOSTS=None, PORTAL_ORIGINS=None).origins[0] == "http://127.0.0.1:8000"
    assert sorted(refused(read, ALLOWED_HOSTS=None, PORTAL_ORIGINS=None)[0]) == ["ALLOWED_HOSTS", "PORTAL_ORIGINS"]


def test_without_secrets_env_every_command_needs_hosts(read):
    assert refused(read, serving=False, ALLOWED_HOSTS=None)[0] == ["ALLOWED_HOSTS"]


def test_an_upstream_in_the_environment_takes_the_place_of_the_local_model(read):
    environment = read(OPENAI_API_KEY="sk-1", OPENAI_MODEL="gpt-a, gpt-b")

    assert environment.openai_base_url == "https://api.openai.com/v1"
    assert environment.openai_models == ["gpt-a", "gpt-b"]
    assert not environment.local_model
    assert not read(OPENAI_BASE_URL="http://127.0.0.1:1/v1/").local_model


def test_a_database_that_everybody_can_read_is_refused(read, tmp_path):
    (tmp_path / "chatsite.sqlite3").touch()
    (tmp_path / "chatsite.sqlite3").chmod(0o644)
    tmp_path.chmod(0o755)
    assert refused(read)[0] == ["PORTAL_DATA_DIR"]

    tmp_path.chmod(0o700)
    read()


def test_loopback_is_told_from_names_that_look_like_it():
    assert all(map(is_loopback, ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "127.0.0.1.example.com", "localhost.example.com", "::", ""]))


def test_the_version_is_the_first_version_heading(tmp_path):
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## Unreleased\n\n## v1.2.3 - 2026-01-15\n\n## v1.2.2 - 2026-01-01\n")

    assert read_version(changelog) == "1.2.3"
    assert read_version(tmp_path / "missing.md") == "0.0.0"


def run_check(**changes):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env={**kept, **changes},
        capture_output=True,
        text=True,
    )


def test_a_refusal_ends_the_process_with_78_and_one_line_for_each_variable(tmp_path):
    done = run_check(PORTAL_DATA_DIR=str(tmp_path), PORT="x", ALLOWED_HOSTS="a", PORTAL_ORIGINS="https://a")

    assert done.returncode == 78
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["SECRET_KEY", "PORTAL_KEYRING", "PORT"]
    assert all(line.startswith("chatsite: ") for line in lines)
    assert list(Path(tmp_path).iterdir()) == []


def test_cookies_are_named_after_the_port_on_loopback_and_bound_to_the_host_under_https():
    names = "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, hasattr(s, 'SECURE_PROXY_SSL_HEADER')"
    call = [sys.executable, "-c", f"import chatsite.settings as s; print({names})"]

    def cookies(**changes):
        env = {**os.environ, "SECRET_KEY": SECRET_KEY, "PORTAL_KEYRING": FERNET_KEY, "ALLOWED_HOSTS": "a", **changes}
        return subprocess.check_output(call, cwd=settings.BASE_DIR, env=env, text=True).split()

    assert cookies(PORT="8123", PORTAL_ORIGINS="http://127.0.0.1:8123") == [
        "sessionid_8123",
        "csrftoken_8123",
        "False",
        "False",
    ]
    assert cookies(PORTAL_TRUSTED_PROXIES="1", PORTAL_ORIGINS="https://a") == [
        "__Host-sessionid",
        "__Host-csrftoken",
        "True",
        "True",
    ]
