"""Read and validate the environment variables, and report all errors at once.

Does not import Django: `settings.py` turns the result into settings. Values come from the process environment, or else
from `secrets.env` in the data directory, or else from the defaults here.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values
from environs import Env, EnvValidationError, validate

from chatsite.local_environment import LOOPBACK_HOSTS, origins_on_loopback

OPENAI_BASE_URL = "https://api.openai.com/v1"
SECRETS = ("SECRET_KEY", "PORTAL_KEYRING", "PORTAL_ADMIN_PASSWORD", "OPENAI_API_KEY")
SHORTEST_SECRET_KEY = 32
# SQLite's locks and its shared-memory file do not work on these.
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse.glusterfs", "afs"}
GUESSABLE = {"admin", "password", "changeme", "change-me", "secret", "chatsite"}


class SettingsError(Exception):
    """The environment is invalid. `lines` has one sentence for each wrong variable, starting with its name."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Environment:
    """The validated values; `.env.example` explains them. A variable is named here and in `settings.py`.

    Errors are collected in `reader`, which raises them all together at the end.
    """

    def __init__(self, reader: _Reader, data_dir: Path, *, beside_a_local_portal: bool, testing: bool) -> None:
        reader.text("PORTAL_DATA_DIR")
        if data_dir.exists() and not data_dir.is_dir():
            reader.refuse("PORTAL_DATA_DIR", f"{data_dir} is not a directory. Name another one.")
        self.data_dir = data_dir
        self.debug = reader.flag("DEBUG", default=False)
        self.host = reader.text("HOST", default="127.0.0.1").strip("[]")
        if self.debug and not is_loopback(self.host):
            reader.refuse(
                "DEBUG", f"must be off when HOST is {self.host}: its error pages show internals to everybody."
            )
        self.port = reader.number("PORT", default=8000, highest=65535)
        insecure_http = reader.flag("PORTAL_INSECURE_HTTP", default=False)
        local_origins = origins_on_loopback(str(self.port)) if beside_a_local_portal else []
        self.origins = _origins(reader, insecure_http, local_origins)
        self.allowed_hosts = _hosts(reader, LOOPBACK_HOSTS if beside_a_local_portal else [])
        self.base_url = _base_url(reader, self.origins)
        self.trusted_proxies = reader.number("PORTAL_TRUSTED_PROXIES", default=0, highest=10)
        self.secret_key = _secret_key(reader)
        self.keyring = _keyring(reader)
        self.database_path = _database_path(reader, data_dir / "chatsite.sqlite3")
        self.sqlite_synchronous = reader.choice("PORTAL_SQLITE_SYNCHRONOUS", ["NORMAL", "FULL"])
        self.redis_url = _redis_url(reader)
        self.drain_seconds = reader.number("PORTAL_DRAIN_SECONDS", default=20, highest=3600)
        self.user_running = reader.number("PORTAL_USER_RUNNING", default=3)
        self.user_queued = reader.number("PORTAL_USER_QUEUED", default=10)
        self.user_sockets = reader.number("PORTAL_USER_SOCKETS", default=20)
        self.user_prompts_per_minute = reader.number("PORTAL_USER_PROMPTS_PER_MINUTE", default=30)
        self.socket_commands_per_second = reader.number("PORTAL_SOCKET_COMMANDS_PER_SECOND", default=20)
        self.failpoint = reader.text("PORTAL_FAILPOINT")
        if self.failpoint and not (self.debug or testing):
            reader.refuse("PORTAL_FAILPOINT", "is for tests only: it stops the portal. Unset it, or set DEBUG=1.")
        self.admin_user = reader.text("PORTAL_ADMIN_USER", default="admin")
        self.admin_password = _admin_password(reader, self.admin_user)
        self.openai_api_key = reader.secret("OPENAI_API_KEY")
        base_url = _upstream_url(reader)
        self.openai_base_url = base_url or (OPENAI_BASE_URL if self.openai_api_key else "")
        self.openai_models = reader.words("OPENAI_MODEL")
        is_local = reader.flag("PORTAL_LOCAL_MODEL", default=True)
        self.local_model = is_local and not (self.openai_api_key or base_url)
        self.names = reader.names
        """All variables that were read."""

    @property
    def https_only(self) -> bool:
        return all(origin.startswith("https://") for origin in self.origins)

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.host) and not self.trusted_proxies


