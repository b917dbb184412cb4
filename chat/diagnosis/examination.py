"""The state of one examination: what the checks so far have learned, for those that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from chat.diagnosis.questions import Questions
from chat.diagnosis.server_load import ServerLoad
from chat.providers.base import Endpoint, ProviderError
from chat.providers.listing import ListedModel

Verdict = tuple[str, dict[str, Any]]
"""A result, and details: `case` names the situation; `code` and `reason` an error; `because` why it was skipped."""


@dataclass
class Examination:
    """What is known of a provider by now.

    questions    asks the model, and keeps every answer
    server_load  what the server shows of its own work
    is_private   all its addresses are in private networks
    listed       its list of models; `list_error` why there is none
    carried      seconds that a check spent for another one, by the check
    """

    questions: Questions
    server_load: ServerLoad
    is_private: bool = False
    listed: list[ListedModel] = field(default_factory=list)
    list_error: ProviderError | None = None
    carried: dict[str, float] = field(default_factory=dict)

    @property
    def endpoint(self) -> Endpoint:
        """Where the provider is, without what is to be found out."""
        return self.questions.endpoint


def error_detail(error: ProviderError) -> dict[str, Any]:
    """The details of a failure."""
    detail: dict[str, Any] = {"code": error.code, "reason": error.reason}
    if error.retry_after is not None and math.isfinite(error.retry_after):
        detail["retry_after"] = round(error.retry_after, 1)
    return detail
