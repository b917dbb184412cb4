"""Every check of a provider, in its order, and how one is made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

from chat.codes import Code
from chat.diagnosis import answer_checks, connection_checks, request_checks
from chat.diagnosis.examination import Examination, Verdict, error_detail
from chat.diagnosis.exchange import Exchange
from chat.diagnosis.questions import Questions, Skipped
from chat.diagnosis.report import Finding
from chat.diagnosis.server_load import ServerLoad
from chat.providers.base import Endpoint, ProviderError

CHECK_SECONDS = 60.0

Check = Callable[[Examination], Awaitable[Verdict]]

BY_NAME: Mapping[str, Check] = {
    "address": connection_checks.address,
    "tls": connection_checks.tls,
    "auth": connection_checks.auth,
    "models": connection_checks.models,
    "whole_answer": answer_checks.whole_answer,
    "streamed_answer": answer_checks.streamed_answer,
    "time_saved": answer_checks.time_saved,
    "really_streams": answer_checks.really_streams,
    "include_usage": answer_checks.include_usage,
    "count": answer_checks.count,
    "stop": request_checks.stop,
    "max_tokens": request_checks.max_tokens,
    "cancel": request_checks.cancel,
    "completions": request_checks.completions,
    "rate_limits": answer_checks.rate_limits,
}
"""The name of a check, which is stored, and the check itself; in the order in which they are made."""

CHECKS = tuple(BY_NAME)

OBSTACLES = frozenset({"address", "tls", "auth"})
"""Checks without which no other can be made."""


async def examine(
    endpoint: Endpoint,
    model: str,
    *,
    encoding: str = "",
    seconds: float = CHECK_SECONDS,
    note: Callable[[Exchange], None] | None = None,
) -> AsyncGenerator[Finding, None]:
    """Make every check and yield what it found, in the order of CHECKS. Closing this closes all connections.

    encoding  the name of tiktoken's table for the model; '' = by its name
    seconds   for each question to the model
    note      called with every question that is asked, before its answer comes
    """
    questions = Questions(endpoint, model, encoding, seconds, note)
    examination = Examination(questions, ServerLoad(questions.endpoint))
    obstacle = ""
    try:
        for name, check in BY_NAME.items():
            finding = await _make(name, check, examination, obstacle)
            if finding.result == "bad" and finding.detail.get("case") != "plain_http":
                obstacle = obstacle or _obstacle(finding)
            yield finding
    finally:
        await examination.server_load.aclose()


async def _make(name: str, check: Check, examination: Examination, obstacle: str) -> Finding:
    """Make one check. Never raises what an upstream did. `obstacle`: why it can't be made, '' when it can."""
    questions = examination.questions
    began, known_refused = monotonic(), len(questions.refused)
    detail: dict[str, Any]
    try:
        if obstacle:
            raise Skipped(obstacle)
        result, detail = await check(examination)
    except Skipped as skipped:
        result, detail = "skipped", {"because": str(skipped)}
    except ProviderError as error:
        result, detail = "bad", error_detail(error)
    if name == "models":
        detail["model"] = questions.model
    if refused := questions.refused[known_refused:]:
        detail["refused"] = [{"field": one.field, "model": one.model, "instead": one.instead} for one in refused]
    return Finding(name, result, round(monotonic() - began + examination.carried.pop(name, 0.0), 3), detail)


def _obstacle(finding: Finding) -> str:
    """Why the checks after a bad one can't be made; '' when they can."""
    if finding.check not in OBSTACLES:
        return ""
    return "key_refused" if finding.detail.get("code") == Code.UPSTREAM_AUTH else "no_connection"
