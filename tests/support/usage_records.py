"""Usage records, as answers leave them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from chat.models import UsageRecord


def record(model, state="completed", ttft_ms=400, latency="20.00", minutes=5, **fields):
    created_at = timezone.now() - timedelta(minutes=minutes)
    values = {"created_at": created_at, "closed_at": created_at, "model": model, "provider": model.provider, **fields}
    return UsageRecord.objects.create(
        user_name="owner", provider_name="upstream", model_name=model.name, state=state, ttft_ms=ttft_ms,
        inter_token_latency_ms=latency and Decimal(latency), **values,
    )  # fmt: skip


def failed(model, code="upstream_error", **fields):
    return record(model, "failed", fields.pop("ttft_ms", None), None, error_code=code, **fields)
