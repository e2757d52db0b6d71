"""Examples of a page of documentation: a command for a shell, and the JSON it answers."""

import json
import os
import re
import subprocess
from typing import Any

EXAMPLE = re.compile(r"^```sh\n(.*?)^```\n\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY = "…"


def examples_of(page: str) -> list[tuple[str, str]]:
    """The commands of a page with their answers, each command with one."""
    examples = EXAMPLE.findall(page)
    assert len(examples) == page.count("```sh") == page.count("```json")
    return examples


def run(command: str, variables: dict[str, str]) -> Any:
    """What a shell prints, read as JSON."""
    environment = {"PATH": os.environ["PATH"], "no_proxy": "*", **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def blurred(answer: Any, documented: Any) -> Any:
    """An answer with `…` wherever the page says that any value may stand."""
    if documented == ANY:
        assert answer
        return ANY
    if isinstance(answer, dict) and isinstance(documented, dict):
        return {name: blurred(answer[name], documented.get(name)) for name in answer}
    if isinstance(answer, list) and isinstance(documented, list):
        pairs = zip(answer, documented, strict=False)
        return [*(blurred(*pair) for pair in pairs), *answer[len(documented) :]]
    return answer
