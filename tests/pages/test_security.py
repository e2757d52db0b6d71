"""What every answer lets a browser load and run: only files of this server, nothing inline."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path as route

from tests.pages.addresses import addresses, routes
from tests.pages.installation import Installation

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static").rglob("*.js"))
STYLES = sorted((ROOT / "static").rglob("*.css"))
POLICY = {
    "default-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "object-src": {"'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
}
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Attributes that make a browser load something, or ask another server.
LOADS = {"src", "srcset", "poster", "data", "background", "action", "formaction", "manifest"}
DATA = {"application/json", "speculationrules"}  # types of a script that nothing runs


def faults_of(answer: Any) -> Iterator[str]:
    """What the headers of an answer promise less than they should."""
    policy = answer.headers.get("Content-Security-Policy", "")
    said = {name: set(sources) for name, *sources in map(str.split, policy.split(";")) if name}
    if said != POLICY:
        yield f"its policy is {policy!r}"
    for name, value in HEADERS.items():
        if answer.headers.get(name) != value:
            yield f"{name} is {answer.headers.get(name)!r}"


class Markup(HTMLParser):
    """What a document would run or load besides files of this server."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "style" or (tag == "script" and self._runs(given)):
            self.faults.append(f"<{tag}> inside")
        for name, value in given.items():
            loads = name in LOADS or (name == "href" and tag in {"link", "use", "image", "base"})
            if name == "style" or re.match(r"on[a-z]+$|hx-on|data-hx-on", name):
                self.faults.append(f"<{tag} {name}>")
            if value.strip().lower().startswith(("javascript:", "vbscript:", "js:")):
                self.faults.append(f"<{tag} {name}={value!r}>")
            if loads and re.match(r"\s*(?:[a-z]+:)?//", value):
                self.faults.append(f"<{tag} {name}={value!r}>")

    @staticmethod
    def _runs(given: dict[str, str]) -> bool:
        return "src" not in given and given.get("type") not in DATA


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("Something that nobody thought of.")


urlpatterns = [route("broken/", broken)]  # in the place of ours, for one answer


@pytest.mark.django_db
@pytest.mark.timeout(900)  # seconds; a hundred pages
def test_every_answer_is_kept_to_this_server(
    installation: Installation, administrator: Client
) -> None:
    """Pages, parts of pages, files, refusals and what a signed-out browser gets."""
    stranger, faults, parts = Client(), [], 0
    for name, pattern in routes():
        address = addresses(pattern, installation.rows)[0]
        answers = {
            "page": administrator.get(address),
            "part": administrator.get(address, headers={"HX-Request": "true"}),
            "stranger": stranger.get(address),
            "stranger's post": stranger.post(address),
        }
        for kind, answer in answers.items():
            faults += [f"{name}, {kind}: {each}" for each in faults_of(answer)]
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                text = answer.content.decode()
                parts += "<html" not in text
                faults += [f"{name}, {kind}: {each}" for each in Markup(text).faults]

    assert faults == []
    assert parts > 50


@pytest.mark.django_db
def test_refusals_and_failures_are_kept_to_this_server(
    installation: Installation, administrator: Client
) -> None:
    shop = installation.shop.pk
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = administrator.cookies
    unable = Client(raise_request_exception=False)
    unable.cookies = administrator.cookies
    answers = {
        400: Client().get("/login/", headers={"host": "evil.example"}),
        403: careful.post(f"/apps/{shop}/campaigns/new/"),
        404: administrator.get("/no/such/page/"),
        405: administrator.get(f"/apps/{shop}/campaigns/new/"),
    }
    with override_settings(ROOT_URLCONF=__name__):
        answers[500] = unable.get("/broken/")

    for status, answer in answers.items():
        assert answer.status_code == status
        assert list(faults_of(answer)) == [], status
        assert Markup(answer.content.decode()).faults == [], status


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_holds_nothing_inline_and_nothing_of_elsewhere(path: Path) -> None:
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", path.read_text(), flags=re.DOTALL)

    assert Markup(text).faults == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_runs_no_text_and_asks_no_other_server(path: Path) -> None:
    code = "\n".join(line for line in path.read_text().splitlines() if line.strip()[:2] != "//")

    assert not re.search(
        r"\beval\(|new Function|\bFunction\(|set(Timeout|Interval)\(\s*[\"'`]", code
    )
    assert not re.search(r"[\"'`]https?://", code)
    assert 'setAttribute("style"' not in code
    assert not re.search(r"document\.write|javascript:", code)


@pytest.mark.parametrize("path", STYLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_stylesheet_loads_nothing_of_elsewhere(path: Path) -> None:
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", path.read_text())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('<p style="color: red">', "<p style>"),
        ('<a href="#" onclick="go()">', "<a onclick>"),
        ('<div hx-on:click="go()">', "<div hx-on:click>"),
        ("<script>go()</script>", "<script> inside"),
        ('<a href="javascript:go()">', "<a href='javascript:go()'>"),
        ('<script src="https://cdn.example/x.js">', "<script src='https://cdn.example/x.js'>"),
        ('<img src="//cdn.example/x.png">', "<img src='//cdn.example/x.png'>"),
        ('<link href="https://fonts.example/a.css">', "<link href='https://fonts.example/a.css'>"),
    ],
)
def test_the_reader_of_markup_sees_what_it_is_for(text: str, fault: str) -> None:
    assert Markup(text).faults == [fault]
