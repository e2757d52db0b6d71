"""What every call refuses alike: strangers, methods, bodies that are too long, or no JSON."""

from typing import Any

import pytest
import time_machine

from api import segments
from api.endpoint import BODY_LIMIT
from api.infobip.push_family import LARGEST
from api.openapi.calls import Call, Family
from api.openapi.document import calls, operation_id, refusals_of
from api.openapi.insider import INSIDER
from api.openapi.lists import LISTS
from api.openapi.omni import OMNI
from api.openapi.own import HUAWEI, SMS
from api.openapi.push import PUSH
from api.openapi.push_older import OLDER
from api.openapi.segments import SEGMENTS
from campaigns.store import store
from tests.api.callers import Everybody

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

SIGNED = (HUAWEI, SMS)  # refuse whoever does not know the address, before all else
CALLS = [(family, call) for family, call in calls() if family not in SIGNED]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def parametrized(chosen: list[tuple[Family, Call]]) -> pytest.MarkDecorator:
    rows = [pytest.param(family, call, id=operation_id(family, call)) for family, call in chosen]
    return pytest.mark.parametrize(("family", "call"), rows)


@pytest.fixture
def everybody() -> Everybody:
    return Everybody()


def assert_whole(answer: Any, status: int) -> None:
    """An error in JSON, with its length. Its form is compared with the document's."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    assert int(answer["Content-Length"]) == len(answer.content) > 0


@parametrized(CALLS)
def test_a_path_says_which_methods_it_knows(
    everybody: Everybody, family: Family, call: Call
) -> None:
    known = {each.method.upper() for _, each in CALLS if each.path == call.path}
    for method in set(METHODS) - known:
        store().flushdb()  # how often there were calls
        answer = everybody.call(family, call, b"{}", method=method)

        assert_whole(answer, 405)
        assert set(answer["Allow"].split(", ")) - {"HEAD"} == known


@parametrized([each for each in CALLS if 401 in refusals_of(*each)])
def test_a_stranger_is_unknown(everybody: Everybody, family: Family, call: Call) -> None:
    if family is INSIDER:
        guess = {"api_key": "guess"}
        answer = everybody.call(family, call, guess, headers={"X-INSIDER-API-KEY": "guess"})
    else:
        answer = everybody.call(family, call, headers={"Authorization": "App guess"})

    assert_whole(answer, 401)


@parametrized([each for each in CALLS if 401 not in refusals_of(*each)])
def test_what_needs_no_login_is_answered_to_strangers(
    everybody: Everybody, family: Family, call: Call
) -> None:
    answer = everybody.call(family, call, headers={"Authorization": "App guess"})

    assert answer.status_code not in {401, 403}


@parametrized([(family, call) for family, call in CALLS if call.body is not None])
def test_a_body_that_is_too_long_is_not_read(
    everybody: Everybody, family: Family, call: Call
) -> None:
    most = LARGEST if family in (PUSH, OLDER, OMNI) else BODY_LIMIT

    assert_whole(everybody.call(family, call, b" " * (most + 1)), 413)


@parametrized([(family, call) for family, call in CALLS if 415 in refusals_of(family, call)])
@pytest.mark.parametrize("kind", ["application/xml", "text/xml; charset=utf-8"])
def test_xml_is_not_read(everybody: Everybody, family: Family, call: Call, kind: str) -> None:
    assert_whole(everybody.call(family, call, b"<a/>", body_type=kind), 415)


@parametrized([(family, call) for family, call in CALLS if family in (SEGMENTS, LISTS)])
@time_machine.travel("2026-11-20T15:00:00.5+00:00", tick=False)
def test_calls_about_an_application_are_counted(
    everybody: Everybody, monkeypatch: pytest.MonkeyPatch, family: Family, call: Call
) -> None:
    monkeypatch.setattr(segments, "CALLS_PER_SECOND", 1)
    everybody.call(family, call)
    answer = everybody.call(family, call)

    assert_whole(answer, 429)
    assert answer["Retry-After"] == "1"
    assert answer.json() == {"error": {"code": "TOO_MANY_REQUESTS", "text": "Too many requests"}}