def read_environment(
    environ: Mapping[str, str], *, base_dir: Path, serving: bool = True, testing: bool = False
) -> Environment:
    """Read and validate all variables. Raises SettingsError with all errors.

    `serving` is False for commands that answer no requests: with a `secrets.env`, which `./run.py` makes, they need
    neither ALLOWED_HOSTS nor PORTAL_ORIGINS. `testing` allows PORTAL_FAILPOINT.
    """
    data_dir = Path(environ.get("PORTAL_DATA_DIR") or base_dir / "var").expanduser().absolute()
    secrets_file = data_dir / "secrets.env"
    stored = {name: value or "" for name, value in dotenv_values(secrets_file, interpolate=False).items()}
    reader = _Reader({**stored, **{name: value for name, value in environ.items() if value}})
    beside_a_local_portal = not serving and bool(stored)
    values = Environment(reader, data_dir, beside_a_local_portal=beside_a_local_portal, testing=testing)
    reader.finish()
    return values


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Reader:
    """Reads one mapping with environs. Collects errors in our wording, and reports misspelt names."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.lines: dict[str, str] = {}
        self.env = _MappingEnv(self.values)
        self.hints: dict[str, str] = {}
        self._names: set[str] = set()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._names)

    def text(self, name: str, *, default: str = "") -> str:
        value: str = self._read(self.env.str, name, default, "")
        return value.strip()

    def flag(self, name: str, *, default: bool) -> bool:
        value: bool = self._read(self.env.bool, name, default, "must be 1 (on) or 0 (off).")
        return value

    def number(self, name: str, *, default: int, highest: int = 1_000_000) -> int:
        allowed = validate.Range(min=0, max=highest)
        hint = f"must be a whole number from 0 to {highest}."
        value: int = self._read(self.env.int, name, default, hint, validate=allowed)
        return value

    def choice(self, name: str, words: list[str]) -> str:
        allowed = validate.OneOf(words)
        value: str = self._read(self.env.str, name, words[0], f"must be {' or '.join(words)}.", validate=allowed)
        return value

    def words(self, name: str) -> list[str]:
        return [word.strip() for word in self.text(name).split(",") if word.strip()]

    def secret(self, name: str) -> str:
        """Return a secret, or the content of the file in NAME_FILE (mounted secrets)."""
        if path := self.values.get(f"{name}_FILE"):
            try:
                content = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self.refuse(f"{name}_FILE", f"{path} cannot be read ({type(error).__name__}). Name a readable file.")
            else:
                if name in self.values and self.values[name] != content:
                    self.refuse(name, f"is set, and so is {name}_FILE, to something else. Keep one of the two.")
                self.values[name] = content
        return self.text(name)

    def refuse(self, name: str, sentence: str) -> None:
        self.lines.setdefault(name, sentence)

    def finish(self) -> None:
        """Raise SettingsError if there were errors, including misspelt names."""
        try:
            self.env.seal()
        except EnvValidationError as error:
            for name in error.error_messages:
                self.refuse(name, self.hints[name])
        known = self._names | {f"{name}_FILE" for name in SECRETS}
        for name in sorted(self.values):
            if name.startswith("PORTAL_") and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                self.refuse(name, f"is unknown. {f'Did you mean {near[0]}?' if near else 'See .env.example.'}")
        if self.lines:
            raise SettingsError([f"{name}: {sentence}" for name, sentence in self.lines.items()])

    def _read(self, parse: Callable[..., Any], name: str, default: Any, hint: str, **options: Any) -> Any:
        self._names.add(name)
        self.hints[name] = hint
        value = parse(name, default, **options)
        # environs returns None for an invalid value.
        return default if value is None else value


class _MappingEnv(Env):
    """An Env that reads a given mapping instead of os.environ."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(eager=False, expand_vars=False)
        self.given = values

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self.given.get(env_key) or default


def _secret_key(reader: _Reader) -> str:
    key = reader.secret("SECRET_KEY")
    if not key:
        reader.refuse("SECRET_KEY", "is not set. Start with ./run.py, which makes one, or set 50 random characters.")
    elif len(key) < SHORTEST_SECRET_KEY or len(set(key)) < 8 or re.match(r"django-insecure-|change-?me", key, re.I):
        reader.refuse("SECRET_KEY", f"can be guessed. Set {SHORTEST_SECRET_KEY} or more random characters.")
    return key


def _keyring(reader: _Reader) -> list[str]:
    reader.secret("PORTAL_KEYRING")
    keys = reader.words("PORTAL_KEYRING")
    if not keys:
        reader.refuse("PORTAL_KEYRING", "is not set. Start with ./run.py, which makes one, or set a Fernet key.")
    elif not all(map(_is_fernet_key, keys)):
        reader.refuse("PORTAL_KEYRING", "must be Fernet keys (32 random bytes in URL-safe base64), newest first.")
    return keys


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32 and len(set(key)) >= 8
    except (binascii.Error, ValueError):
        return False


def _hosts(reader: _Reader, default: list[str]) -> list[str]:
    hosts = reader.words("ALLOWED_HOSTS") or default
    if not hosts:
        reader.refuse("ALLOWED_HOSTS", "is not set. Set the host names people type, such as chat.example.com.")
    elif any("*" in host or host.startswith(".") or "/" in host for host in hosts):
        reader.refuse("ALLOWED_HOSTS", "must be exact host names, separated by commas: no *, no leading dot, no URL.")
    return hosts


