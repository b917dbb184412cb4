"""What a server refused is known after a restart, too: by its row, model by model."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chat.generation import store
from chat.models import Provider
from chat.providers import build
from chat.providers.base import UnsupportedField
from tests.support.asking import ask
from tests.support.upstream import Upstream

pytestmark = pytest.mark.django_db

NEWER, OLDER = "behaving:refuses-max-tokens", "behaving:refuses-other-limit"


@pytest.fixture
def provider(upstream: Upstream) -> Provider:
    return Provider.objects.create(name="upstream", base_url=upstream.base_url, auth="none", private_network=True)


def ask_anew(provider: Provider, model: str) -> None:
    """A question by an adapter that knows the row alone, as after a restart; what it learns goes into the row."""
    learned: list[UnsupportedField] = []
    provider.refresh_from_db()
    endpoint = replace(provider.endpoint(), remember=learned.append)

    async def question() -> None:
        adapter = build(endpoint)
        assert (await ask(adapter, model, max_tokens=9)).error is None
        await adapter.aclose()

    asyncio.run(question())
    for refused in learned:
        store.remember(provider.pk, refused)


@pytest.mark.parametrize("models", [(NEWER,), (OLDER,), (NEWER, OLDER), (OLDER, NEWER, "behaving")])
def test_every_refusal_is_met_once(provider: Provider, upstream: Upstream, models: tuple[str, ...]):
    for _ in range(3):
        for model in models:
            ask_anew(provider, model)
    assert upstream.count() <= 3 * len(models) + len({NEWER, OLDER} & set(models))
    before = upstream.count()
    for model in models:
        ask_anew(provider, model)
    assert upstream.count() == before + len(models)


def test_the_admin_sees_which_model_refused_what_and_may_have_it_sent_again(provider: Provider, upstream: Upstream):
    ask_anew(provider, NEWER)
    provider.refresh_from_db()
    assert provider.refused_fields == {NEWER: ["max_tokens"]}
    assert provider.max_tokens_field == "max_completion_tokens", "a model that is asked for the first time gets this"
    provider.refused_fields, provider.max_tokens_field = {}, "max_tokens"
    provider.save()
    ask_anew(provider, NEWER)
    sent = [request.body for request in upstream.requests]
    assert ["max_tokens" in body for body in sent] == [True, False, True, False]
