"""`manage.py probe_provider NAME`: diagnose a provider and print the findings."""

from __future__ import annotations

import json
import sys
import textwrap
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from chat.diagnosis import Finding, estimate
from chat.diagnosis import runs as examination
from chat.models import CredentialsUnreadable, Provider
from chat.texts.diagnosis import Card, card_of, line_of
from chat.texts.figures import money_in_words

WIDTH = 100
INDENT = 46


class Command(BaseCommand):
    """Exit code 0 if no finding is bad, otherwise 1. Safe beside a running portal."""

    help = "Ask a provider's server a few short questions, find out what it can do, and keep the findings."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the provider's name")
        parser.add_argument("--model", help="the model to ask, as the provider calls it; else the first one")
        parser.add_argument("--json", action="store_true", help="the findings as JSON")
        parser.add_argument("--apply", action="store_true", help="set what the findings suggest")

    def handle(self, *args: Any, **options: Any) -> None:
        provider = _provider(options["name"])
        model = options["model"] or provider.models.order_by("position", "id").values_list("name", flat=True).first()
        if not model:
            raise CommandError(f"{provider.name} has no models yet; name one with --model.")
        rate = examination.rate_of(provider, model)
        estimated = estimate(rate)
        money = f", at most {money_in_words(estimated.money, rate.currency)}" if rate else ", no price is set"
        size = f"at most {estimated.requests} questions, about {estimated.tokens} tokens"
        self.stderr.write(f"Asking {model}: {size}{money}.")
        try:
            findings = async_to_sync(self._examine)(provider, model)
        except CredentialsUnreadable as error:
            raise CommandError(f"No key of PORTAL_KEYRING opens the credentials of {provider.name}.") from error
        except examination.Moved as error:
            raise CommandError("The address was changed meanwhile: what was found tells of another server.") from error
        present = examination.present_settings(provider, model)
        suggested = examination.suggested_settings(provider)
        if options["apply"]:
            examination.use(provider)
        examined_at = provider.examined_at or timezone.now()
        if options["json"]:
            found = {"findings": [asdict(finding) for finding in findings], "settings": suggested}
            about = {"provider": provider.name, "model": model, "examined_at": examined_at.isoformat()}
            self.stdout.write(json.dumps({**about, **found, "applied": options["apply"]}))
        else:
            card = card_of(findings, examined_at, model, suggested, present)
            self.stdout.write("\n".join(_table(card, options["apply"])))
        if any(finding.result == "bad" for finding in findings):
            sys.exit(1)

    async def _examine(self, provider: Provider, model: str) -> list[Finding]:
        found = []
        async with aclosing(examination.examine(provider, model, user_name="manage.py")) as findings:
            async for finding in findings:
                found.append(finding)
                line = line_of(finding)
                self.stderr.write(f"{line.mark} {line.label}")
        return found


def _provider(name: str) -> Provider:
    provider = Provider.objects.filter(name=name).first()
    if provider is None:
        names = ", ".join(Provider.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no provider named {name!r}. There are: {names}.")
    return provider


def _table(card: Card, is_applied: bool) -> list[str]:
    rows = [f"{card.model}: {card.counts}", ""]
    for line in card.lines:
        head = f"{line.mark} {line.label:<24} {line.word:<11} {line.seconds:>7}"
        rows += textwrap.wrap(
            f"{line.meaning} {line.advice}".strip(),
            WIDTH,
            initial_indent=f"{head:<{INDENT}} ",
            subsequent_indent=" " * (INDENT + 1),
        )
    if card.changes:
        rows += ["", "These settings are in use from now on:" if is_applied else "Suggested settings (--apply):"]
        rows += [f"  {change.label}: {change.now} → {change.then}" for change in card.changes]
    return rows
