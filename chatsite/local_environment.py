"""The values that `./run.py` fills in for a portal on a local machine: secrets, a port, the loopback addresses.

Imports only the standard library, because it runs before anything is installed.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
OFF = {"0", "false", "off", "no", "n", "f"}


def stored_and_given(environ: Mapping[str, str], data_dir: Path) -> dict[str, str]:
    """Return the environment with the values of `secrets.env` as defaults, as in settings.py."""
    values = {}
    for line in read_or_empty(data_dir / "secrets.env").splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("'\"")
    return {**values, **{name: value for name, value in environ.items() if value}}


def wants_local_model(values: Mapping[str, str]) -> bool:
    upstream = any(values.get(name) for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL"))
    return not upstream and values.get("PORTAL_LOCAL_MODEL", "1").strip().lower() not in OFF


def defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults of variables that are not set, for the portal's processes."""
    port = values.get("PORT", "8000").strip()
    if port == "0":
        # Chosen here and not by the server, because the origins and the names of the cookies contain the port.
        port = free_port(values.get("HOST", "127.0.0.1"))
    found = {"ALLOWED_HOSTS": ",".join(LOOPBACK_HOSTS), "PORTAL_ORIGINS": ",".join(origins_on_loopback(port))}
    return {"PORT": port, **{name: value for name, value in found.items() if not values.get(name)}}


def origins_on_loopback(port: str) -> list[str]:
    """Return the Origin headers of browsers on this machine, without the default port.

    An invalid port gives no error here, because settings.py reports it.
    """
    is_port = port.isdigit() and int(port) < 65536
    suffix = f":{port}" if is_port and port != "80" else ""
    return [f"http://{host}{suffix}" for host in LOOPBACK_HOSTS]


def free_port(host: str) -> str:
    """Return a free port; "0" if the host is not this machine, which `serve` reports."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host.strip("[]"), 0))
            return str(probe.getsockname()[1])
    except OSError:
        return "0"


def write_missing_secrets(values: Mapping[str, str], data_dir: Path) -> list[str]:
    """Add missing secrets to `secrets.env` and return their names. Existing ones are never replaced.

    If the file can't be written, exits with one line and code 78, as settings.py does.
    """
    made = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_KEYRING": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }
    missing = [name for name in made if not values.get(name) and not values.get(f"{name}_FILE")]
    if not missing:
        return []
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_secrets(data_dir, {name: made[name] for name in missing})
    except OSError as error:
        sys.stderr.write(f"chatsite: PORTAL_DATA_DIR: {data_dir} can't be used: {error.strerror}.\n")
        raise SystemExit(78) from error
    return missing


def _write_secrets(data_dir: Path, made: Mapping[str, str]) -> None:
    path = data_dir / "secrets.env"
    text = read_or_empty(path) or (
        "# Made by ./run.py. Keep a copy beside the backups: without it stored credentials cannot be read.\n"
    )
    text += "".join(f"{name}={value}\n" for name, value in made.items())
    descriptor, partial = tempfile.mkstemp(dir=data_dir)  # with mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(partial, path)


def read_or_empty(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
