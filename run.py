#!/usr/bin/env python3
"""./run.py            the portal on http://127.0.0.1:8000/ (the first time it also installs what it needs)
./run.py test [..]  every check and every test; arguments go to pytest
./run.py check      linters, types, import rules, migrations, message catalogues
./run.py setup      only install and prepare
./run.py shots [--all FOLDER]   the pictures in docs/pictures, or every state of the page at every size
./run.py bench NAME [..]        a measurement, see bench/README.md
./run.py scoreboard [--ci | --size N] [--seed S] [--only G1,G8]   what is promised, counted: docs/reliability.md
./run.py lock [..]  for developers: make the lock files again; arguments go to uv, such as --upgrade

Needs Python 3.11 or newer on Linux or macOS and nothing else. Everything it makes lies in this folder: .venv,
node_modules, .node and .cache (can be deleted at any time), and var (your data, unless PORTAL_DATA_DIR says otherwise).
Variables: see .env.example.
"""
# Older Pythons must be able to read this file far enough to hand over to a newer one: nothing newer than 3.6 here.

import os
import shutil
import subprocess
import sys

NEEDED_PYTHON = (3, 11)


def use_a_newer_python():
    """`python3` may be an older one (Ubuntu 22.04: 3.10, macOS: 3.9) while a newer one is there under its full name."""
    if os.name != "posix":
        sys.exit("chatsite: Windows is not supported; run it inside WSL.")
    if sys.version_info >= NEEDED_PYTHON:
        return
    for minor in range(20, NEEDED_PYTHON[1] - 1, -1):
        path = shutil.which("python3.%d" % minor)
        # pyenv leaves shims for versions that are not active.
        if path and subprocess.call([path, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            os.execv(path, [path] + sys.argv)
    sys.exit("chatsite: Python %d.%d or newer is needed; this is %s." % (NEEDED_PYTHON + (sys.version.split()[0],)))


if __name__ == "__main__":
    use_a_newer_python()
    from chatsite import launcher  # for newer Pythons only, so not at the top

    sys.exit(launcher.main(sys.argv[1:], __doc__))
