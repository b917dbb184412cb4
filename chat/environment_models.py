"""Keep the providers `environment` and `local` in accordance with the environment of the start.

Rows that an admin made are never changed, and an admin's changes to these two (labels, prompts, options) are kept.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.db import transaction

from chat.models import LanguageModel, Provider
from chat.providers import list_models
from chat.providers.base import Endpoint, ProviderError
from chat.providers.ip_rules import is_private

ENVIRONMENT = "environment"
LOCAL = "local"
LOCAL_MODEL = "SmolLM2-135M-Instruct"
LAST_ENVIRONMENT_POSITION = 99  # an admin's models start at 100
LOCAL_POSITION = 1000  # any other model is a better default


def sync_environment_provider(base_url: str, api_key: str, names: Sequence[str]) -> list[str]:
    """Create or update the provider `environment` with the models `names`, or else those that its upstream lists.

    Returns warnings, one sentence each. Without an address the provider is disabled, because its key was meant for
    the earlier start only. With an address the local model is not the default.
    """
    if not base_url:
        gone = Provider.objects.filter(name=ENVIRONMENT, enabled=True).update(enabled=False)
        return ["OPENAI_API_KEY and OPENAI_BASE_URL are gone: the provider 'environment' is disabled."] if gone else []
    warnings = []
    private = is_private_url(base_url)
    listed: list[str] | None = list(names)
    if not names:
        try:
            found = asyncio.run(list_models(Endpoint(base_url, api_key=api_key, private_network=private)))
            listed = [model.name for model in found if model.can_chat]
        except ProviderError as error:
            listed = None
            warnings.append(f"{base_url}/models gave no list ({error.code}). Set OPENAI_MODEL to the name of a model.")
        else:
            if not listed:
                warnings.append(f"{base_url}/models lists no model. Set OPENAI_MODEL to the name of one.")
    with transaction.atomic():
        disable_local_provider()
        provider = Provider.objects.filter(name=ENVIRONMENT).first() or Provider(name=ENVIRONMENT)
        if provider.origin_differs(base_url):
            provider.refused_fields = {}  # the new server may accept these fields
        provider.base_url = base_url
        provider.auth = Provider.Auth.BEARER if api_key else Provider.Auth.NONE
        provider.private_network = private
        provider.enabled = True
        provider.set_credentials(api_key)
        provider.save()
        if listed:
            _offer(provider, listed)
    return warnings


def sync_local_provider(base_url: str, api_key: str) -> None:
    """Update the provider `local` with the built-in model's port and key, which are new at every start."""
    with transaction.atomic():
        provider = Provider.objects.filter(kind=LOCAL).first() or Provider(
            kind=LOCAL, max_parallel=2, continuation=Provider.Continuation.PREFILL
        )
        provider.name = provider.name or _free_name()
        provider.base_url = base_url
        provider.auth = Provider.Auth.BEARER
        provider.private_network = True
        provider.enabled = True
        provider.set_credentials(api_key)
        provider.save()
        LanguageModel.objects.get_or_create(
            provider=provider,
            name=LOCAL_MODEL,
            defaults={
                "label": "SmolLM2 135M (built in)",
                "context_window": 2048,
                # A model this small loses the thread at any other temperature.
                "default_options": {"temperature": 0},
                "system_prompt": "You are a helpful assistant. Answer briefly.",
                "position": LOCAL_POSITION,
            },
        )


def disable_local_provider() -> None:
    """Disable the built-in model while it does not run."""
    Provider.objects.filter(kind=LOCAL, enabled=True).update(enabled=False)


def _free_name() -> str:
    """Return a name for the provider: `local`, unless an admin has used it."""
    taken = set(Provider.objects.values_list("name", flat=True))
    names = itertools.chain([LOCAL], (f"{LOCAL} {number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _offer(provider: Provider, names: Sequence[str]) -> None:
    """Offer these models in this order. Others are disabled, not deleted, because conversations refer to them.

    Models that an admin added stay as they are.
    """
    ours = provider.models.filter(position__lte=LAST_ENVIRONMENT_POSITION)
    ours.exclude(name__in=names).update(enabled=False)
    for position, name in enumerate(dict.fromkeys(names)):
        LanguageModel.objects.update_or_create(
            provider=provider,
            name=name,
            defaults={"position": min(position, LAST_ENVIRONMENT_POSITION), "enabled": True},
        )


def is_private_url(url: str) -> bool:
    """Return whether the address needs `private_network`: plain http, this machine, or a private network.

    The portal sets the mark itself for addresses from the environment; for others an admin has to set it.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        return True
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(is_private(str(address[4][0])) for address in found)
