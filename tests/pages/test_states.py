"""Pages with nothing to show: why, and what to do next. What a search does not find says so too."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from tests.pages.addresses import asked, is_page, pages
from tests.pages.installation import Installation

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]  # seconds; a hundred pages
NOBODY = "zzz-nobody-is-called-so"
# Elements that have no end.
VOID = {"input", "br", "hr", "img", "meta", "link", "path", "circle", "rect", "line", "polyline"}


class Reader(HTMLParser):
    """The empty states of a page, its tables, and what its head offers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, str]] = []
        self.empty: list[dict[str, Any]] = []  # of each: "title", "text", "ways"
        self.rows: list[int] = []  # of each table
        self.head_offers = False
        self.searches: list[str] = []  # names of the fields that search the page itself
        self.feed(text)

    def inside(self, css: str) -> bool:
        return any(css in classes.split() for _, classes in self.stack)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        classes = given.get("class", "")
        if "empty" in classes.split():
            self.empty.append({"title": "", "text": "", "ways": 0})
        if tag == "tbody":
            self.rows.append(0)
        if tag == "tr" and self.stack and self.stack[-1][0] == "tbody":
            self.rows[-1] += 1
        if tag in {"a", "button"} and self.inside("empty"):
            self.empty[-1]["ways"] += 1
        if tag in {"a", "button"} and self.inside("page-head"):
            self.head_offers = True
        if "data-search" in given:
            self.searches.append(given.get("name", ""))
        if tag not in VOID:
            self.stack.append((tag, classes))

    def handle_endtag(self, tag: str) -> None:
        while any(name == tag for name, _ in self.stack):
            if self.stack.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if self.inside("empty"):
            names = [name for name, _ in self.stack]
            if "h2" in names or "h3" in names:
                self.empty[-1]["title"] += data.strip()
            elif "p" in names:
                self.empty[-1]["text"] += data.strip()


def read(client: Client, address: str) -> Reader:
    return Reader(asked(client, address).content.decode())


def test_a_list_without_rows_says_why_and_what_to_do_next(
    installation: Installation, administrator: Client
) -> None:
    """Whatever lists rows in a shop after its first days, in an application made a moment ago."""
    base = re.compile(rf"^/apps/{installation.shop.pk}/")
    lists, mute = 0, []
    for page in pages(installation, administrator):
        if not base.match(page.address) or "?" in page.address:
            continue
        bare = base.sub(f"/apps/{installation.empty.pk}/", page.address)
        if not is_page(asked(administrator, bare)):
            continue  # a page of something that the other application has not
        full, empty = read(administrator, page.address), read(administrator, bare)
        mute += [f"{bare}: a table without rows"] if 0 in empty.rows else []
        if len(empty.rows) < len(full.rows):
            lists += 1
            mute += [f"{bare}: {each}" for each in wanting(empty)]

    assert mute == []
    assert lists >= 12


def wanting(page: Reader) -> list[str]:
    """What an empty page leaves unsaid."""
    if not page.empty:
        return ["nothing says that it is empty"]
    return [
        f"{each['title']!r} does not say what to do next"
        for each in page.empty
        if not each["title"] or not (each["text"] or each["ways"])
    ]


def test_a_search_that_finds_nothing_says_so_and_how_to_find_more(
    installation: Installation, administrator: Client
) -> None:
    searched, mute = [], []
    for page in pages(installation, administrator):
        if "?" in page.address or page.name.endswith(", empty"):
            continue
        for name in read(administrator, page.address).searches:
            found = read(administrator, f"{page.address}?{name}={NOBODY}")
            searched.append(page.name)
            mute += [f"{page.name}: {each}" for each in wanting(found)]

    assert mute == []
    assert len(searched) >= 12
