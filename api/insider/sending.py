"""POST /api/v2/notification/user (contract/insider.md 2 to 6)."""

import json
import uuid
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import transaction
from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone

from api import idempotency
from api.endpoint import Json, Refusal
from api.insider.attributes import (
    Told,
    identities_of,
    needs_identities,
    needs_package,
    package_of,
    push_optin,
    report,
)
from api.insider.calling import FAMILY, Call, Endpoint, json_answer
from api.insider.identifiers import named
from api.insider.payload import any_links, content_of, ttl_of
from api.insider.schemas import Notification, Options, notifications_of, read
from campaigns import capping, excluding, push_api, submitting, tasks
from campaigns.intake import Kind
from campaigns.models import Bulk
from campaigns.push_api import Described, Sent
from campaigns.rendering import PROVIDER_OF
from campaigns.submitting import Order, Target
from devices import reaching
from devices.models import (
    Application,
    Environment,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
)


class Reason(StrEnum):
    """Why somebody is not notified (4.1), first match first.

    The vendor reserves UserGloballyCappedForInapp for messages with an in-app part, which this
    call does not send.
    """

    NO_USER = "NoUserFound"
    UNREGISTERED = "Unregistered"
    OPT_OUT = "OptOut"
    BAD_CERTIFICATE = "InvalidCertificate"
    CAPPED = "UserGloballyCapped"


@dataclass(slots=True)
class Addressee:
    """Whom one notification is for, and what became of it."""

    notification: Notification
    person: int | None
    device: Registration | None
    reason: Reason | None = None
    message_id: uuid.UUID | None = None

    @property
    def identifiers(self) -> Json:
        return self.notification.identifiers or {}

    @property
    def at(self) -> Registration:
        """The device of somebody who has one."""
        assert self.device is not None
        return self.device


def send(call: Call) -> HttpResponse:
    """Done once, however often a call with an Idempotency-Key comes."""
    answer = idempotency.once(call.request, f"insider:{call.key.pk}", FAMILY, lambda: _send(call))
    headers = getattr(call.request, "answer_headers", {})
    return json_answer(answer, 202 if call.body.get("async") else 200, headers)


def _send(call: Call) -> Json:
    notifications = notifications_of(call.body)
    options = read(Options, call.body)
    credentials = _valid_credentials(call.key.application)
    if not credentials:
        text = (
            "You do not have a validated certificate. Please check Certificate section under"
            " Insider's Settings."
        )
        raise Refusal(400, "invalid_certificate", text)
    now = timezone.now()
    addressees = _find(notifications, call.key.application)
    excluded = _excluded(addressees)
    for each in addressees:
        each.reason = _refusal(each, credentials, excluded)
    with transaction.atomic():
        _cap(addressees, now)
        _submit(addressees, now)
    unsent = [each.notification for each in addressees if each.reason is not None]
    push_api.begin(map(_described, unsent), now)
    if options.wait_for_nothing:
        return {"message": "Async request accepted"}
    return _answer(addressees, options.report_attributes, credentials, now)


# ------------------------------------------------------------------- who gets it


def _valid_credentials(application: Application | None) -> list[ProviderCredential]:
    """Those of push clouds that no cloud refuses."""
    valid = ProviderCredential.objects.filter(
        ~Q(provider=Provider.SMS),
        Q(test_ok=None) | Q(test_ok=True),
        enabled=True,
        paused_at=None,
        application__enabled=True,
    )
    return list((valid.filter(application=application) if application else valid).defer("data"))


def _find(
    notifications: Sequence[Notification], application: Application | None
) -> list[Addressee]:
    people = reaching.find_people([named(each.identifiers or {}) for each in notifications])
    devices = reaching.last_active({each for each in people if each is not None}, application)
    return [
        Addressee(notification, person, devices.get(person) if person is not None else None)
        for notification, person in zip(notifications, people, strict=True)
    ]


def _excluded(addressees: Sequence[Addressee]) -> set[int]:
    """Devices that get nothing, whoever sends it."""
    devices: dict[Application, set[int]] = {}
    for each in addressees:
        if each.device is not None:
            devices.setdefault(each.device.application, set()).add(each.device.pk)
    return {
        pk for application, keys in devices.items() for pk in excluding.reasons(application, keys)
    }


def _refusal(
    addressee: Addressee, credentials: Sequence[ProviderCredential], excluded: Container[int]
) -> Reason | None:
    device = addressee.device
    if device is None:
        return Reason.NO_USER
    if device.address.closed_at is not None or not device.address.token:
        return Reason.UNREGISTERED
    if not push_optin(device) or device.pk in excluded:
        return Reason.OPT_OUT
    if not any(_carries(each, device) for each in credentials):
        return Reason.BAD_CERTIFICATE
    return None


def _carries(credential: ProviderCredential, device: Registration) -> bool:
    provider = device.address.provider or PROVIDER_OF[Platform(device.platform)]
    apple = provider == Provider.APNS
    environment = device.address.environment if apple else Environment.PRODUCTION
    return (credential.application_id, credential.provider, credential.environment) == (
        device.application_id,
        provider,
        environment,
    )


