"""Into a step: whom it reaches by its channel, and the chunks that send to them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import F, Q

from campaigns import excluding, merging
from campaigns.merging import MissingValueError
from campaigns.models import Bulk, Chunk, Journey, Leg, Medium, Reason
from devices import numbers
from devices.models import Identity, Provider, ProviderCredential, Registration
from providers.sms import parts

Recipients = dict[int, int]  # recipient → medium


def board(
    bulks: list[Bulk], journeys: Sequence[Journey], said: Mapping[str, Any]
) -> dict[int, Reason]:
    """Give journeys to the bulks of their step, whose rows are locked; they begin it together.

    Returns the journeys that the step cannot reach, and why.
    """
    if said["channel"] == "SMS":
        return _board_sms(bulks[0], journeys)
    return _board_push(bulks, journeys, said)


# ------------------------------------------------------------------- SMS


def _board_sms(bulk: Bulk, journeys: Sequence[Journey]) -> dict[int, Reason]:
    if bulk.origin == Bulk.Origin.CAMPAIGN:  # other systems say which number they mean
        _find_numbers(journeys)
    people = {journey.person_id for journey in journeys if journey.person_id is not None}
    excluded = excluding.people(bulk.application, people)
    closed = numbers.closings(journey.number for journey in journeys if journey.number)
    refused, able = {}, []
    for journey in journeys:
        if journey.person_id is not None and journey.person_id in excluded:
            refused[journey.pk] = excluded[journey.person_id]
        elif not journey.number:
            refused[journey.pk] = Reason.NO_NUMBER
        elif journey.number in closed:
            why = closed[journey.number].reason
            opted_out = why == closed[journey.number].Reason.OPTED_OUT
            refused[journey.pk] = Reason.OPTED_OUT if opted_out else Reason.NUMBER_REFUSED
        else:
            able.append(journey)
    texts = _texts(bulk, able)
    refused |= {journey.pk: Reason.NO_VALUE for journey in able if journey.pk not in texts}
    taken = [journey for journey in able if journey.pk in texts]
    price, currency = price_of(bulk.application_id)
    count = cache(lambda text: parts(text).count)
    for journey in taken:
        journey.parts = count(texts[journey.pk])
        journey.price, journey.currency = price, currency
    own = "merge" in bulk.content[0]
    Leg.objects.bulk_create(
        Leg(
            bulk=bulk,
            recipient=journey.pk,
            journey=journey,
            text=texts[journey.pk] if own else "",
        )
        for journey in taken
    )
    everybody = dict.fromkeys((journey.pk for journey in taken), Medium.SMS.value)
    _write(bulk, everybody, journeys[0].deadline)
    return refused


def _texts(bulk: Bulk, journeys: Sequence[Journey]) -> dict[int, str]:
    """What a text message says on each journey; nothing for whom a value of it is not known.

    It is filled in once, as the step begins: whatever is tried again says the same.
    """
    content = bulk.content[0]
    if "merge" not in content:
        return dict.fromkeys((journey.pk for journey in journeys), content["text"])
    people = {journey.person_id for journey in journeys if journey.person_id is not None}
    known = merging.values_of_people(bulk.application_id, people)
    texts: dict[int, str] = {}
    for journey in journeys:
        values = known.get(journey.person_id or 0, merging.NOBODY)
        with suppress(MissingValueError):
            texts[journey.pk] = merging.merged(content, values)["text"]
    return texts


def _find_numbers(journeys: Iterable[Journey]) -> None:
    """The numbers of people who were not given one: the first they have."""
    missing = {j.person_id: j for j in journeys if not j.number and j.person_id is not None}
    known = Identity.objects.filter(kind=Identity.Kind.PHONE, person__in=missing).order_by("-pk")
    for person_id, value in known.values_list("person_id", "value"):
        missing[person_id].number = value.removeprefix("+")[:20]


def price_of(application_id: int) -> tuple[Any, str]:
    """What a part costs by an application's gateway, where somebody has written it down."""
    credential = gateway_of(application_id)
    data = credential.data if credential is not None else {}
    return (data["price"], data["currency"]) if data.get("price") else (0, "")


def gateway_of(application_id: int) -> ProviderCredential | None:
    """The SMS gateway of an application, if it has one that is switched on."""
    return ProviderCredential.objects.filter(
        application=application_id, provider=Provider.SMS, enabled=True
    ).first()


