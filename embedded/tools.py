"""Programs of other people that tests and benchmarks measure against: nginx, nghttpd, h2load.

PUSHADMIN_NGINX, PUSHADMIN_NGHTTPD and PUSHADMIN_H2LOAD name others. Else what is on the PATH
counts, else Debian's packages are fetched and unpacked under var/tools: no root, nothing of
the system is changed (docs/decisions/0007-foreign-programs.md).
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.environment import ROOT, exclusively, say

PLACE = ROOT / "var/tools"
PACKAGES = {"nginx": "nginx-light", "nghttpd": "nghttp2-server", "h2load": "nghttp2-client"}
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on everybody's PATH


class ToolFailure(Exception):
    """A program is missing and cannot be fetched; the text says what to do."""


@dataclass(frozen=True)
class Tool:
    program: Path
    environment: dict[str, str]


def nginx() -> Tool:
    return _tool("nginx")


def nghttpd() -> Tool:
    return _tool("nghttpd")


def h2load() -> Tool:
    return _tool("h2load")


def _tool(name: str) -> Tool:
    if chosen := os.environ.get(f"PUSHADMIN_{name.upper()}"):
        return Tool(Path(chosen), dict(os.environ))
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATHS])
    if found := shutil.which(name, path=path):
        return Tool(Path(found), dict(os.environ))
    return _unpacked(name)


def _unpacked(name: str) -> Tool:
    root = PLACE / name
    with exclusively(ROOT / "var/tools.lock", "waiting for another installation"):
        if not root.exists():
            _fetch(name, root)
    folders = ("usr/sbin", "usr/bin")
    program = next((root / each / name for each in folders if (root / each / name).exists()), None)
    if program is None:
        raise ToolFailure(f"Debian's package {PACKAGES[name]} has no {name}. {_advice(name)}")
    libraries = {str(path.parent) for path in root.glob("**/*.so*")}
    known = os.environ.get("LD_LIBRARY_PATH")
    search = os.pathsep.join([*sorted(libraries), *([known] if known else [])])
    return Tool(program, {**os.environ, "LD_LIBRARY_PATH": search})


def _fetch(name: str, root: Path) -> None:
    """Fetch a package and the libraries this system lacks; root appears when it is whole."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ToolFailure(f"{name} is not installed here. {_advice(name)}")
    say(f"fetching {name}")
    draft = root.with_name(f"{name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    archives = draft / "archives"
    archives.mkdir(parents=True)
    apt = _apt()
    wanted = _missing_packages(name, [*apt, "--simulate", "install", PACKAGES[name]])
    _run(name, [*apt, "download", *wanted], cwd=archives)
    for archive in sorted(archives.glob("*.deb")):
        _run(name, ["dpkg-deb", "--extract", str(archive), str(draft)])
    shutil.rmtree(archives)
    draft.rename(root)


def _apt() -> list[str]:
    """apt-get with lists and locks of its own: the system's may be missing, or need root."""
    state = PLACE / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": 1,
        "APT::Install-Recommends": 0,
        "APT::Sandbox::User": "",
    }
    command = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    if not list((state / "lists").glob("*Packages*")):
        _run("apt-get", [*command, "update"])
    return command


def _missing_packages(name: str, command: Sequence[str]) -> list[str]:
    """What apt-get would install: lines such as "Inst libev4 (1:4.33-1 Debian … [amd64])"."""
    lines = _run(name, command).splitlines()
    return [line.split()[1] for line in lines if line.startswith("Inst ")]


def _run(name: str, command: Sequence[str], cwd: Path = ROOT) -> str:
    run = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise ToolFailure(f"{name} could not be fetched:\n{run.stderr}{_advice(name)}")
    return run.stdout


def _advice(name: str) -> str:
    variable = f"PUSHADMIN_{name.upper()}"
    return f"Install {name}, or set {variable} to the path of one."
