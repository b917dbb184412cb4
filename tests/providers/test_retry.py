from __future__ import annotations

import math

import pytest

from chat.providers import ProviderError
from chat.providers.retry import delay


def no_jitter() -> float:
    return 0.0


def error(code="upstream_error", **details) -> ProviderError:
    return ProviderError(code, **details)


@pytest.mark.parametrize(
    ("failed", "tries", "spent", "pause"),
    [
        (error(), 1, 0.1, 0.5),
        (error(), 2, 1.0, 1.0),
        (error(), 3, 3.0, None),
        (error("upstream_dns"), 1, 0.1, 0.5),
        (error("upstream_dns"), 2, 1.0, None),
        (error("answer_empty"), 1, 0.1, 0.5),
        (error("answer_empty"), 2, 1.0, None),
        (error("upstream_auth"), 1, 0.1, None),
        (error("upstream_error", permanent=True), 1, 0.1, None),
        (error("upstream_rejected", permanent=False), 1, 0.1, 0.5),
        (error("upstream_rate_limited", retry_after=1.0), 1, 0.1, 1.0),
        (error("upstream_rate_limited", retry_after=0.7), 2, 5.0, 0.7),
        (error("upstream_rate_limited", retry_after=30.0), 1, 0.0, 30.0),
        (error("upstream_rate_limited", retry_after=30.0), 1, 0.1, None),
        (error("upstream_rate_limited", retry_after=3600.0), 1, 0.1, None),
        (error("upstream_rate_limited", retry_after=math.inf), 1, 0.1, None),
        (error("upstream_overloaded", retry_after=2.0), 1, 29.0, None),
        (error(), 1, 29.6, None),
        (error(), 1, 29.5, 0.5),
    ],
)
def test_when_a_failed_request_is_sent_again(failed, tries, spent, pause):
    assert delay(failed, tries, spent, no_jitter) == pause


def test_pauses_double_up_to_eight_seconds_and_lose_up_to_a_quarter():
    many = ProviderError("upstream_error")
    many.max_tries = 99
    assert [delay(many, tries, 0.0, no_jitter) for tries in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert delay(many, 1, 0.0, lambda: 0.999999) == pytest.approx(0.375, abs=1e-5)


def test_what_upstream_asked_for_is_kept_to_without_jitter():
    asked = ProviderError("upstream_rate_limited", retry_after=2.0)
    assert delay(asked, 1, 0.0, lambda: 0.9) == 2.0
