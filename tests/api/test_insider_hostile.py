"""api.insider: whatever is put anywhere into a good request is answered, never with a 5xx."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.models import Application, Platform
from tests.api.insider import MESSAGES, SEND, Caller, connect, make_insider_key, sample
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

texts = st.text(st.characters(codec="utf-8"), max_size=40)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**120), max_value=10**120)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["", "\0", "https://", "https://a", "aps", "\u202e", "%00", "' OR 1=1 --"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=25) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)
Path = tuple[str | int, ...]


def paths_of(value: Any, at: Path = ()) -> list[Path]:
    """Every place in a document where another value could stand."""
    found = [at] if at else []
    if isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            found += paths_of(member, (*at, name))
    return found


PATHS = [each for each in paths_of(sample()) if each[0] != "api_key"]
NAMES = sorted({each[-1] for each in PATHS if isinstance(each[-1], str)})


def put(body: dict[str, Any], path: Path, name: str | None, value: Any) -> None:
    """Replace a member, or add one beside it; nothing where an earlier change took its place."""
    place: Any = body
    try:
        for step in path[:-1]:
            place = place[step]
        if isinstance(place, dict):
            place[name if name is not None else path[-1]] = value
        elif isinstance(place, list):
            place[path[-1]] = value  # type: ignore[index]  # a text is no index: TypeError
    except (KeyError, IndexError, TypeError):
        return


@pytest.fixture
def shop() -> Application:
    application = make_application(cap_count=1000, cap_hours=1)
    make_insider_key()
    connect(application, Platform.ANDROID)
    make_registration(application, person=make_person(email="example@gmail.com"))
    return application


mess = st.lists(
    st.tuples(st.sampled_from(PATHS), st.none() | st.sampled_from(NAMES) | texts, values),
    min_size=1,
    max_size=3,
)


@given(mess=mess)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_send_is_answered_in_the_familys_words(
    shop: Application, mess: list[tuple[Path, str | None, Any]]
) -> None:
    body = copy.deepcopy(sample())
    key = body["api_key"]
    for path, name, value in mess:
        put(body, path, name, value)
    body["api_key"] = key

    answer = Caller().post(SEND, body)

    told = answer.json()
    if answer.status_code == 200:
        assert {"successes", "errors"} <= set(told) <= {"successes", "errors", "optin"}
    elif answer.status_code == 202:
        assert told == {"message": "Async request accepted"}
    else:
        assert answer.status_code == 400
        assert set(told) == {"error", "message"}


@given(body=st.dictionaries(st.sampled_from(["identifiers", "limit", "start_date"]), values))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_question_is_answered(shop: Application, body: dict[str, Any]) -> None:
    headers = {"X-INSIDER-API-KEY": "insider-key-of-a-shop"}

    assert Caller().post(MESSAGES, body, **headers).status_code in {200, 400}
