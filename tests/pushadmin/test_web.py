"""pushadmin.web: one address, a page or a part of it."""

import pytest
from django.http import HttpRequest
from django.template import engines
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails
from pytest_django import Settings

from pushadmin.web import page_or_partial

PAGE = """<h1>All</h1>{% partialdef rows inline %}<p>{{ count }} rows</p>{% endpartialdef %}"""


@pytest.fixture(autouse=True)
def page_of_a_test(settings: Settings) -> None:
    loaders = [("template_partials.loader.Loader", [(LOCMEM, {"list.html": PAGE})])]
    template_settings = settings.TEMPLATES[0]
    options = template_settings["OPTIONS"] | {"loaders": loaders}
    settings.TEMPLATES = [template_settings | {"OPTIONS": options}]


LOCMEM = "django.template.loaders.locmem.Loader"


def requested(**headers: str) -> HttpRequest:
    request = RequestFactory().get("/", headers=headers)
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    return request


def answered(request: HttpRequest) -> str:
    assert engines["django"]
    response = page_or_partial(request, "list.html", "rows", {"count": 3})
    assert response.headers["Vary"] == "HX-Request, HX-Boosted"
    return response.content.decode()


def test_a_browser_gets_the_page() -> None:
    assert answered(requested()) == "<h1>All</h1><p>3 rows</p>"


def test_htmx_gets_the_part() -> None:
    assert answered(requested(hx_request="true")) == "<p>3 rows</p>"


@pytest.mark.parametrize("header", ["hx_boosted", "hx_history_restore_request"])
def test_htmx_gets_the_page_where_it_replaces_the_page(header: str) -> None:
    headers = {"hx_request": "true", header: "true"}

    assert answered(requested(**headers)) == "<h1>All</h1><p>3 rows</p>"
