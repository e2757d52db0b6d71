"""What a page asks the database does not grow with what there is."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pushadmin.web import MOST_COUNTED
from tests.pages.addresses import OUT_OF_REACH, addresses, routes
from tests.pages.growing import grow
from tests.pages.installation import Installation

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]  # seconds; a hundred pages
COUNTED = f"LIMIT {MOST_COUNTED + 1}"  # how pushadmin.web counts a list of more than one page
MOST = 60  # statements of any page; the composer asks most, 57


def test_no_page_asks_more_of_a_larger_installation(
    installation: Installation, administrator: Client
) -> None:
    """Every route that answers by GET: pages, their parts, figures of charts, files."""
    grow(installation, 1)  # at least two of each: what is fetched for the first is seen, too
    found = {}
    for name, pattern in routes():
        if name in OUT_OF_REACH:
            continue
        for address in addresses(pattern, installation.rows):
            if answered(administrator, address):
                found[name] = address
                break
    assert len(found) > 90
    few = {name: statements(administrator, address) for name, address in found.items()}
    for turn in range(2, 6):
        grow(installation, turn)
    for address in found.values():
        answered(administrator, address)  # what is remembered for a while is looked up again
    many = {name: statements(administrator, address) for name, address in found.items()}
    for name, address in found.items():
        if without_count(many[name]) > without_count(few[name]):
            # What is kept for seconds may have run out just then; a row's statement comes again.
            many[name] = statements(administrator, address)

    grown = {
        name: (len(few[name]), len(many[name]), more(few[name], many[name]))
        for name in found
        if without_count(many[name]) > without_count(few[name])
    }
    assert grown == {}
    assert {name: len(each) for name, each in few.items() if len(each) > MOST} == {}


def answered(client: Client, address: str) -> bool:
    answer: Any = client.get(address)
    if answer.streaming:
        b"".join(answer.streaming_content)
    return bool(answer.status_code == 200)


def statements(client: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert answered(client, address), address
    return [each["sql"] for each in queries]


def without_count(asked: list[str]) -> int:
    """A list is counted, once, as soon as there is more than a page of it."""
    return len(asked) - any(COUNTED in sql for sql in asked)


def more(few: list[str], many: list[str]) -> list[str]:
    """The statements there are more of, shortened."""
    heads = [sql[:120] for sql in few]
    rest = []
    for sql in many:
        if sql[:120] in heads:
            heads.remove(sql[:120])
        else:
            rest.append(sql[:200])
    return rest[:4]
