"""Foreign programs: named, installed, or fetched; never silently missing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded import tools
from embedded.tools import Tool, ToolFailure


@pytest.mark.parametrize("find", [tools.nginx, tools.nghttpd, tools.h2load])
def test_a_program_runs_here(find: Callable[[], Tool]) -> None:
    tool = find()
    flag = "-v" if tool.program.name == "nginx" else "--version"
    run = subprocess.run(
        [str(tool.program), flag], env=tool.environment, capture_output=True, text=True, check=True
    )
    assert tool.program.name.replace("nghttpd", "nghttp2") in run.stdout + run.stderr


def test_a_named_program_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHADMIN_NGINX", "/opt/nginx/sbin/nginx")
    assert tools.nginx().program == Path("/opt/nginx/sbin/nginx")


def test_without_a_way_to_fetch_it_the_text_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "SYSTEM_PATHS", ())
    monkeypatch.setattr(tools, "PLACE", tmp_path / "tools")
    with pytest.raises(ToolFailure, match="Install h2load, or set PUSHADMIN_H2LOAD"):
        tools.h2load()
