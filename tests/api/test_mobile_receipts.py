"""api.mobile: what apps report as delivered and seen (contract/mobile-sdk.md 4.2, 4.3)."""

import json
import uuid
from typing import Any

import pytest

from campaigns import reports
from campaigns.models import EarlyReceipt
from campaigns.store import store
from tests.api.apps import DELIVERED, SEEN, App, assert_refused
from tests.factories import make_application, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def receipts() -> list[Any]:
    entries: Any = store().xrange(reports.STREAM)
    return [json.loads(fields[b"r"]) for _, fields in entries]


def test_receipts_of_one_call_are_one_entry_of_the_stream(
    app: App, django_assert_num_queries: Any
) -> None:
    one, two = uuid.uuid4(), uuid.uuid4()
    app.post(DELIVERED, {"dlrIds": []})

    with django_assert_num_queries(0):
        answer = app.post(DELIVERED, {"dlrIds": [str(one), "of-somebody-else", str(two).upper()]})

    assert (answer.status_code, answer.json()) == (200, {})
    ((application, registration, told),) = receipts()
    assert (application, registration) == (app.application.pk, None)
    assert [(identifier, state) for identifier, state, _ in told] == [(one.hex, 3), (two.hex, 3)]


@pytest.mark.parametrize(
    ("delta", "seconds"), [(3, 3), (0, 0), (None, 0), (-60, 0), (10**30, 604_800)]
)
def test_seen_was_so_many_seconds_ago(
    app: App, delta: int | None, seconds: int, time_machine: Any
) -> None:
    time_machine.move_to("2026-01-01T00:00:00Z", tick=False)
    message = {"messageId": str(uuid.uuid4()), "timestampDelta": delta}

    assert app.post(SEEN, {"messages": [message]}).json() == {}

    ((_, _, ((_, state, at),)),) = receipts()
    assert (state, at) == (4, (1_767_225_600 - seconds) * 1000)


def test_receipts_of_a_known_device_count_for_it_alone(
    app: App, django_assert_num_queries: Any
) -> None:
    device = make_registration(app.application)
    app.post(DELIVERED, {"dlrIds": []})

    with django_assert_num_queries(1):
        app.post(
            DELIVERED,
            {"dlrIds": [str(uuid.uuid4())]},
            pushregistrationid=str(device.address.public_id),
        )

    assert [entry[1] for entry in receipts()] == [device.pk]


@pytest.mark.parametrize("path", [DELIVERED, SEEN])
def test_receipts_of_an_unknown_device_are_refused(app: App, path: str) -> None:
    body: dict[str, Any] = {"dlrIds": [], "messages": []}
    stranger = make_registration(make_application()).address.public_id

    for identifier in (str(stranger), "shoe"):
        answer = app.post(path, body, pushregistrationid=identifier)
        assert_refused(answer, 400, "NO_REGISTRATION", "Registration not found")


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (DELIVERED, {}, "dlrIds should be given"),
        (DELIVERED, {"dlrIds": "x"}, "dlrIds should be array"),
        (DELIVERED, {"dlrIds": [1]}, "dlrIds.0 should be string"),
        (DELIVERED, {"dlrIds": [""] * 501}, "dlrIds should be array of at most 500 members"),
        (SEEN, {"messages": {}}, "messages should be array"),
        (SEEN, {"messages": [{}]}, "messages.0.messageId should be given"),
        (
            SEEN,
            {"messages": [{"messageId": "x", "timestampDelta": "3"}]},
            "messages.0.timestampDelta should be integer",
        ),
    ],
)
def test_receipts_of_a_wrong_form_name_the_member(
    app: App, path: str, body: dict[str, Any], text: str
) -> None:
    assert_refused(app.post(path, body), 400, "REQUEST_FORMAT_INVALID", text)
    assert not receipts()


def test_no_receipt_is_kept_of_ids_that_nobody_sent(app: App, settings: Any) -> None:
    settings.STORE_URL = "unix:///nowhere/store.sock"  # the store is away: straight to Postgres

    assert app.post(DELIVERED, {"dlrIds": [str(uuid.uuid4())]}).status_code == 200

    assert not EarlyReceipt.objects.exists()
