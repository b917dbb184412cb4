"""Examinations of providers: the findings are kept in the provider's row, what they took in the ledger.

One at a time for each provider. Knows no page and no command.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from chat import ledger, tokens
from chat.diagnosis import Exchange, Finding, settings_of
from chat.diagnosis import examine as examinations_of
from chat.generation.inputs import PreparedRequest, count_usage
from chat.ledger import NOTHING_SENT, Usage
from chat.models import LanguageModel, Price, Provider, State, UsageRecord, User
from chat.pricing import Rate

SETTINGS = ("dialect", "whole_answers", "think_tags", "usage_mode", "max_tokens_field", "refused_fields")
"""The provider's fields that findings speak of."""

_under_way: set[int] = set()


class UnderWay(Exception):
    """Somebody has this provider examined just now."""


class Moved(Exception):
    """The provider's address was changed meanwhile, or it was deleted: what was found tells of another server."""


async def examine(
    provider: Provider, model: str, user: User | None = None, user_name: str = ""
) -> AsyncGenerator[Finding, None]:
    """Yield the findings as they come; after the last one they are kept. Closing this ends it, and keeps none.

    Raises UnderWay and CredentialsUnreadable before anything is asked, Moved after the last one when none can be kept.
    """
    if provider.pk in _under_way:
        raise UnderWay
    endpoint = provider.endpoint()
    _under_way.add(provider.pk)
    asked: list[tuple[datetime, Exchange]] = []
    found: list[Finding] = []
    name = user.get_username() if user is not None else user_name

    async def record() -> None:
        ended = asked[:]
        asked.clear()
        if ended:
            await sync_to_async(_record)(provider, model, user, name, ended)

    try:
        row = await sync_to_async(_row_of)(provider, model)
        findings = examinations_of(
            endpoint,
            model,
            encoding=row.encoding if row else "",
            note=lambda exchange: asked.append((timezone.now(), exchange)),
        )
        try:
            async with aclosing(findings):
                async for finding in findings:
                    found.append(finding)
                    await record()
                    yield finding
        finally:  # what was asked was asked, however this ends
            await record()
        await sync_to_async(_keep)(provider, found)
    finally:
        _under_way.discard(provider.pk)


def findings_of(provider: Provider) -> list[Finding]:
    """The findings that were kept; none when it was never examined."""
    return [Finding(**finding) for finding in provider.findings]


def model_of(findings: Sequence[Finding]) -> str:
    """The name of the model that was asked."""
    return next((str(finding.detail.get("model", "")) for finding in findings if finding.check == "models"), "")


def present_settings(provider: Provider, model: str) -> dict[str, Any]:
    """The settings that findings speak of, as they are; the context window only of a model that is offered."""
    settings = {name: getattr(provider, name) for name in SETTINGS}
    row = _row_of(provider, model)
    return settings | ({"context_window": row.context_window} if row else {})


def suggested_settings(provider: Provider) -> dict[str, Any]:
    """What the kept findings say should be different."""
    findings = findings_of(provider)
    present = present_settings(provider, model_of(findings))
    suggested = settings_of(findings, present)
    if "context_window" not in present:
        suggested.pop("context_window", None)
    return suggested


def use(provider: Provider, with_model: bool = True) -> dict[str, Any]:
    """Set what the kept findings suggest; returns it. Without `with_model` what they say of the model is left alone."""
    suggested = suggested_settings(provider)
    if not with_model:
        suggested.pop("context_window", None)
    fields = {name: value for name, value in suggested.items() if name in SETTINGS}
    for name, value in fields.items():
        setattr(provider, name, value)
    if fields:
        provider.save(update_fields=list(fields))
    row = _row_of(provider, model_of(findings_of(provider)))
    if row is not None and "context_window" in suggested:
        row.context_window = suggested["context_window"]
        row.save(update_fields=["context_window"])
    return suggested


def rate_of(provider: Provider, model: str) -> Rate | None:
    """What the provider's model of this name costs now; None = no price is set."""
    row = _row_of(provider, model)
    return Price.objects.rate(row.pk) if row else None


def _row_of(provider: Provider, model: str) -> LanguageModel | None:
    return provider.models.filter(name=model).first()


def _keep(provider: Provider, found: Sequence[Finding]) -> None:
    """Raises Moved."""
    findings, now = [asdict(finding) for finding in found], timezone.now()
    examined = Provider.objects.filter(pk=provider.pk, base_url=provider.base_url, token_url=provider.token_url)
    if not examined.update(findings=findings, examined_at=now):
        provider.findings, provider.examined_at = [], None
        raise Moved
    provider.findings, provider.examined_at = findings, now


def _record(
    provider: Provider,
    model: str,
    user: User | None,
    user_name: str,
    asked: Sequence[tuple[datetime, Exchange]],
) -> None:
    """A closed usage record for each question that reached the model."""
    present = Provider.objects.filter(pk=provider.pk).first()
    row = _row_of(provider, model) if present else None
    reached = [(asked_at, exchange) for asked_at, exchange in asked if exchange.reached_the_model]
    # Counted first: it is slow, and the transaction holds the database's one writing lock.
    usages = [_usage(exchange, row.encoding if row else "") for _, exchange in reached]
    with transaction.atomic():
        for (asked_at, exchange), usage in zip(reached, usages, strict=True):
            record = ledger.open_record(
                user=user,
                user_name=user_name,
                provider=present,
                provider_name=provider.name,
                model=row,
                model_name=exchange.request.model,
                source=UsageRecord.Source.PROBE,
                created_at=asked_at,
            )
            ledger.close_record(record.pk, _outcome(exchange, usage, record.rate))


def _outcome(exchange: Exchange, usage: Usage, rate: Rate | None) -> ledger.Outcome:
    return ledger.Outcome(
        state=_state(exchange),
        usage=usage,
        timing=exchange.stopwatch.timing(),
        rate=rate,
        characters=len(exchange.text),
        attempts=exchange.attempts,
        finish_reason=exchange.finish_reason,
        error_code=exchange.code or "",
        upstream_request_id=exchange.request_id,
        response_model=exchange.response_model,
    )


def _state(exchange: Exchange) -> State:
    if exchange.error is not None:
        return State.FAILED
    return State.STOPPED if exchange.is_cut else State.COMPLETED


def _usage(exchange: Exchange, chosen_encoding: str) -> Usage:
    """As for an answer of the chat: reported, else counted; nothing, when it failed before the first word."""
    if exchange.usage is not None:
        return ledger.reported(exchange.usage)
    if exchange.error is not None and not exchange.stopwatch.timing().deltas:
        return NOTHING_SENT
    encoding = tokens.encoding_for(exchange.request.model, chosen_encoding)
    is_plain = exchange.endpoint.dialect == Provider.Dialect.COMPLETIONS
    return count_usage(PreparedRequest(exchange.request, encoding, 0, is_plain), exchange.text, exchange.reasoning)