# ------------------------------------------------------------------- push


def _board_push(
    bulks: list[Bulk], journeys: Sequence[Journey], said: Mapping[str, Any]
) -> dict[int, Reason]:
    found = devices_of(bulks[0].application_id, journeys, said)
    everybody = {pk for devices in found.values() for pk in devices}
    taken = set(
        Leg.objects.filter(bulk__in=bulks, recipient__in=everybody).values_list(
            "bulk_id", "recipient"
        )
    )
    boarding: dict[int, Recipients] = {}
    legs = []
    for journey in journeys:
        for pk, platform in found.get(journey.pk, {}).items():
            bulk = next((each for each in bulks if (each.pk, pk) not in taken), None)
            if bulk is None:
                bulk = _sibling(bulks[0])
                bulks.append(bulk)
            taken.add((bulk.pk, pk))
            boarding.setdefault(bulk.pk, {})[pk] = platform
            legs.append(Leg(bulk=bulk, recipient=pk, journey=journey))
    Leg.objects.bulk_create(legs)
    for bulk in bulks:
        _write(bulk, boarding.get(bulk.pk, {}), journeys[0].deadline)
    return {j.pk: Reason.NO_DEVICE for j in journeys if not found.get(j.pk)}


def devices_of(
    application_id: int, journeys: Sequence[Journey], said: Mapping[str, Any]
) -> dict[int, Recipients]:
    """The devices of each journey that a push step sends to (contract/omni.md 2.3)."""
    by_person: dict[int, list[int]] = {}
    by_device: dict[int, list[int]] = {}
    for journey in journeys:
        if journey.registration_id is not None:
            by_device.setdefault(journey.registration_id, []).append(journey.pk)
        elif journey.person_id is not None:
            by_person.setdefault(journey.person_id, []).append(journey.pk)
    devices = Registration.objects.filter(
        Q(person__in=by_person) | Q(pk__in=by_device), application=application_id, enabled=True
    )
    if not said.get("notifications_off_too"):
        devices = devices.filter(notifications_enabled=True)
    if said.get("primary_only"):
        devices = devices.filter(primary=True)
    for name in said.get("device_subscriptions", ()):
        devices = devices.filter(attributes__contains={name: True})
    for name in said.get("person_subscriptions", ()):
        devices = devices.filter(person__attributes__contains={name: True})
    found: dict[int, Recipients] = {}
    rows = devices.order_by("pk").values_list("pk", "person_id", "platform")
    for pk, person_id, platform in rows:
        for journey_pk in [*by_device.get(pk, ()), *by_person.get(person_id or 0, ())]:
            found.setdefault(journey_pk, {})[pk] = platform
    return found


def _sibling(bulk: Bulk) -> Bulk:
    """Another bulk of the same step, for devices that the others have already."""
    made = {
        field.attname: getattr(bulk, field.attname)
        for field in Bulk._meta.concrete_fields
        if field.attname not in ("id", "created_at", "audience", "left_out", "finished_at")
    }
    return Bulk.objects.create(**made)


# ------------------------------------------------------------------- chunks


def _write(bulk: Bulk, recipients: Recipients, deadline: datetime) -> None:
    """Chunks that may be sent at once, until the step is over.

    A step that begins later than planned has its whole time all the same, as after an outage
    that was longer than all steps together (contract/omni.md 2.3).
    """
    if not recipients:
        return
    began = deadline - timedelta(seconds=bulk.ttl)
    own = began if began > bulk.starts_at else None
    by_medium: dict[int, list[int]] = {}
    for recipient, medium in sorted(recipients.items()):
        by_medium.setdefault(medium, []).append(recipient)
    chunks = []
    for medium, everybody in by_medium.items():
        rest = iter(everybody)
        while part := list(islice(rest, settings.CHUNK_SIZE)):
            chunks.append(
                Chunk(
                    bulk=bulk, platform=medium, not_before=bulk.starts_at, starts_at=own,
                    size=len(part),
                    recipients=part, urgent=bulk.origin != Bulk.Origin.CAMPAIGN,
                )
            )  # fmt: skip
    Chunk.objects.bulk_create(chunks)
    Bulk.objects.filter(pk=bulk.pk).update(audience=F("audience") + len(recipients))
