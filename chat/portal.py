"""What one process of the portal holds: handed to every request and socket in its ASGI scope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from chat.conversations import Conversations
from chat.generation.runner import Runner
from chat.health.model_stats import ModelStatsCache

SCOPE_KEY = "portal"


@dataclass(frozen=True)
class Portal:
    """The state of a process. `sockets` counts the open ones by user."""

    runner: Runner
    sockets: Counter[int] = field(default_factory=Counter)

    @property
    def conversations(self) -> Conversations:
        """What people do with their conversations; its writer is the only one."""
        return self.runner.conversations

    @property
    def model_stats(self) -> ModelStatsCache:
        """How the models do."""
        return self.runner.model_stats


def portal_of(connection: HttpRequest | Mapping[str, Any]) -> Portal | None:
    """The portal behind a request, or behind the ASGI scope of a socket.

    None under a server that runs no portal, such as `manage.py runserver`: pages show, and nothing is answered there.
    """
    scope = getattr(connection, "scope", {}) if isinstance(connection, HttpRequest) else connection
    portal: Portal | None = scope.get(SCOPE_KEY)
    return portal


def model_stats_of(request: HttpRequest) -> ModelStatsCache:
    """How the models do; under a server that runs no portal nothing is known of them."""
    portal = portal_of(request)
    return portal.model_stats if portal else ModelStatsCache()
