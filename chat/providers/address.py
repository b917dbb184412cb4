"""Addresses of upstreams as people paste them, made regular. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_PASTED = re.compile(r"/(chat/completions|completions|models)$")


class BadAddress(ValueError):
    """Not the address of an HTTP server. `fault`: `form`, `userinfo`, `query`, `port` or `characters`."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


def clean_base_url(text: str) -> str:
    """`scheme://host[:port][/path]` without a trailing slash and without a pasted endpoint. Raises BadAddress."""
    url = clean_url(text)
    path = _PASTED.sub("", urlsplit(url).path).rstrip("/")
    return urlunsplit((*urlsplit(url)[:2], re.sub(r"(/v1)+$", "/v1", path), "", ""))


def clean_url(text: str) -> str:
    """The same with any path, as it is written but for slashes. Raises BadAddress."""
    try:
        return _clean(text)
    except BadAddress:
        raise
    except ValueError as error:  # urllib's own, for a port or an IPv6 address that is none
        raise BadAddress("port" if "ort" in str(error) else "form") from error


def _clean(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadAddress("form")
    if "@" in parts.netloc:
        raise BadAddress("userinfo")
    if parts.fragment or parts.query:
        raise BadAddress("query")
    if parts.port == 0:  # also raises ValueError for what is no port at all
        raise BadAddress("port")
    if re.search(r"[\s\\\x00-\x1f\x7f]", parts.netloc + parts.path):
        raise BadAddress("characters")
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
