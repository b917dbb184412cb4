"""An examination of a provider, and its findings in few words."""

from __future__ import annotations

from typing import Any

from chat.diagnosis import Finding, examine
from chat.providers import Endpoint
from chat.texts.diagnosis import line_of
from tests.support.asking import KEY
from tests.support.upstream import document

LIST, SLOTS, METRICS = "GET /v1/models", "GET /slots", "GET /metrics"
WELL = {
    "address": "good found",
    "tls": "good private_http",
    "auth": "good accepted",
    "models": "good listed",
    "whole_answer": "good came",
    "streamed_answer": "good came",
    "time_saved": "good saved",
    "really_streams": "good flows",
    "include_usage": "good came own_chunk",
    "count": "good agrees",
    "stop": "good obeyed",
    "max_tokens": "good obeyed",
    "cancel": "skipped unseen",
    "completions": "good exists",
    "rate_limits": "good silent",
}


def listed(*models: dict[str, Any]) -> Any:
    return document({"object": "list", "data": list(models)})


async def examined(base_url: str, model: str = "behaving", seconds: float = 5, **settings: Any) -> list[Finding]:
    """The findings, each of which can be said in words."""
    fields: dict[str, Any] = {"api_key": KEY} | settings
    findings = [
        finding
        async for finding in examine(Endpoint(base_url, **{"private_network": True, **fields}), model, seconds=seconds)
    ]
    assert [finding for finding in findings if not line_of(finding).meaning] == []
    return findings


def in_words(findings: list[Finding]) -> dict[str, str]:
    """`result case` by check; where usage lay comes behind."""
    found = {}
    for finding in findings:
        detail = finding.detail
        case = detail.get("code") or detail.get("because") or detail["case"]
        found[finding.check] = f"{finding.result} {case} {detail.get('place', '')}".strip()
    return found


def detail_of(findings: list[Finding], check: str) -> dict[str, Any]:
    return dict(next(finding.detail for finding in findings if finding.check == check))
