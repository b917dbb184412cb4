"""What every page says to caches, and to browsers that look ahead."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def private_pages(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Pages hold what only one person may read, so no cache keeps any; static files are served before this.

    Nor is the host of a link looked up before it is followed: a hostile answer could put a secret into its name.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-DNS-Prefetch-Control"] = "off"
        return response

    return middleware