def _origins(reader: _Reader, insecure_http: bool, default: list[str]) -> list[str]:
    origins = [_without_default_port(word) for word in reader.words("PORTAL_ORIGINS")] or default
    if not origins:
        reader.refuse("PORTAL_ORIGINS", "is not set. Set what the address bar shows, such as https://chat.example.com.")
    for origin in origins:
        parts = _split(origin)
        exact = parts and parts.scheme in {"http", "https"} and f"{parts.scheme}://{parts.netloc}" == origin
        if not (exact and parts and parts.hostname) or "*" in origin or "@" in origin:
            reader.refuse("PORTAL_ORIGINS", f"{origin} is no exact origin. Write https://host or https://host:port.")
        elif parts.scheme == "http" and not is_loopback(parts.hostname) and not insecure_http:
            reader.refuse(
                "PORTAL_ORIGINS",
                f"{origin} would send passwords in clear text. Use https, or accept it: PORTAL_INSECURE_HTTP=1.",
            )
    return origins


def _without_default_port(origin: str) -> str:
    """Normalise an origin as browsers send it: without the default port, and with the host in lower case."""
    return re.sub(r"^(http://.*):80$|^(https://.*):443$", r"\1\2", origin.rstrip("/").lower())


def _base_url(reader: _Reader, origins: list[str]) -> str:
    url = reader.text("PORTAL_BASE_URL").rstrip("/")
    if url and not _is_web_address(url):
        reader.refuse("PORTAL_BASE_URL", "must be the portal's address, such as https://chat.example.com.")
    return url or next(iter(origins), "")


def _database_path(reader: _Reader, default: Path) -> Path:
    url = reader.text("DATABASE_URL")
    scheme = url.partition(":")[0]
    if scheme in {"postgres", "postgresql"}:
        reader.refuse("DATABASE_URL", "PostgreSQL is not supported yet; it comes later. Unset it to use SQLite.")
    elif url and not re.fullmatch(r"sqlite:///[^?#]+", url):
        reader.refuse("DATABASE_URL", "must be sqlite:///relative/path or sqlite:////absolute/path, or unset.")
    path = Path(url.removeprefix("sqlite:///")).absolute() if url else default
    if _file_system(path.parent) in NETWORK_FILE_SYSTEMS:
        reader.refuse("PORTAL_DATA_DIR", f"{path.parent} is on a network file system; SQLite needs a local disk.")
    if _readable_by_all(path):
        reader.refuse("PORTAL_DATA_DIR", f"everybody on this machine can read {path}. Run: chmod 600 {path}")
    return path


def _file_system(path: Path) -> str:
    """Return the type of the file system of `path`, or '' if it is unknown (on systems other than Linux)."""
    try:
        mounts = [line.split(" ") for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return ""
    real = os.path.realpath(path)
    covering = [(mount[1], mount[2]) for mount in mounts if Path(real).is_relative_to(mount[1])]
    return max(covering, key=lambda mount: len(mount[0]), default=("", ""))[1]


def _readable_by_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o004 and path.parent.stat().st_mode & 0o001)
    except OSError:
        return False


def _redis_url(reader: _Reader) -> str:
    url = reader.text("REDIS_URL")
    parts = _split(url)
    if url and not (parts and parts.scheme in {"redis", "rediss"} and parts.hostname):
        reader.refuse("REDIS_URL", "must look like redis://:password@host:6379/0, or be unset.")
    elif parts and parts.hostname and not parts.password and not is_loopback(parts.hostname):
        reader.refuse("REDIS_URL", "needs a password when Redis is not on this machine: redis://:password@host.")
    return url


def _admin_password(reader: _Reader, user: str) -> str:
    password = reader.secret("PORTAL_ADMIN_PASSWORD")
    if password and (password.lower() in GUESSABLE or password == user):
        reader.refuse("PORTAL_ADMIN_PASSWORD", "can be guessed. Choose another one, or unset it to get a random one.")
    return password


def _upstream_url(reader: _Reader) -> str:
    url = reader.text("OPENAI_BASE_URL").rstrip("/")
    if url and not _is_web_address(url):
        reader.refuse("OPENAI_BASE_URL", "must be an http(s) address such as http://127.0.0.1:11434/v1.")
    return url


def _is_web_address(url: str) -> bool:
    parts = _split(url)
    return bool(
        parts
        and parts.scheme in {"http", "https"}
        and parts.hostname
        and not (parts.username or parts.password or parts.query or parts.fragment)
    )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for an invalid port
    except ValueError:
        return None
    return parts


def describe(lines: Iterable[str]) -> str:
    """Format the errors for stderr."""
    return "".join(f"chatsite: {line}\n" for line in lines)