def _cap(addressees: Sequence[Addressee], now: datetime) -> None:
    """Leave out whoever had enough; their row is held, so that nobody else counts meanwhile."""
    asked: dict[Application, list[Addressee]] = {}
    for each in addressees:
        if each.reason is None and each.notification.capped and each.at.application.cap_count:
            asked.setdefault(each.at.application, []).append(each)
    if not asked:
        return
    everybody = {each.person for some in asked.values() for each in some if each.person is not None}
    reaching.hold(everybody)
    for application, some in asked.items():
        assert application.cap_count is not None
        capping.share(application.pk)
        had = push_api.counted(everybody, application, now)
        for person, number in capping.counted(everybody, application, now).items():
            had[person] = had.get(person, 0) + number
        for each in some:
            assert each.person is not None
            if had.get(each.person, 0) >= application.cap_count:
                each.reason = Reason.CAPPED
            else:
                had[each.person] = had.get(each.person, 0) + 1


# ------------------------------------------------------------------- sending


def _submit(addressees: Sequence[Addressee], now: datetime) -> None:
    """Hand what may be sent to the engine; equal pushes of one platform are one bulk."""
    together: dict[str, list[Addressee]] = {}
    for each in addressees:
        if each.reason is None:
            together.setdefault(_sort(each), []).append(each)
    if not together:
        return
    willing = [each.notification for each in addressees if each.reason is None]
    campaigns = push_api.describe(map(_described, willing), now)
    bulk_id = str(uuid.uuid4())
    orders = [_order(some, now) for some in together.values()]
    accepted = submitting.submit(bulk_id, orders, now=now)
    in_order = [each for some in together.values() for each in some]
    for each, placed in zip(in_order, accepted.placed, strict=True):
        if placed.rejection:  # the device was deleted this very moment
            each.reason = Reason.NO_USER
        else:
            each.message_id = uuid.UUID(placed.public_id)
    sent = [_sent(each) for each in in_order if each.message_id is not None]
    push_api.record(sent, campaigns, bulk_id, now)
    transaction.on_commit(tasks.send_soon)


def _sort(addressee: Addressee) -> str:
    """What addressees have in common whose pushes are one message."""
    device, notification = addressee.at, addressee.notification
    content = content_of(notification, device.platform)
    return json.dumps(
        [device.application_id, device.platform, content, ttl_of(notification)], sort_keys=True
    )


def _order(addressees: Sequence[Addressee], now: datetime) -> Order:
    first, device = addressees[0].notification, addressees[0].at
    targets = [
        Target(kind=Kind.REGISTRATION, to=public_id, value=public_id)
        for public_id in (str(each.at.address.public_id) for each in addressees)
    ]
    return Order(
        sender=device.application.application_id,
        application=device.application,
        notification=content_of(first, device.platform),
        targets=targets,
        starts_at=now,
        ttl=ttl_of(first),
        content={"type": "TEXT", "title": first.title, "text": first.message},
        reference=str(first.camp_id),
        origin=Bulk.Origin.INSIDER,
    )


def _described(notification: Notification) -> Described:
    return Described(
        camp_id=notification.camp_id,
        name=notification.camp_name,
        title=notification.title,
        message=notification.message,
        image_url=notification.image_url or "",
        deep_link=any_links(notification),
    )


def _sent(addressee: Addressee) -> Sent:
    assert addressee.person is not None
    assert addressee.message_id is not None
    return Sent(
        camp_id=addressee.notification.camp_id,
        application=addressee.at.application,
        person=addressee.person,
        message_id=addressee.message_id,
        counted=bool(addressee.notification.capped),
    )


# ------------------------------------------------------------------- the answer


def _answer(
    addressees: Sequence[Addressee],
    asked: Sequence[str] | None,
    credentials: Sequence[ProviderCredential],
    now: datetime,
) -> Json:
    names = list(dict.fromkeys(asked)) if asked is not None else None
    sent = [each for each in addressees if each.reason is None]
    people = [each.person for each in sent if each.person is not None]
    identities = identities_of(people) if needs_identities(names) else {}
    packages = _packages(sent, credentials) if needs_package(names) else {}
    successes = [
        report(
            Told(
                device=each.at,
                identities=identities.get(each.at.person_id or 0, {}),
                package=packages.get(each.at.application_id),
                today=now.date(),
            ),
            names,
        )
        for each in sent
    ]
    errors: dict[str, list[Json]] = {}
    for each in addressees:
        if each.reason is not None:
            errors.setdefault(each.reason, []).append(each.identifiers)
    return {"successes": successes, "errors": errors} | _optin(addressees)


def _packages(
    sent: Sequence[Addressee], credentials: Sequence[ProviderCredential]
) -> dict[int, str | None]:
    apple = [each.at.application for each in sent if each.at.platform == Platform.IOS]
    return {each.pk: package_of(each, credentials) for each in apple}


def _optin(addressees: Sequence[Addressee]) -> Json:
    """How many of those that were found let themselves be notified (4.2)."""
    asked = [each for each in addressees if each.notification.check_optin]
    if not asked:
        return {}
    found = [each for each in asked if each.person is not None]
    willing = sum(each.device is not None and push_optin(each.device) for each in found)
    counts = {"total": len(found), "optin_count": willing, "optout_count": len(found) - willing}
    return {"optin": counts}


notifications = Endpoint(handler=send).view()
