"""Middleware that sets headers against caching and DNS prefetching."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def private_pages(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Disable caching, because pages hold personal data. Static files are served before this middleware.

    Also disable DNS prefetching of links, because a hostile answer could put a secret into a host name.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-DNS-Prefetch-Control"] = "off"
        return response

    return middleware
