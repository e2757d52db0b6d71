"""Register a device and refresh what is known of it."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import CharField, QuerySet
from django.utils import timezone

from devices import attributes, normalizing
from devices.attributes import JSON
from devices.errors import CustomAttributeError, UnknownPlatformError, UnknownRegistrationError
from devices.models import Address, Application, Platform, Provider, Registration
from devices.versions import pack_version


class Unsaid(Enum):
    """What a device did not speak of: it stays as it is."""

    UNSAID = "unsaid"


UNSAID: Final = Unsaid.UNSAID
T = TypeVar("T")
Said: TypeAlias = T | Unsaid

CLOUDS = {
    Platform.ANDROID: Provider.FCM,
    Platform.IOS: Provider.APNS,
    Platform.HUAWEI: Provider.HMS,
    Platform.WEB: Provider.WEBPUSH,
}
_RACES = 4  # that a call may lose before it gives up
_RACED_FOR = ("a_token_belongs_to_one_registration", "one_primary_device_per_person")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What an app says of its installation; members it does not speak of are UNSAID."""

    platform: Said[Platform] = UNSAID
    provider: Said[Provider] = UNSAID  # the cloud of the token; unsaid: the platform's own
    token: Said[str] = UNSAID  # "": there is none any more
    app_version: Said[str] = UNSAID
    os_version: Said[str] = UNSAID
    sdk_version: Said[str] = UNSAID
    language: Said[str] = UNSAID
    manufacturer: Said[str] = UNSAID
    model: Said[str] = UNSAID
    device_name: Said[str] = UNSAID
    timezone_offset: Said[int | None] = UNSAID  # minutes east of UTC
    enabled: Said[bool] = UNSAID
    notifications_enabled: Said[bool] = UNSAID
    secure: Said[bool | None] = UNSAID
    geofencing: Said[bool | None] = UNSAID
    primary: Said[bool] = UNSAID
    attributes: Said[Mapping[str, JSON] | None] = UNSAID  # merged; None: all go


_VERSIONS = ("app_version", "os_version", "sdk_version")
_OF_ADDRESS = (*_VERSIONS, "device_name")
_TEXTS = ("language", "manufacturer", "model", "device_name")
_PLAIN = (
    "platform",
    "timezone_offset",
    "enabled",
    "notifications_enabled",
    "secure",
    "geofencing",
    "primary",
)


def register(application: Application, device: Device) -> Registration:
    """Make a registration, or update the one that has this token already.

    A closed address is opened again (contract/providers.md DROP-4). Without a token the
    device is new each time. Raises DeviceError with nothing written.
    """
    _check_attributes(application, device)
    return _until_settled(lambda: _register(application, device))


def refresh(
    application: Application,
    public_id: uuid.UUID,
    device: Device,
    *,
    caller: uuid.UUID | None = None,
) -> Registration:
    """Change what a device speaks of, and keep the rest.

    A token that another registration holds moves here: the newest word counts. Another
    device (`caller`) may speak for this one when both belong to the same person.

    Raises UnknownRegistrationError and other DeviceErrors with nothing written.
    """
    _check_attributes(application, device)
    return _until_settled(lambda: _refresh(application, public_id, device, caller))


def _check_attributes(application: Application, device: Device) -> None:
    """Outside the transaction, so that a type is learned once and nobody waits for it."""
    if device.attributes and not isinstance(device.attributes, Unsaid):
        attributes.check(application, device.attributes)


def find(application: Application, public_id: uuid.UUID) -> Registration:
    """A registration with its address. Raises UnknownRegistrationError."""
    found = Registration.objects.select_related("address").filter(
        application=application, address__public_id=public_id
    )
    registration = found.first()
    if registration is None:
        raise UnknownRegistrationError("Registration not found")
    return registration


def find_key(application: Application, public_id: uuid.UUID) -> int:
    """The key of a registration, for whoever needs no more. Raises UnknownRegistrationError."""
    key = Address.objects.filter(public_id=public_id, application=application).values_list("pk")
    for (pk,) in key:
        return int(pk)
    raise UnknownRegistrationError("Registration not found")


def _until_settled(step: Callable[[], Registration]) -> Registration:
    """Repeat a step that lost a race: now the winner's row is there to be seen.

    A token never has two registrations and a person never two primary devices, however many
    calls come at once: constraints hold it.
    """
    for _ in range(_RACES):
        try:
            with transaction.atomic():
                return step()
        except IntegrityError as conflict:
            if not any(rule in str(conflict) for rule in _RACED_FOR):
                raise
    with transaction.atomic():
        return step()


def _addresses(application: Application) -> QuerySet[Address]:
    """Addresses with their registrations, both locked: a row read unlocked may be old news."""
    return (
        Address.objects.filter(application=application)
        .select_related("registration")
        .select_for_update(of=("self", "registration"))
    )


