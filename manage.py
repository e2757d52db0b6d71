#!/usr/bin/env python3
"""Run a command: `python3 manage.py demo`, `test`, `check`, … or any command of Django's.

Needs nothing but Python 3.11: the first run makes the environment in `.venv`.
"""

import sys


def main() -> int:
    if sys.version_info < (3, 11):
        sys.exit("pushadmin needs Python 3.11 or newer; run manage.py with such a python3.")
    from embedded import commands, environment

    environment.enter()
    return commands.run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
