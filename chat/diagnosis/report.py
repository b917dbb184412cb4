"""What a check found, and what all of them together say about a provider's settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.codes import Code

RESULTS = ("good", "odd", "bad", "skipped")

NO_ENDPOINT = frozenset(code for code in Code if code.rules.is_no_endpoint)
PASSING = frozenset(code for code in Code if code.rules.is_passing)


@dataclass(frozen=True)
class Finding:
    """What one check found. `detail` is JSON:

    case          names the situation; the sentences are made from it
    code, reason  of an error, `reason` redacted
    because       why the check was skipped
    refused       fields of the request that upstream didn't take meanwhile: [{field, model, instead}]
    """

    check: str
    result: str
    seconds: float = 0.0
    detail: Mapping[str, Any] = field(default_factory=dict)


def settings_of(findings: Sequence[Finding], present: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings of a provider that the findings speak for: only what differs from `present`, by the same names.

    usage_mode · refused_fields (by model, '' = all) · max_tokens_field · whole_answers · dialect · think_tags; and
    context_window, of the model that was asked.
    """
    known = _Findings(findings)
    present = present or {}
    refused = {model: list(names) for model, names in present.get("refused_fields", {}).items()}
    settings: dict[str, Any] = {}
    settings |= known.usage_mode(refused, present.get("usage_mode"))
    settings |= known.max_tokens_field(refused)
    known.stop(refused)
    settings |= known.whole_answers() | known.dialect() | known.think_tags()
    settings |= known.context_window(present.get("context_window"))
    kept = {model: names for model, names in refused.items() if names}
    if kept != present.get("refused_fields", {}):
        settings["refused_fields"] = kept
    return {name: value for name, value in settings.items() if name not in present or present[name] != value}


class _Findings:
    """The findings by their checks."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._found = {finding.check: finding for finding in findings}
        self._refused = [one for finding in findings for one in finding.detail.get("refused", ())]
        self._model = self._detail("models", "model") or ""

    def _detail(self, check: str, name: str) -> Any:
        finding = self._found.get(check)
        return None if finding is None else finding.detail.get(name)

    def _result(self, check: str) -> str:
        return self._found[check].result if check in self._found else "skipped"

    def usage_mode(self, refused: dict[str, list[str]], present: str | None) -> dict[str, str]:
        """Never ask who refuses it; ask who tells when asked. Where it makes no difference all stays as it is."""
        asked = self._detail("include_usage", "asked")
        if asked == "refused":
            return {} if "stream_options" in refused.get("", ()) and present != "ask" else {"usage_mode": "never"}
        if asked == "taken":
            _drop(refused, "", "stream_options")
        is_told = asked == "taken" and self._detail("include_usage", "place") != "never"
        return {"usage_mode": "auto"} if is_told and present != "ask" else {}

    def max_tokens_field(self, refused: dict[str, list[str]]) -> dict[str, str]:
        """The name that was taken; one that no name was taken for is not sent."""
        name = next((one["instead"] for one in reversed(self._refused) if one["instead"]), "")
        case, field_ = self._detail("max_tokens", "case"), self._detail("max_tokens", "field")
        if case == "refused":
            _add(refused, self._model, field_)
            return {}
        if case in ("obeyed", "renamed"):
            name = field_
            _drop(refused, self._model, field_)
        return {"max_tokens_field": name} if name else {}

    def stop(self, refused: dict[str, list[str]]) -> None:
        """Whether the model takes `stop`."""
        if self._detail("stop", "case") == "refused":
            _add(refused, self._model, "stop")
        elif self._result("stop") == "good":
            _drop(refused, self._model, "stop")

    def whole_answers(self) -> dict[str, bool]:
        """Where streaming doesn't work but whole answers do, and back."""
        streams = self._detail("streamed_answer", "case") in ("came", "warned", "thinks")
        if streams and self._result("really_streams") in ("good", "odd"):
            return {"whole_answers": False}
        code = self._detail("streamed_answer", "code")
        is_broken = (code and code not in PASSING) or self._detail("streamed_answer", "case") == "whole"
        return {"whole_answers": True} if is_broken and self._came("whole_answer") else {}

    def dialect(self) -> dict[str, str]:
        """The legacy endpoint, where it is the only one."""
        codes = {self._detail(check, "code") for check in ("whole_answer", "streamed_answer")}
        exists = self._detail("completions", "case") == "exists"
        return {"dialect": "completions"} if exists and codes <= NO_ENDPOINT else {}

    def think_tags(self) -> dict[str, str]:
        """Reasoning that is left in the text. An answer without any proves nothing."""
        tags = self._detail("streamed_answer", "think_tags") or self._detail("whole_answer", "think_tags")
        return {"think_tags": tags} if tags else {}

    def context_window(self, present: int | None) -> dict[str, int]:
        """Where it is unknown, or less than was thought; an admin may have wanted it smaller than it could be."""
        window = self._detail("models", "context_window")
        return {"context_window": window} if window and (present is None or window < present) else {}

    def _came(self, check: str) -> bool:
        return self._detail(check, "case") in ("came", "warned", "thinks")


def _drop(refused: dict[str, list[str]], model: str, name: str) -> None:
    if name in refused.get(model, ()):
        refused[model].remove(name)


def _add(refused: dict[str, list[str]], model: str, name: str) -> None:
    if name not in refused.setdefault(model, []):
        refused[model].append(name)
