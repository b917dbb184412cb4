"""Normalise the addresses of upstreams. Does no I/O.

Addresses that parsers interpret differently are refused: numbers that only some read as an IP address, characters
that some drop or replace, and paths with `..`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from string import ascii_lowercase, ascii_uppercase
from unicodedata import category
from urllib.parse import unquote, urlsplit, urlunsplit

_PASTED = re.compile(r"/(chat/completions|completions|models)$")
_NETLOC = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::(.*))?")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_HEX = re.compile(r"0[xX][0-9A-Fa-f]*")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class BadAddress(ValueError):
    """The text is not the address of an HTTP server.

    `fault`: `form`, `userinfo`, `query`, `port`, `characters`, `host` or `path`.
    """

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


def clean_base_url(text: str) -> str:
    """Return `scheme://host[:port][/path]` without a trailing slash or a pasted endpoint. Raises BadAddress."""
    url = clean_url(text)
    path = _PASTED.sub("", urlsplit(url).path).rstrip("/")
    return urlunsplit((*urlsplit(url)[:2], re.sub(r"(/v1)+$", "/v1", path), "", ""))


def clean_url(text: str) -> str:
    """Do the same but keep the path, with its slashes normalised. Raises BadAddress."""
    try:
        return _clean(text)
    except BadAddress:
        raise
    except ValueError as error:  # from urllib, ipaddress or the codec, always for an invalid host
        raise BadAddress("host") from error


def origin_of(url: str) -> str:
    """Return `scheme://host:port` in lower case, always with the port. An invalid URL is returned unchanged."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else url
    except ValueError:
        return url


def _clean(text: str) -> str:
    text = text.strip()
    # Checked first, because urlsplit drops tabs and line breaks.
    if any(character == "\\" or category(character)[0] in "CZ" for character in text):
        raise BadAddress("characters")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadAddress("form")
    if "@" in parts.netloc:
        raise BadAddress("userinfo")
    if parts.fragment or parts.query:
        raise BadAddress("query")
    netloc = _clean_netloc(parts.netloc)
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    if any(_leads_astray(segment) for segment in path.split("/")):
        raise BadAddress("path")
    return urlunsplit((parts.scheme, netloc, path, "", ""))


def _clean_netloc(netloc: str) -> str:
    found = _NETLOC.fullmatch(netloc)
    if found is None:
        raise BadAddress("host")
    bracketed, name, port = found.groups()
    if bracketed is not None:
        if "%" in bracketed:  # a zone, which names a network interface
            raise BadAddress("host")
        IPv6Address(bracketed)
        host = f"[{bracketed}]"
    else:
        host = _clean_name(name)
    if not port:
        return host
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535 and len(port) <= 5):
        raise BadAddress("port")
    return f"{host}:{int(port)}"


def _clean_name(name: str) -> str:
    """Return a host name in ASCII, or an IPv4 address in dotted-decimal form."""
    last = name.rpartition(".")[2]
    if last.isdecimal() or _HEX.fullmatch(last):
        # Some parsers read 127.1, 0177.0.0.1, 0x7f000001 and 2130706433 as 127.0.0.1. No name ends in a number.
        return str(IPv4Address(name))
    if not name.isascii():
        coded = name.encode("idna").decode("ascii")
        # The codec replaces other dots, wide letters and circled letters; the result is another host's name.
        if coded.encode("ascii").decode("idna").translate(_LOWER) != name.translate(_LOWER):
            raise BadAddress("host")
        return _clean_name(coded)
    if _NAME.fullmatch(name) is None:
        raise BadAddress("host")
    return name


def _leads_astray(segment: str) -> bool:
    """Return whether a path segment is `.` or `..` (perhaps before a `;`), or encodes separators or controls."""
    plain = unquote(segment)
    return plain.partition(";")[0] in (".", "..") or any(
        character in "/\\%" or category(character)[0] == "C" for character in plain
    )
