"""Pages of devices: who may look, what is found, and how many queries it takes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from devices import finding, numbers
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    AuditEntry,
    ClosedNumber,
    Platform,
    Registration,
    Role,
)
from devices.numbers import DeadNumber
from tests.factories import (
    make_application,
    make_person,
    make_registration,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
QueryCount = Callable[[int], AbstractContextManager[Any]]


def supporter(client: Client, application: Application) -> None:
    client.force_login(make_user(Role.SUPPORT, application))


def list_url(application: Application, query: str = "") -> str:
    return reverse("devices:list", args=[application.pk]) + query


def detail_url(device: Registration) -> str:
    return reverse("devices:detail", args=[device.application_id, device.pk])


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.ADMINISTRATOR, 200),
        (Role.MARKETER, 200),
        (Role.APPROVER, 200),
        (Role.SUPPORT, 200),
        (Role.DEVELOPER, 200),
        (Role.ANALYST, 403),
    ],
)
def test_devices_are_seen_by_role(client: Client, role: Role, status: int) -> None:
    device = make_registration(make_application())
    client.force_login(make_user(role, device.application))

    assert client.get(list_url(device.application)).status_code == status
    assert client.get(detail_url(device)).status_code == status


def test_a_device_of_another_application_is_not_found(client: Client) -> None:
    application = make_application()
    supporter(client, application)
    foreign = make_registration(make_application())

    url = reverse("devices:detail", args=[application.pk, foreign.pk])

    assert client.get(url).status_code == 404


def test_a_list_costs_the_same_queries_at_any_length(
    client: Client, django_assert_num_queries: QueryCount
) -> None:
    application = make_application()
    supporter(client, application)
    client.get(list_url(application))  # the session learns the application
    make_registrations(application, 60)
    for number in range(3):
        make_registration(application, person=make_person(external_id=f"p{number}"))

    with django_assert_num_queries(10):
        page = client.get(list_url(application))

    assert len(page.context["rows"]) == 50
    assert page.context["pager"].text == "63 devices"


def test_pages_of_a_list_follow_each_other_and_lead_back(client: Client) -> None:
    application = make_application()
    supporter(client, application)
    newest = [device.pk for device in make_registrations(application, 60)][::-1]

    first = client.get(list_url(application, "?rows=25")).context["pager"]
    second = client.get(list_url(application) + first.next_url).context["pager"]
    third = client.get(list_url(application) + second.next_url).context["pager"]
    back = client.get(list_url(application) + third.previous_url).context["pager"]

    assert [row.pk for row in (*first.rows, *second.rows, *third.rows)] == newest
    assert [row.pk for row in back.rows] == newest[25:50]
    assert (first.previous_url, third.next_url) == ("", "")


@pytest.mark.parametrize(
    "query", ["?after=x", "?rows=1000000", "?before=9e9", "?state=mad&platform=x"]
)
def test_a_query_that_makes_no_sense_shows_the_newest(client: Client, query: str) -> None:
    application = make_application()
    supporter(client, application)
    make_registration(application)

    assert len(client.get(list_url(application, query)).context["rows"]) == 1


def test_filters_narrow_by_platform_and_state(client: Client) -> None:
    application = make_application()
    supporter(client, application)
    make_registration(application, platform=Platform.IOS)
    muted = make_registration(application, notifications_enabled=False)
    off = make_registration(application, enabled=False)

    def found(query: str) -> set[int]:
        return {device.pk for device, _ in client.get(list_url(application, query)).context["rows"]}

    assert found("?state=muted") == {muted.pk}
    assert found("?state=disabled") == {off.pk}
    assert found("?platform=1&state=reachable") == set()
    assert found("?platform=1") == {muted.pk, off.pk}


def test_typing_fills_the_list_alone(client: Client) -> None:
    application = make_application()
    supporter(client, application)

    part = client.get(list_url(application, "?q=zzz"), headers={"HX-Request": "true"})

    assert "No device matches" in part.content.decode()
    assert "<html" not in part.content.decode()


def test_a_device_is_found_by_everything_it_is_known_by() -> None:
    application = make_application()
    person = make_person(
        external_id="ana-7", phone="491512345678", email="ana@example.com",
        first_name="Ana", last_name="Ruiz", tags=["gold card"],
    )  # fmt: skip
    device = make_registration(application, person=person)
    make_registration(application, person=make_person(external_id="other"))
    token = device.address.token

    for typed in (
        "ana-7",
        "ana",
        "+49 151 234-5678",
        "ana@example.com",
        "ana@ex",
        "Ana@Example.com ",
        str(device.address.public_id),
        str(device.address.public_id).upper(),
        str(device.address.public_id)[:13],
        "ruiz",
        "ana ru",
        "GOLD",
        token,
        token[-8:],
        "…" + token[-8:],
        "…" + token[-8:-3],
        token[-20:],
    ):
        assert finding.find(application, typed).keys == [device.pk], typed


@pytest.mark.parametrize(
    "typed", ["", " ", "\x00", "%", "_", "nobody", "123", "x" * 4096, "a' OR 1=1"]
)
def test_what_names_no_device_finds_none(typed: str) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="ana", phone="4915123"))

    assert finding.find(application, typed) == finding.Found()


def test_a_beginning_that_many_share_says_that_there_are_more(client: Client) -> None:
    application = make_application()
    supporter(client, application)
    for number in range(finding.MOST_PEOPLE + 1):
        make_registration(application, person=make_person(external_id=f"user-{number}"))

    page = client.get(list_url(application, "?q=user-"))

    assert page.context["pager"].text == f"{finding.MOST_PEOPLE} devices"
    assert "Type more" in page.content.decode()


def test_devices_of_other_applications_are_not_found() -> None:
    person = make_person(external_id="ana")
    device = make_registration(make_application(), person=person)

    assert finding.find(make_application(), "ana").keys == []
    assert finding.find(make_application(), str(device.address.public_id)).keys == []


def test_a_browsers_page_shows_its_push_service_and_not_where_it_is_reached(
    client: Client,
) -> None:
    device = make_registration(make_application(), platform=Platform.WEB)
    client.force_login(make_user(Role.SUPPORT, device.application))

    page = client.get(detail_url(device)).content.decode()

    assert "<code>updates.push.services.mozilla.com</code>" in page
    assert "/wpush/" not in page
    assert "p256dh" not in page


def test_a_device_page_shows_the_end_of_the_token_alone(client: Client) -> None:
    device = make_registration(make_application())
    supporter(client, device.application)

    page = client.get(detail_url(device)).content.decode()

    assert device.address.token[-8:] in page
    assert device.address.token[-12:] not in page


def test_a_device_page_shows_what_the_app_calls_its_user(client: Client) -> None:
    device = make_registration(make_application())
    supporter(client, device.application)
    assert "The app's user id" not in client.get(detail_url(device)).content.decode()

    Address.objects.update(application_user_id="anna-7")

    page = client.get(detail_url(device)).content.decode()
    assert "<dt>The app's user id</dt><dd>anna-7</dd>" in page


def test_a_device_page_costs_a_fixed_number_of_queries(
    client: Client, django_assert_num_queries: QueryCount
) -> None:
    application = make_application()
    person = make_person(external_id="ana", phone="4915123", attributes={"loyalty": "gold"})
    device = make_registration(application, person=person, attributes={"store": "Mitte"})
    for _ in range(4):
        make_registration(application, person=person)
    supporter(client, application)
    client.get(detail_url(device))

    with django_assert_num_queries(13):
        client.get(detail_url(device))


def test_attributes_are_shown_with_their_types(client: Client) -> None:
    device = make_registration(make_application(), attributes={"visits": 3, "new": True})
    AttributeDefinition.objects.create(
        scope=AttributeDefinition.Scope.DEVICE,
        application=device.application,
        name="visits",
        type="number",
    )
    supporter(client, device.application)

    shown = client.get(detail_url(device)).context["attributes"]

    assert [(each.name, each.type, each.value) for each in shown] == [
        ("new", "", True),
        ("visits", "Number", 3),
    ]


def test_markup_in_a_name_is_text(client: Client) -> None:
    person = make_person(first_name="<script>alert(1)</script>")
    device = make_registration(make_application(), person=person, model='"><img src=x>')
    supporter(client, device.application)

    for url in (detail_url(device), list_url(device.application)):
        page = client.get(url).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("role", "status"), [(Role.SUPPORT, 302), (Role.ADMINISTRATOR, 302), (Role.MARKETER, 403)]
)
def test_switching_a_device_is_a_right(client: Client, role: Role, status: int) -> None:
    device = make_registration(make_application())
    client.force_login(make_user(role, device.application))
    url = reverse("devices:device-switch", args=[device.application_id, device.pk])

    assert client.post(url, {"enabled": "0"}).status_code == status
    device.refresh_from_db()
    assert device.enabled is (status == 403)


def test_switching_twice_is_written_down_once(client: Client) -> None:
    device = make_registration(make_application())
    supporter(client, device.application)
    url = reverse("devices:device-switch", args=[device.application_id, device.pk])

    client.post(url, {"enabled": "0"})
    client.post(url, {"enabled": "0"})

    entry = AuditEntry.objects.get(action="switch device off")
    assert (entry.before, entry.after) == ({"enabled": True}, {"enabled": False})


def test_a_dead_address_is_not_switched_on(client: Client) -> None:
    device = make_registration(make_application(), enabled=False)
    device.address.closed_at = device.address.token_changed_at
    device.address.closed_reason = "uninstalled"
    device.address.save()
    supporter(client, device.application)

    client.post(
        reverse("devices:device-switch", args=[device.application_id, device.pk]), {"enabled": "1"}
    )

    device.refresh_from_db()
    assert not device.enabled


def closed_number(role: Role, client: Client) -> tuple[Registration, str]:
    """A device of somebody whose number is closed, and the address that opens it."""
    person = make_person(phone="4915123456")
    device = make_registration(make_application(), person=person)
    numbers.close([DeadNumber("+4915123456", ClosedNumber.Reason.OPTED_OUT, "21610")])
    client.force_login(make_user(role, device.application))
    arguments = [device.application_id, device.pk, person.identities.get().pk]
    return device, reverse("devices:number-open", args=arguments)


def test_a_closed_number_says_so_and_who_said_it(client: Client) -> None:
    device, url = closed_number(Role.SUPPORT, client)

    page = client.get(detail_url(device)).content.decode()

    assert "Its owner wants no text messages" in page
    assert "21610" in page
    assert url in page
    assert "4915123456" not in url  # addresses are logged


@pytest.mark.parametrize(("role", "status"), [(Role.SUPPORT, 302), (Role.MARKETER, 403)])
def test_opening_a_number_is_a_right_and_is_written_down(
    client: Client, role: Role, status: int
) -> None:
    _, url = closed_number(role, client)

    assert client.post(url).status_code == status
    client.post(url)

    assert bool(numbers.closed(["4915123456"])) is (status == 403)
    written = AuditEntry.objects.filter(action="open a number for text messages")
    assert [entry.before for entry in written] == [
        {"reason": "opted_out", "answer": "21610"} for _ in range(status == 302)
    ]


def test_only_a_number_of_the_devices_person_can_be_opened(client: Client) -> None:
    device, _ = closed_number(Role.SUPPORT, client)
    stranger = make_person(phone="4915199999", email="eve@shop.example")
    numbers.close([DeadNumber("4915199999", ClosedNumber.Reason.REFUSED, "")])

    for identity in stranger.identities.all():
        arguments = [device.application_id, device.pk, identity.pk]
        assert client.post(reverse("devices:number-open", args=arguments)).status_code == 404
    assert numbers.closed(["4915199999"])
