"""The ledger: a record is opened once, closed once, with its cost, and nowhere else."""

from __future__ import annotations

import ast
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings

from chat import ledger
from chat.models import LanguageModel, Price, Provider, State, UsageRecord
from chat.timing import Timing

_VERBS = ("create", "bulk_create", "update", "bulk_update", "get_or_create", "update_or_create", "save", "delete")
WRITING = {*_VERBS, *(f"a{verb}" for verb in _VERBS)}


@pytest.fixture
def model(db: None) -> LanguageModel:
    provider = Provider.objects.create(name="one", base_url="https://one.example.com/v1")
    model = LanguageModel.objects.create(provider=provider, name="m")
    Price.objects.create(model=model, prompt=2, completion=10, currency="USD")
    return model


def opened(model: LanguageModel | None) -> UsageRecord:
    return ledger.open_record(
        user=None,
        user_name="owner",
        provider=model.provider if model else None,
        provider_name="one",
        model=model,
        model_name="m" * 300,
        source=UsageRecord.Source.API,
    )


DONE = ledger.Outcome(
    state=State.COMPLETED,
    usage=ledger.Usage(1_000_000, 500_000, 1_500_000, source="reported"),
    timing=Timing(ttft_ms=400, duration_ms=900, writing_ms=Decimal(500), deltas=3),
    characters=12,
    attempts=2,
    finish_reason="stop",
    upstream_request_id="r" * 300,
)


def test_a_record_needs_no_conversation_and_keeps_the_price_it_was_opened_at(model: LanguageModel) -> None:
    record = opened(model)
    Price.objects.update(prompt=99)
    assert record.generation is None and record.closed_at is None and len(record.model_name) == 200
    assert record.rate is not None and (record.rate.prompt, record.rate.completion) == (2, 10)
    assert opened(None).rate is None


def test_a_record_is_closed_once_with_its_cost(model: LanguageModel) -> None:
    record = opened(model)
    outcome = ledger.Outcome(**{**vars(DONE), "rate": record.rate})
    assert ledger.close_record(record.pk, outcome)
    record.refresh_from_db()
    assert (record.state, record.cost, record.attempts, record.finish_reason) == ("completed", 7, 2, "stop")
    assert record.inter_token_latency_ms == Decimal("0.00") and len(record.upstream_request_id) == 200
    assert not ledger.close_record(record.pk, ledger.Outcome(State.FAILED, error_code="internal"))
    ledger.note_progress(record.pk, Timing(ttft_ms=1), 9, "length")
    record.refresh_from_db()
    assert (record.state, record.attempts, record.error_code) == ("completed", 2, "")


def test_what_was_abandoned_is_closed_as_interrupted_and_nothing_else(model: LanguageModel) -> None:
    abandoned, closed = opened(model), opened(model)
    ledger.close_record(closed.pk, DONE)
    assert ledger.close_abandoned() == 1
    abandoned.refresh_from_db()
    closed.refresh_from_db()
    assert (abandoned.state, abandoned.error_code) == ("interrupted", "server_restarted")
    assert abandoned.closed_at is not None and closed.state == "completed"


def test_nobody_else_writes_usage_records() -> None:
    chat = Path(settings.BASE_DIR) / "chat"
    found = []
    for path in chat.rglob("*.py"):
        if path != chat / "ledger.py" and "migrations" not in path.parts:
            found += [f"{path.name}:{line}" for line in writes(path.read_text())]
    assert found == []


def writes(source: str) -> list[int]:
    """The lines on which UsageRecord rows are made or written: by their class, or as the `usage` of a generation."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            of_class = re.search(r"\bUsageRecord(\.|$)", called) or re.search(r"\.usage\.\w+$", called)
            verb = called.rpartition(".")[2]
            if of_class and (verb in WRITING or verb == "UsageRecord"):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("source", "is_write"),
    [
        ("UsageRecord(user=None)", True),
        ("models.UsageRecord(user=None)", True),
        ("models.UsageRecord.objects.create()", True),
        ("await UsageRecord.objects.acreate()", True),
        ("x = UsageRecord.objects.unclosed().filter(pk=1).update(state='failed')", True),
        ("generation.usage.save()", True),
        ("generation.usage.delete()", True),
        ("UsageRecord.objects.filter(pk=1).first()", False),
        ("UsageRecord.Source(source).label", False),
        ("form.save()", False),
    ],
)
def test_a_write_is_seen(source: str, is_write: bool) -> None:
    assert bool(writes(source)) is is_write
