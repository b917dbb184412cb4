"""Ends of answers, told to the outages of the providers."""

from __future__ import annotations

import uuid

from chat.generation.store import End
from chat.health.provider_outages import ProviderOutages
from chat.models import State


def tell(outages: ProviderOutages, provider: int, ended: End) -> None:
    outages.record_end(provider, ended.state, ended.deltas, ended.code)


def end(code=None, state=None, deltas=0):
    return End(uuid.uuid4(), 1, state or (State.FAILED if code else State.COMPLETED), deltas=deltas, code=code)


def fail(outages, times=3, code="upstream_unreachable", provider=1):
    for _ in range(times):
        tell(outages, provider, end(code))
