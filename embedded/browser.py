"""Chromium for the tests, out of an npm package: no system package, no root."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from embedded import packages
from embedded.environment import ROOT, exclusively, say

PLACE = ROOT / "var/chromium"
SOURCE = packages.NODE_MODULES / "@sparticuz/chromium"
ARCHIVES = ("chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br")
INFLATE = """
const {inflate} = await import(process.argv[1]);
for (const archive of process.argv.slice(2)) await inflate(archive);
"""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{place}/fonts</dir>
  <cachedir>{place}/font-cache</cachedir>
  <alias><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
</fontconfig>
"""


class BrowserFailure(Exception):
    """There is no browser for this machine; the text says what to do."""


@dataclass(frozen=True)
class Chromium:
    program: Path
    environment: dict[str, str]


def chromium() -> Chromium:
    """The browser; unpacked at the first call. PUSHADMIN_CHROMIUM names another one."""
    if chosen := os.environ.get("PUSHADMIN_CHROMIUM"):
        return Chromium(Path(chosen), dict(os.environ))
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise BrowserFailure(
            "Browser tests bring their own Chromium on Linux x86_64 only; "
            "set PUSHADMIN_CHROMIUM to the path of a Chromium or Chrome."
        )
    unpack()
    variables = {
        "LD_LIBRARY_PATH": str(PLACE / "al2023/lib"),
        "FONTCONFIG_FILE": str(PLACE / "fonts.conf"),
    }
    return Chromium(PLACE / "chromium", {**os.environ, **variables})


def unpack() -> None:
    """Unpack the archives beside their place and move them there when all are whole."""
    stamp = PLACE / ".lock.sha256"
    with exclusively(ROOT / "var/chromium.lock", "waiting for another installation"):
        packages.install(dev=True)
        if stamp.exists() and stamp.read_text() == packages.digest():
            return
        say("unpacking the browser")
        draft = PLACE.with_name("chromium.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        script = [str(packages.node()), "--input-type=module", "--eval", INFLATE]
        files = [str(SOURCE / "bin" / name) for name in ARCHIVES]
        run = subprocess.run(
            [*script, str(SOURCE / "build/lambdafs.js"), *files],
            env=packages.variables() | {"TMPDIR": str(draft)},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise BrowserFailure(f"Chromium could not be unpacked:\n{run.stdout}{run.stderr}")
        (draft / "fonts.conf").write_text(FONTS.format(place=PLACE))
        (draft / stamp.name).write_text(packages.digest())
        shutil.rmtree(PLACE, ignore_errors=True)
        draft.rename(PLACE)
