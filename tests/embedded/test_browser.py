"""The browser fixtures: pages that complain fail their test."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.complaints import Complaints

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_page_of_ours_opens_without_a_complaint(page: Page) -> None:
    page.goto("/healthz")

    assert page.inner_text("body").strip() == "ok"


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('broken')", "console error: broken"),
        ("console.warn('odd')", "console warning: odd"),
        ("setTimeout(() => { throw new Error('thrown') })", "page error: thrown"),
        ("fetch('/no-such-page')", "answer 404"),
        ("fetch('http://127.0.0.1:1/')", "violates the following Content Security Policy"),
        ("fetch('/healthz?refused')", "request failed"),
    ],
)
def test_what_a_page_complains_of_is_heard(
    page: Page, complaints: Complaints, script: str, complaint: str
) -> None:
    page.route("**/*refused", lambda route: route.abort("connectionrefused"))
    page.goto("/login/")
    page.evaluate(f"() => {{ {script} }}")
    heard_in_time(page, complaints)

    assert complaint in " ".join(complaints.unexpected())
    complaints.expect("")  # all of it was meant


def heard_in_time(page: Page, complaints: Complaints) -> None:
    for _ in range(100):
        if complaints.heard:
            return
        page.wait_for_timeout(20)  # milliseconds; lets the browser's events in


def test_the_accessibility_helper_names_the_rule_and_the_element(
    browsing: BrowserContext, accessibility_problems: Callable[[Page], list[str]]
) -> None:
    page = browsing.new_page()
    page.set_content('<html lang="en"><title>t</title><main><input id="nameless"></main></html>')

    problems = accessibility_problems(page)

    assert [line.split(":")[0] for line in problems] == ["label"]
    assert "#nameless" in problems[0]
