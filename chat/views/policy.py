"""The rule that every page of the portal itself is delivered under: Trusted Types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp.decorators import csp_update

# DOMPurify makes the only policy. The admin's own scripts write to innerHTML, so this holds for our pages alone.
TRUSTED_TYPES = {"require-trusted-types-for": ["'script'"], "trusted-types": ["dompurify"]}


def portal_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a view that answers with one of the portal's pages."""
    decorated: Callable[..., Any] = csp_update(TRUSTED_TYPES)(view)
    return decorated
