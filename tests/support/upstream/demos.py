"""Models that are always there, for a person who points a portal at this upstream, and for load."""

from __future__ import annotations

import re

from tests.support.upstream.recordings import index, record
from tests.support.upstream.script import At, Pause, Repeat, Rst, Script, Stall, answer, error, html, stream

_LOAD = re.compile(r"fake-n(\d{1,6})-i(\d{1,5})")
_WORDS = ["Rivers", "carry", "stones;", "patience", "carries", "rivers.", ""]

DEMOS: dict[str, Script] = {
    "slow": answer(*(step for word in _WORDS * 20 for step in (f"{word} ", Pause(0.2)))),
    "markdown": answer("# Title\n\n", "- one\n- two\n\n", "```python\nprint('three')\n", "```\n"),
    "thinking": stream(
        *({"choices": [{"index": 0, "delta": {"reasoning_content": f"{word} "}}]} for word in _WORDS), *_WORDS
    ),
    "cut": (*stream("Half of an ans", Pause(0.5), whole=False), Rst()),
    "incomplete": stream("Half of an ans", Pause(0.5)),
    "stall": stream("Half of an ans", Stall()),
    "silent": (Stall(),),
    "keep-alive": stream(Repeat(b": keep-alive\n\n", every=1.0)),
    "malformed": stream("Half of an ans", b"data: {nonsense\n\n"),
    "html": html(),
    "error-401": error(401, "Incorrect API key provided: sk-abcd****wxyz.", code="invalid_api_key"),
    "error-429": error(429, "Slow down.", code="rate_limit_exceeded", headers={"Retry-After": "2"}),
    "error-500": error(500, "Internal error."),
}


def names() -> list[str]:
    """All names a request may use here; besides them `fake-n250-i20`: 250 deltas, 20 ms apart."""
    return [*index(), *DEMOS]


def named(model: str) -> Script | None:
    """The script of a name, if it is one."""
    if model in index():
        return record(model)
    load = _LOAD.match(model)
    if load is None:
        return DEMOS.get(model)
    count, every = int(load[1]), int(load[2]) / 1000
    steps = (step for number in range(1, count + 1) for step in (At(number * every), f"w{number} "))
    return answer(*steps, usage=(7, count))
