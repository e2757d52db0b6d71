"""Devices that are personalized by a system, and whose they are then."""

from typing import Any

from devices import personalizing
from devices.audit import Author
from devices.models import Person, Registration
from devices.personalizing import Choice, Described, Identities

SYSTEM = Author("system")
ANNA: dict[str, Any] = {
    "external_id": "anna",
    "phones": ["79810000000"],
    "emails": ["Anna@Example.com"],
}


def known_by(person: Person) -> list[str]:
    return list(person.identities.values_list("value", flat=True))


def personalize(
    device: Registration, *, attributes: dict[str, Any] | None = None, **given: Any
) -> Person:
    """Personalize by identities; `force`, `keep_as_lead` and `primary` are the choice."""
    identities = {
        name: given.pop(name) for name in ("external_id", "phones", "emails") if name in given
    }
    return personalizing.personalize(
        device.application,
        device.address.public_id,
        Identities.of(**identities),
        SYSTEM,
        described=Described(adding=True, **(attributes or {})),
        choice=Choice(**given),
    )


def depersonalize(device: Registration) -> bool:
    return personalizing.depersonalize(device.application, device.address.public_id, SYSTEM)


def owner_of(device: Registration) -> Person | None:
    return Registration.objects.select_related("person").get(pk=device.pk).person
