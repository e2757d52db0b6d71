"""Everything this room knows of a person, for them to take along."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from devices import personalizing
from devices.models import Application, AuditEntry, Event, Person, Registration

PIECE = 1000  # rows of one statement


def profile(person: Person) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(person).items()
        if not name.startswith("_") and name != "id"
    }


def identities(person: Person) -> list[dict[str, Any]]:
    return [
        {"kind": each.get_kind_display(), "value": each.value} for each in person.identities.all()
    ]


def devices(person: Person, application: Application) -> list[Registration]:
    """Those of one application: an installation's people belong to all of them."""
    mine = Registration.objects.filter(person=person, application=application)
    return list(mine.select_related("address").order_by("pk"))


def described(device: Registration) -> dict[str, Any]:
    """A device without its token, which is of use to senders alone."""
    address = device.address
    return {
        "registration_id": address.public_id,
        "platform": device.get_platform_display(),
        "model": f"{device.manufacturer} {device.model}".strip(),
        "name": address.device_name,
        "application_user_id": address.application_user_id,
        "app_version": address.app_version,
        "os_version": address.os_version,
        "language": device.language,
        "enabled": device.enabled,
        "notifications_enabled": device.notifications_enabled,
        "primary": device.primary,
        "attributes": device.attributes,
        "created_at": device.created_at,
        "last_contact_at": address.last_contact_at,
    }


def changes(person: Person) -> list[dict[str, Any]]:
    """What the audit trail says of them, newest first."""
    trail = AuditEntry.objects.filter(object_type="person", object_id=str(person.pk))
    told = trail.values("at", "actor_name", "action", "before", "after")
    return [dict(entry) for entry in told]


def events(person: Person, application: Application) -> Iterator[dict[str, Any]]:
    """What their apps told, oldest first; also before it was known who they are."""
    selves = [person.pk, *personalizing.merged_into(person.pk)]
    told = Event.objects.filter(person__in=selves, application=application).order_by("at", "id")
    after = told
    while rows := list(after[:PIECE]):
        for event in rows:
            yield {
                "at": event.at,
                "kind": event.get_kind_display(),
                "name": event.name,
                "properties": event.properties,
            }
        last = rows[-1]
        after = told.filter(Q(at__gt=last.at) | Q(at=last.at, id__gt=last.id))
