"""`./run.py bench NAME [..]`: one measurement, each a module of this folder."""

from __future__ import annotations

import importlib
import sys

NAMES = {
    "frames": "how smoothly a long answer streams into a long conversation",
    "fuzz": "whether spoilt answers of model servers do more than fail",
    "outage": "what a model server that is down costs everybody else",
    "guards": "whether a test notices when a guard is taken out",
}
MODULES = {"guards": "mutate_guards"}
"""Where a module is not called as its measurement is."""


def main() -> int:
    name, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if name not in NAMES:
        print("".join(f"./run.py bench {one:10} {what}\n" for one, what in NAMES.items()), end="")
        return 2
    code: int = importlib.import_module(f"bench.{MODULES.get(name, name)}").main(arguments)
    return code


sys.exit(main())
