"""What a success reports of a person and their device (contract/insider.md 4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from devices import normalizing
from devices.models import (
    Address,
    Application,
    Environment,
    Identity,
    Person,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
)

PREFIX = "INSIDER."
TOKEN = f"{PREFIX}device_token"
CUSTOM = ("idfa", "carrier", "screen_width", "screen_height", "last_ip", "location_enabled")
PLATFORMS = {
    Platform.ANDROID: "Android",
    Platform.IOS: "iOS",
    Platform.HUAWEI: "Android",
    Platform.WEB: "Web",
}


def push_optin(device: Registration) -> bool:
    """Whether somebody lets themselves be notified there."""
    assert device.person is not None
    consent = device.person.attributes.get("push_optin") is not False
    return consent and device.enabled and device.notifications_enabled


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody who is notified, and where."""

    device: Registration
    identities: Mapping[int, str]  # kind → the first of its values
    package: str | None
    today: date

    @property
    def person(self) -> Person:
        assert self.device.person is not None
        return self.device.person

    @property
    def address(self) -> Address:
        return self.device.address

    def optin(self, name: str, *, usual: bool) -> bool:
        said = self.person.attributes.get(name, usual)
        return said if isinstance(said, bool) else usual

    def of_device(self, name: str) -> Any:
        """What an app told of its device under this name."""
        return self.device.attributes.get(name, self.person.attributes.get(name))


def report(told: Told, names: Sequence[str] | None) -> dict[str, Any]:
    """Exactly the attributes that are asked for; null for what nobody knows."""
    if names is None:
        return {TOKEN: ATTRIBUTES["device_token"](told) or None}
    return {name: _value(told, name) for name in names}


def _value(told: Told, name: str) -> Any:
    known = ATTRIBUTES.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    value = known(told) if known else None
    return None if value == "" else value


def _age(told: Told) -> int | None:
    born, today = told.person.birthday, told.today
    if born is None:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _environment(told: Told) -> str:
    sandbox = told.address.environment == Environment.SANDBOX
    return "development" if sandbox and told.device.platform == Platform.IOS else "production"


def _phone(told: Told) -> str:
    number = told.identities.get(Identity.Kind.PHONE, "")
    return f"+{number}" if number else ""


def _birthday(told: Told) -> str:
    born = told.person.birthday
    return f"{born.isoformat()}T00:00:00Z" if born else ""


ATTRIBUTES: Mapping[str, Callable[[Told], Any]] = {
    "name": lambda told: told.person.first_name,
    "surname": lambda told: told.person.last_name,
    "gender": lambda told: told.person.gender[:1],
    "age": _age,
    "birthday": _birthday,
    "email": lambda told: told.identities.get(Identity.Kind.EMAIL),
    "phone_number": _phone,
    "language": lambda told: told.person.preferred_language,
    "email_optin": lambda told: told.optin("email_optin", usual=True),
    "sms_optin": lambda told: told.optin("sms_optin", usual=True),
    "push_optin": lambda told: push_optin(told.device),
    "location_optin": lambda told: told.optin("location_optin", usual=False),
    "insider_id": lambda told: str(told.person.pk),
    "environment": _environment,
    "device_token": lambda told: told.address.token,
    "udid": lambda told: str(told.address.public_id),
    "model": lambda told: told.device.model,
    "app_version": lambda told: told.address.app_version,
    "os_version": lambda told: told.address.os_version,
    "platform": lambda told: PLATFORMS[Platform(told.device.platform)],
    "timezone": lambda told: normalizing.timezone_text(told.device.timezone_offset),
    "device_language": lambda told: told.device.language,
    "sdk_version": lambda told: told.address.sdk_version,
    "package_name": lambda told: told.package,
    "push_enabled": lambda told: told.device.notifications_enabled,
    **{name: (lambda told, name=name: told.of_device(name)) for name in CUSTOM},  # type: ignore[misc]
}


def needs_identities(names: Sequence[str] | None) -> bool:
    return bool({f"{PREFIX}email", f"{PREFIX}phone_number"} & set(names or ()))


def needs_package(names: Sequence[str] | None) -> bool:
    return f"{PREFIX}package_name" in (names or ())


def identities_of(people: Sequence[int]) -> dict[int, dict[int, str]]:
    """Of each person the first identity of each kind."""
    found: dict[int, dict[int, str]] = {}
    rows = Identity.objects.filter(person__in=people).order_by("pk")
    for person, kind, value in rows.values_list("person_id", "kind", "value"):
        found.setdefault(person, {}).setdefault(kind, value)
    return found


def package_of(application: Application, credentials: Sequence[ProviderCredential]) -> str | None:
    """The bundle id that Apple knows an application by; no other cloud tells us one."""
    for each in credentials:
        if each.application_id == application.pk and each.provider == Provider.APNS:
            topic = each.data.get("topic")
            return topic if isinstance(topic, str) else None
    return None
