"""The data folder of one demo or test run: where everything lies, and its secrets."""

import base64
import fcntl
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from embedded.environment import ROOT

LONGEST_SOCKET = 103  # bytes the address of a socket may have on macOS; Linux allows 107


class HomeInUse(Exception):
    """Another process runs in this data folder."""


class Home:
    """Paths of one data folder. Nothing is created before `prepare`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run = self.path / "run"
        self.log = self.path / "log"
        self.gateways = self.path / "gateways"
        self._lock: int | None = None

    @classmethod
    def chosen(cls) -> "Home":
        """The folder PUSHADMIN_HOME names, else `var/` of the checkout."""
        return cls(Path(os.environ.get("PUSHADMIN_HOME") or ROOT / "var"))

    @property
    def sockets(self) -> Path:
        """Where the servers listen. A deep home gets a short folder: addresses have a limit."""
        folder = self.run / "sockets"
        if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) <= LONGEST_SOCKET:
            return folder
        return Path(tempfile.gettempdir()) / self.nickname

    @property
    def nickname(self) -> str:
        """A short name that no other home and no other user has."""
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return f"pushadmin-{os.getuid()}-{name}"

    def prepare(self) -> None:
        for folder in (self.path, self.run, self.log):
            folder.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        self.sockets.chmod(0o700)  # refused, as it must be, when the folder is somebody else's

    def lock(self) -> None:
        """Keep this folder for this process until it ends; raises HomeInUse."""
        self.prepare()
        self._lock = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unlock()
            raise HomeInUse(f"{self.path} is in use by another process") from None

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secrets(self) -> dict[str, str]:
        """SECRET_KEY and FIELD_KEYS of this folder, made at the first call, mode 600."""
        path = self.path / "secrets.env"
        if not path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            lines = f"SECRET_KEY={secrets.token_urlsafe(50)}\nFIELD_KEYS={new_field_key()}\n"
            # Written apart and linked, so that two processes at once agree on one of theirs.
            handle, draft = tempfile.mkstemp(dir=self.path, prefix=".secrets-")  # mode 600
            with os.fdopen(handle, "w") as file:
                file.write(lines)
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                Path(draft).unlink()
        pairs = (line.partition("=") for line in path.read_text().splitlines())
        return {name: value for name, _, value in pairs if value}


def new_field_key() -> str:
    """A Fernet key: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
