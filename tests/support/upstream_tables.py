"""The tables of docs/upstreams.md, made from the code and from the tests' own tables.

`python -m tests.support.upstream_tables` writes them into the page; tests/test_docs.py compares.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "upstreams.md"
BETWEEN = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Name → the table in Markdown."""
    return {
        "shapes": _shapes(),
        "finish reasons": _finish_reasons(),
        "failures": _failures(),
        "cases": _cases(),
        "time limits": _time_limits(),
        "presets": _presets(),
        "encodings": _encodings(),
    }


def rendered(page: str) -> str:
    """The page with its tables as they should be. Raises KeyError for a table that nobody makes."""
    made = tables()
    return BETWEEN.sub(lambda found: f"{found[1]}\n{made[found[2]]}\n\n{found[3]}", page)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _shapes() -> str:
    """The recorded shapes: what is peculiar, and what comes out."""
    rows = []
    for file in sorted((ROOT / "tests" / "providers" / "corpus").glob("*.json")):
        case = json.loads(file.read_text("utf-8"))
        expected = case["expected"]
        error, usage = expected.get("error"), expected.get("usage")
        ends = (
            f"`{expected.get('finish_reason_raw')}`" if error is None else f"failed: {error['kind'].replace('_', ' ')}"
        )
        counts = f"{usage['prompt_tokens']} + {usage['completion_tokens']}" if usage else "counted by us"
        rows.append(
            (file.stem.partition("_")[0], case["provider"], case["notes"] or "", ends, "–" if error else counts)
        )
    return _table(("case", "server", "what is peculiar", "ends", "tokens"), rows)


def _finish_reasons() -> str:
    from chat.finish_reasons import SPELLINGS
    from chat.texts.finish_reasons import CUTS, FINISH_REASONS

    rows = [
        (", ".join(f"`{word}`" for word in words), str(FINISH_REASONS[meaning]), str(CUTS.get(meaning, "")))
        for meaning, words in SPELLINGS.items()
    ]
    return _table(("upstream's word, in any case", "on the receipt", "below the answer"), rows)


def _failures() -> str:
    from chat.codes import Code, Kind
    from chat.providers.errors import STATUS_CODES
    from chat.texts.errors import SENTENCES

    rows = []
    for code in sorted(Code.of(Kind.UPSTREAM)):
        statuses = ", ".join(str(status) for status, one in sorted(STATUS_CODES.items()) if one == code)
        again = "no" if code.rules.is_permanent else f"{code.rules.max_tries - 1} times"
        rows.append(
            (f"`{code}`", str(SENTENCES[code]), statuses, again.replace("1 times", "once").replace("2 times", "twice"))
        )
    return _table(("code", "what people read", "HTTP status", "sent again, before the first word"), rows)


def _cases() -> str:
    """What the adapters make of each row of tests/providers/test_faults.py."""
    from tests.support.adapter_faults import ROWS

    rows = []
    for name, row in ROWS.items():
        number, _, what = name.partition(" ")
        if not number.isdecimal():
            continue
        kept = ", the text is kept" if row.code and row.text else ""
        outcome = f"`{row.code}`{kept}" if row.code else "the whole answer"
        rows.append((number, what, outcome, ", ".join(row.warnings)))
    return _table(("no.", "what comes", "what becomes of it", "in the log"), sorted(rows, key=lambda one: int(one[0])))


def _time_limits() -> str:
    from dataclasses import fields

    from chat.providers.base import TimeLimits

    explained = dict(re.findall(r"^    (\w+) {2,}(.+(?:\n {8,}.+)*)$", TimeLimits.__doc__ or "", re.MULTILINE))
    rows = [(f"`{one.name}`", f"{one.default:g}", " ".join(explained[one.name].split())) for one in fields(TimeLimits)]
    return _table(("limit", "seconds", "what it limits"), rows)


def _presets() -> str:
    from chat.providers import PRESETS

    return _table(
        ("kind", "base URL", "authentication"),
        [(kind.label, f"`{kind.base_url}`" if kind.base_url else "", kind.auth) for kind in PRESETS.values()],
    )


def _encodings() -> str:
    from chat.tokens import DEFAULT_ENCODING, STAND_INS, encoding_for

    models = ("gpt-4o-mini", "gpt-5", "gpt-oss-20b", "gpt-4", "gpt-3.5-turbo", "text-davinci-003", "davinci")
    rows = []
    for model in models:
        encoding = encoding_for(model)
        rows.append((f"`{model}`", f"`{encoding.name}`", "" if encoding.is_exact else "estimated"))
    rows.append(("any other", f"`{DEFAULT_ENCODING}`", "estimated"))
    assert STAND_INS  # the davincis above are examples of it
    return _table(("model", "counted with", "marked"), rows)


def main() -> None:
    """Write the tables into the page."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
