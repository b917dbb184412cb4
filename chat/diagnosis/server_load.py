"""What a server lets be seen of its own work: llama.cpp's `/slots`, and the `/metrics` of vLLM and SGLang."""

from __future__ import annotations

import json
import re
from typing import Any

from chat.providers.base import Endpoint, ProviderError
from chat.providers.base_url import BadAddress, clean_base_url
from chat.providers.http import Sender
from chat.providers.listing import window_sizes

PAGES = ("slots", "metrics")
PAGE_BYTES = 4 * 1024 * 1024
PAGE_SECONDS = 3.0
_RUNNING = re.compile(
    r"^(?:vllm:num_requests_running|sglang:num_running_reqs)(?:\{[^}\n]*\})? ([0-9.eE+-]+)", re.MULTILINE
)


class ServerLoad:
    """The pages of one server, beside its `/v1` and with the same credentials. Never raises what an upstream did.

    page  the one that tells how many requests run; '' when none does, None as long as nobody has looked
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.page: str | None = None
        self._sender = Sender(endpoint)
        try:
            self._root = clean_base_url(endpoint.base_url).removesuffix("/v1")
        except BadAddress:
            self.page, self._root = "", ""

    async def aclose(self) -> None:
        """Close all connections."""
        await self._sender.aclose()

    async def running(self) -> int | None:
        """How many requests the server works on; None where it doesn't show."""
        for page in PAGES if self.page is None else (self.page,):
            running = running_of(page, await self._read(page))
            if running is not None:
                self.page = page
                return running
        self.page = self.page or ""
        return None

    async def context_window(self) -> int | None:
        """The tokens that one request has room for; None where it doesn't show."""
        if self.page is None:
            await self.running()
        slots = _slots(await self._read("slots")) if self.page == "slots" else []
        return min(window_sizes(slot.get("n_ctx") for slot in slots), default=None)

    async def _read(self, page: str) -> bytes:
        if not page:
            return b""
        try:
            return await self._sender.get(f"{self._root}/{page}", PAGE_SECONDS, PAGE_BYTES)
        except ProviderError:
            return b""


def running_of(page: str, body: bytes) -> int | None:
    """How many requests run, by the body of one of PAGES; None where it doesn't tell."""
    if page == "slots":
        slots = _slots(body)
        return sum(bool(slot.get("is_processing", slot.get("state"))) for slot in slots) if slots else None
    try:
        counts = [float(count) for count in _RUNNING.findall(body.decode("utf-8", "replace"))]
        return round(sum(counts)) if counts else None
    except (ValueError, OverflowError):  # no number, or one without an end
        return None


def _slots(body: bytes) -> list[dict[str, Any]]:
    try:
        value = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return []
    slots = value if isinstance(value, list) else []
    return [slot for slot in slots if isinstance(slot, dict) and ("is_processing" in slot or "state" in slot)]
