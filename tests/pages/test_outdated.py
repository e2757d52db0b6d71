"""A request whose answer nobody awaits any more is not made, or cancelled: hx-sync."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR) / "templates"
TEMPLATES = sorted(path for path in ROOT.rglob("*.html") if "hx-" in path.read_text())
TYPED = re.compile(r"\b(input|keyup|keydown|search)\b")
FIELDS = {"input", "select", "textarea"}  # their own trigger is a change
# Of hx-sync: an older request ends, or waits for one more at the most.
REPLACING = re.compile(r"^[^:]+:\s*(replace|abort|queue last)$")
# What keeps what was typed is never cancelled: each save knows the version of the one before.
SAVES = {"composer": "this:queue all"}


class Asking(HTMLParser):
    """Elements that ask the server while somebody types or chooses, with their hx-sync."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.feed(re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        asks = {"hx-get", "hx-post"} & set(given)
        trigger = given.get("hx-trigger", "change" if tag in FIELDS else "")
        if asks and (TYPED.search(trigger) or (tag in FIELDS and "change" in trigger)):
            name = given.get("id") or given.get("name") or trigger
            self.found.append((tag, name, given.get("hx-sync", "")))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_asked_while_typing_replaces_what_was_asked_before(path: Path) -> None:
    for tag, name, sync in Asking(path.read_text()).found:
        if name in SAVES:
            assert sync == SAVES[name]
        else:
            assert REPLACING.match(sync), f"<{tag}> {name}: hx-sync={sync!r}"


def test_templates_ask_while_somebody_types() -> None:
    """Else the test above would test nothing."""
    assert sum(len(Asking(path.read_text()).found) for path in TEMPLATES) >= 20
