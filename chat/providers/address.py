"""Addresses of upstreams as people paste them, made regular (WIRE.md f). Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_PASTED = re.compile(r"/(chat/completions|completions|models)$")


def clean_base_url(text: str) -> str:
    """`scheme://host[:port][/path]` without a trailing slash and without a pasted endpoint.

    Raises ValueError, with a sentence for the form, for anything that isn't an address of an HTTP server.
    """
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("The address must begin with http:// or https:// and name a host.")
    if "@" in parts.netloc:
        raise ValueError("The address must not hold a user name or password.")
    if parts.fragment or parts.query:
        raise ValueError("The address must not hold a query or a fragment.")
    if parts.port == 0:  # also raises ValueError for what is no port at all
        raise ValueError("The address names a port that can't be reached.")
    if re.search(r"[\s\\\x00-\x1f\x7f]", parts.netloc + parts.path):
        raise ValueError("The address must not hold spaces or backslashes.")
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    path = _PASTED.sub("", path).rstrip("/")
    path = re.sub(r"(/v1)+$", "/v1", path)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
