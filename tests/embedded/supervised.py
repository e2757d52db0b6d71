"""Run a supervisor over small shell commands: HOME NAME=COMMAND …

A service is ready when it has written `NAME.ready` into the home folder. `db` ends last.
"""

import sys
from pathlib import Path

from embedded.home import Home
from embedded.processes import Service
from embedded.supervisor import Failed, Stopped, Supervisor


def main() -> int:
    home = Home(Path(sys.argv[1]))
    home.lock()
    supervisor = Supervisor(home)
    supervisor.handle_signals()
    try:
        supervisor.start(*(service(home, word) for word in sys.argv[2:]))
        (home.path / "all.ready").touch()
        supervisor.run()
    except Stopped:
        pass
    except Failed as failure:
        print(failure)
        return 1
    finally:
        supervisor.stop(last=lambda child: child.name == "db")
    return 0


def service(home: Home, word: str) -> Service:
    name, _, command = word.partition("=")
    ready = home.path / f"{name}.ready"
    return Service(
        name=name,
        command=["sh", "-c", command],
        directory=home.path,
        is_ready=ready.exists,
        before_start=lambda: ready.unlink(missing_ok=True),
        patience=5,
    )


if __name__ == "__main__":
    sys.exit(main())
