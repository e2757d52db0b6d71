"""embedded.locking: what the lock files must not hold."""

import json
import re
from pathlib import Path

import pytest

from embedded.environment import ROOT
from embedded.locking import LOCKS, drop_addresses


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_name_no_host(name: str) -> None:
    text = (ROOT / name).read_text()

    assert "://" not in text
    assert not re.search(r"^--?(index|extra-index|find-links|i |f )", text, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in LOCKS if name.endswith(".txt")])
def test_every_locked_package_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)[1:]

    assert packages
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []


def test_every_front_end_package_has_a_checksum() -> None:
    tree = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: package for name, package in tree["packages"].items() if name}

    assert packages
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def test_addresses_are_dropped_from_the_lock_of_npm(tmp_path: Path) -> None:
    path = tmp_path / "package-lock.json"
    package = {
        "version": "1.0.0",
        "integrity": "sha512-x",
        "resolved": "https://registry.example/a.tgz",
        "funding": {"url": "https://give.example"},
    }
    path.write_text(json.dumps({"packages": {"node_modules/a": package}}))

    drop_addresses(path)

    kept = json.loads(path.read_text())["packages"]["node_modules/a"]
    assert kept == {"version": "1.0.0", "integrity": "sha512-x"}