def _register(application: Application, device: Device) -> Registration:
    if isinstance(device.platform, Unsaid):
        raise UnknownPlatformError("A new device must say its platform")
    provider = CLOUDS[device.platform] if isinstance(device.provider, Unsaid) else device.provider
    token = "" if isinstance(device.token, Unsaid) else device.token
    if token:
        token = normalizing.token(provider, token)
        address = _addresses(application).filter(token_digest=normalizing.digest(token)).first()
        if address is not None:
            _save(address, device, token=token)
            return address.registration
    registration = Registration(application=application, platform=device.platform)
    address = Address(
        registration=registration,
        application=application,
        public_id=uuid.uuid4(),
        last_contact_at=timezone.now(),
    )
    _apply(address, device, provider=provider, token=token)
    registration.save(force_insert=True)
    address.save(force_insert=True)
    return registration


def _refresh(
    application: Application, public_id: uuid.UUID, device: Device, caller: uuid.UUID | None
) -> Registration:
    address = _addresses(application).filter(public_id=public_id).first()
    if address is None:
        raise UnknownRegistrationError("Registration not found")
    if caller is not None and caller != public_id:
        _check_same_person(address, caller)
    token = device.token
    if not isinstance(token, Unsaid) and token:
        provider = address.provider if isinstance(device.provider, Unsaid) else device.provider
        token = normalizing.token(provider, token)
        if normalizing.digest(token) != normalizing.digest(address.token):
            _take_away(application, token)
    _save(address, device, token=token)
    return address.registration


def _check_same_person(address: Address, caller: uuid.UUID) -> None:
    person = address.registration.person_id
    if (
        person is None
        or not Address.objects.filter(
            public_id=caller, application=address.application_id, registration__person=person
        ).exists()
    ):
        raise UnknownRegistrationError("Registration not found")


def _take_away(application: Application, token: str) -> None:
    """Part a token from the registration that holds it, which cannot be reached any more."""
    for holder in _addresses(application).filter(token_digest=normalizing.digest(token)):
        Address.objects.filter(pk=holder.pk).update(
            token="",
            token_digest=None,
            closed_at=timezone.now(),
            closed_reason=Address.Closed.REPLACED,
        )
        Registration.objects.filter(pk=holder.pk).update(enabled=False)


def _save(address: Address, device: Device, *, token: Said[str]) -> None:
    """Write the columns that changed, and that we heard of the device."""
    if isinstance(device.provider, Unsaid):  # Huawei's devices call themselves Android, too
        device = replace(device, platform=UNSAID)
    registration = address.registration
    before = _columns(registration), _columns(address)
    _apply(address, device, provider=device.provider, token=token)
    if registration.last_seen_day != address.last_contact_at.date():
        registration.last_seen_day = address.last_contact_at.date()
    if registration.primary and not before[0]["primary"] and registration.person_id is not None:
        Registration.objects.filter(
            person=registration.person_id, application=registration.application_id, primary=True
        ).update(primary=False)
    if changed := _changed(before[0], _columns(registration)):
        Registration.objects.filter(pk=registration.pk).update(**changed)
    Address.objects.filter(pk=address.pk).update(**_changed(before[1], _columns(address)))


def _columns(row: Registration | Address) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value != before[name]}


def _apply(address: Address, device: Device, *, provider: Said[Provider], token: Said[str]) -> None:
    """Put what a device says into its rows, unsaved."""
    registration = address.registration
    address.last_contact_at = timezone.now()
    if not isinstance(provider, Unsaid):
        address.provider = provider
    if not isinstance(token, Unsaid):
        _apply_token(address, token)
    for name in (*_TEXTS, *_VERSIONS):
        if (text := getattr(device, name)) is not UNSAID:
            _apply_text(address, name, text)
    for name in _PLAIN:
        if (value := getattr(device, name)) is not UNSAID:
            setattr(registration, name, value)
    if not isinstance(device.attributes, Unsaid):
        registration.attributes = _merged(registration.attributes, device.attributes)


def _apply_token(address: Address, token: str) -> None:
    address.token = token
    address.token_digest = normalizing.digest(token) if token else None
    if not token:
        return
    address.token_changed_at = address.last_contact_at  # also unchanged: it is good today
    if address.closed_at is not None:
        address.closed_at, address.closed_reason, address.closed_answer = None, "", ""
        address.registration.enabled = True


def _apply_text(address: Address, name: str, text: str) -> None:
    """Store a description; versions twice: as they came, and so that they sort."""
    registration = address.registration
    if name in _VERSIONS:
        setattr(registration, name, pack_version(text))
    row = address if name in _OF_ADDRESS else registration
    setattr(row, name, _fitting(row, name, text))


def _fitting(row: Registration | Address, name: str, text: str) -> str:
    """A description cut to its column: a phone cannot mend its own name."""
    text = text.replace("\0", "").strip()
    if name == "language":
        text = normalizing.language(text)
    column = row._meta.get_field(name)
    assert isinstance(column, CharField)
    return text[: column.max_length]


def _merged(kept: Mapping[str, JSON], given: Mapping[str, JSON] | None) -> dict[str, JSON]:
    """Attributes after a change: a value of None takes one away, None itself takes all."""
    if given is None:
        return {}
    merged = {name: value for name, value in {**kept, **given}.items() if value is not None}
    if len(merged) > attributes.MOST:
        raise CustomAttributeError(
            next(iter(given)), f"one of at most {attributes.MOST} attributes of a device"
        )
    return merged
