"""The Trusted Types policy for the portal's own pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp.decorators import csp_update

# DOMPurify creates the only policy. The admin's own scripts write to innerHTML, so the admin is not included.
TRUSTED_TYPES = {"require-trusted-types-for": ["'script'"], "trusted-types": ["dompurify"]}


def portal_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view that returns one of the portal's pages."""
    decorated: Callable[..., Any] = csp_update(TRUSTED_TYPES)(view)
    return decorated
