"""Addresses and forms of the admin."""

from __future__ import annotations


def address(name, row=None, end="change"):
    return f"/admin/chat/{name}/" if row is None else f"/admin/chat/{name}/{row.pk}/{end}/"


def form_of(provider, **fields):
    """What the browser sends for a provider's form, the inline's management form included."""
    names = ("name", "kind", "base_url", "auth", "dialect", "think_tags", "continuation", "usage_mode",
             "max_tokens_field",
             "connect_seconds", "first_byte_seconds", "idle_seconds", "total_seconds",
             "max_retries", "max_parallel", "token_url")  # fmt: skip
    values = {name: getattr(provider, name) for name in names}
    extras = {"extra_headers": "{}", "extra_query": "{}", "extra_body": "{}", "enabled": "on"}
    inline = {"models-TOTAL_FORMS": 0, "models-INITIAL_FORMS": 0}
    return {**values, **extras, **inline, "api_key": "", **fields}


SECRET = "sk-canary-0123456789abcdef"
