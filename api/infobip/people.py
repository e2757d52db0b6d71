"""People and their devices as Infobip's people APIs write them (contract/people.md 2, 7)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from api.endpoint import Json
from devices import normalizing
from devices.models import Identity, Person, Platform, Provider, Registration

CLOUD_NAMES = {
    Provider.FCM: "GCM",
    Provider.APNS: "APNS",
    Provider.HMS: "HMS",
    Provider.WEBPUSH: "WEB",
}
OS_NAMES = {Platform.ANDROID: "Android", Platform.HUAWEI: "Android", Platform.IOS: "iOS"}


@dataclass(slots=True)
class Contacts:
    """By what a person is known."""

    external_id: str = ""
    phones: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)


def contacts_of(people: Sequence[Person]) -> dict[int, Contacts]:
    """By what each of these people is known, in one query."""
    found = {person.pk: Contacts() for person in people}
    identities = Identity.objects.filter(person__in=found).order_by("kind", "pk")
    for person_id, kind, value in identities.values_list("person_id", "kind", "value"):
        contacts = found[person_id]
        match kind:
            case Identity.Kind.EXTERNAL_ID:
                contacts.external_id = value
            case Identity.Kind.PHONE:
                contacts.phones.append(value)
            case _:
                contacts.emails.append(value)
    return found


def registration_json(registration: Registration) -> Json:
    """A registration with its address and application (2); what is not known is left out."""
    address = registration.address
    system: Json = {
        "cloudType": CLOUD_NAMES.get(Provider(address.provider)),
        "registrationEnabled": registration.enabled,
        "notificationsEnabled": registration.notifications_enabled,
        "geofencingSdk": registration.geofencing,
        "sdkVersion": address.sdk_version or None,
        "appVersion": address.app_version or None,
        "os": OS_NAMES.get(Platform(registration.platform)),
        "osVersion": address.os_version or None,
        "deviceManufacturer": registration.manufacturer or None,
        "deviceModel": registration.model or None,
        "deviceSecure": registration.secure,
        "osLanguage": registration.language or None,
        "deviceTimezoneOffset": normalizing.timezone_text(registration.timezone_offset) or None,
        "deviceName": address.device_name or None,
    }
    told: Json = {
        "registrationId": str(address.public_id),
        "applicationId": registration.application.application_id,
        "isPrimary": registration.primary,
    }
    if registration.attributes:
        told["additionalData"] = registration.attributes
    told["systemData"] = {name: value for name, value in system.items() if value is not None}
    return told
