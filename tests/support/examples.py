"""How many examples a property test tries."""

from __future__ import annotations

from hypothesis import settings


def examples(times: float) -> int:
    """`times` the number of the profile, which `--size` multiplies (`tests/conftest.py`); at least one."""
    assert settings.default is not None
    return max(1, round(times * settings.default.max_examples))
