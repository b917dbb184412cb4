#!/usr/bin/env python
"""Django's command line. `./run.py` calls it for you; by hand: `.venv/bin/python manage.py COMMAND`."""

import os
import sys


def main() -> None:
    """Run the command; Ctrl-C ends it without a traceback, with the exit code shells expect."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
