"""`./run.py bench NAME [..]`: one measurement, each a module of this folder."""

from __future__ import annotations

import importlib
import sys

NAMES = {
    "frames": "how smoothly a long answer streams into a long conversation",
    "outage": "what a model server that is down costs everybody else",
    "guards": "whether a test notices when a guard is taken out",
}
MODULES = {"guards": "tests.mutation.__main__"}
"""What is no module of this folder."""


def main() -> int:
    name, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if name not in NAMES:
        print("".join(f"./run.py bench {one:10} {what}\n" for one, what in NAMES.items()), end="")
        return 2
    code: int = importlib.import_module(MODULES.get(name, f"bench.{name}")).main(arguments)
    return code


sys.exit(main())
