"""The state of one process of the portal. Each request and socket gets it in its ASGI scope."""

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
    """The state of a process. `sockets`: the number of open sockets by user."""

    runner: Runner
    sockets: Counter[int] = field(default_factory=Counter)

    @property
    def conversations(self) -> Conversations:
        """The commands on conversations, with the process's only writer."""
        return self.runner.conversations

    @property
    def model_stats(self) -> ModelStatsCache:
        """The statistics of all models."""
        return self.runner.model_stats


def portal_of(connection: HttpRequest | Mapping[str, Any]) -> Portal | None:
    """Return the portal of a request, or of the ASGI scope of a socket.

    None under a server that runs no portal, such as `manage.py runserver`: it shows pages but answers no prompts.
    """
    scope = getattr(connection, "scope", {}) if isinstance(connection, HttpRequest) else connection
    portal: Portal | None = scope.get(SCOPE_KEY)
    return portal


def model_stats_of(request: HttpRequest) -> ModelStatsCache:
    """Return the statistics of all models; empty under a server that runs no portal."""
    portal = portal_of(request)
    return portal.model_stats if portal else ModelStatsCache()
