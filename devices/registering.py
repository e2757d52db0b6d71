"""Register a device and refresh what is known of it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import CharField, QuerySet
from django.utils import timezone

from devices import attributes, audit, contacting, inserting, normalizing
from devices.attributes import JSON
from devices.audit import Author
from devices.contacting import Contact
from devices.errors import TokenError, UnknownPlatformError, UnknownRegistrationError
from devices.models import Address, Application, Platform, Provider, Registration
from devices.personalizing.copies import check_same_person, primary_of, yield_primary
from devices.racing import Raced, until_settled
from devices.unsaid import UNSAID, Said, Unsaid
from devices.versions import pack_version

CLOUDS = {
    Platform.ANDROID: Provider.FCM,
    Platform.IOS: Provider.APNS,
    Platform.HUAWEI: Provider.HMS,
    Platform.WEB: Provider.WEBPUSH,
}
_RACED_FOR = ("a_token_belongs_to_one_registration", "one_primary_device_per_person")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What an app says of its installation; members it does not speak of are UNSAID."""

    platform: Said[Platform] = UNSAID
    provider: Said[Provider] = UNSAID  # the cloud of the token; unsaid: the platform's own
    kind: Address.Kind = Address.Kind.TOKEN  # of the token, where the cloud has several
    token: Said[str] = UNSAID  # "": there is none any more
    app_version: Said[str] = UNSAID
    os_version: Said[str] = UNSAID
    sdk_version: Said[str] = UNSAID
    language: Said[str] = UNSAID
    manufacturer: Said[str] = UNSAID
    model: Said[str] = UNSAID
    device_name: Said[str] = UNSAID
    application_user_id: Said[str] = UNSAID
    timezone_offset: Said[int | None] = UNSAID  # minutes east of UTC
    enabled: Said[bool] = UNSAID
    notifications_enabled: Said[bool] = UNSAID
    secure: Said[bool | None] = UNSAID
    geofencing: Said[bool | None] = UNSAID
    primary: Said[bool] = UNSAID
    attributes: Said[Mapping[str, JSON] | None] = UNSAID  # merged; None: all go


_VERSIONS = ("app_version", "os_version", "sdk_version")
_ADDRESS_ALONE = ("device_name", "application_user_id")
_OF_ADDRESS = (*_VERSIONS, *_ADDRESS_ALONE)
_TEXTS = ("language", "manufacturer", "model", *_ADDRESS_ALONE)
_PLAIN = (
    "platform",
    "timezone_offset",
    "enabled",
    "notifications_enabled",
    "secure",
    "geofencing",
    "primary",
)
_OF_REGISTRATION = tuple(
    name for name in (*_TEXTS, *_VERSIONS, *_PLAIN) if name not in {*_ADDRESS_ALONE, "primary"}
)


def register(application: Application, device: Device) -> Registration:
    """Make a registration, or update the one that has this token already.

    A closed address is opened again (contract/providers.md DROP-4). Without a token the
    device is new each time. Raises DeviceError with nothing written.
    """
    _check_attributes(application, device)
    address = _new(application, device)
    if address.token:  # an app says the same at each start: a device is new only once
        known = contacting.note(_contact("token_digest", address, device))
        if known is not None:
            return known
    if inserting.insert(address):
        return address.registration
    return until_settled(partial(_register, application, device, address), rules=_RACED_FOR)


def refresh(
    application: Application,
    public_id: uuid.UUID,
    device: Device,
    *,
    caller: uuid.UUID | None = None,
    author: Author | None = None,
) -> Registration:
    """Change what a device speaks of, and keep the rest.

    A token that another registration holds moves here: the newest word counts. Another
    device (`caller`) may speak for this one when both belong to the same person. When an
    `author` does, nothing was heard of the device itself, and the audit trail says who.

    Raises UnknownRegistrationError and other DeviceErrors with nothing written.
    """
    _check_attributes(application, device)
    if author is None and caller in {None, public_id}:
        heard = _of_known(application, public_id, device)
        if heard is not None and (registration := contacting.note(heard)) is not None:
            return registration
    return until_settled(
        partial(_refresh, application, public_id, device, caller, author), rules=_RACED_FOR
    )


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
    with connection.cursor() as cursor:  # asked with each receipt: the ORM takes as long again
        cursor.execute(
            "SELECT registration_id FROM devices_address"
            " WHERE public_id = %s AND application_id = %s",
            [public_id, application.pk],
        )
        found = cursor.fetchone()
    if found is None:
        raise UnknownRegistrationError("Registration not found")
    return int(found[0])


def _addresses(application: Application) -> QuerySet[Address]:
    """Addresses with their registrations, both locked: a row read unlocked may be old news."""
    return (
        Address.objects.filter(application=application)
        .select_related("registration")
        .select_for_update(of=("self", "registration"))
    )


def _new(application: Application, device: Device) -> Address:
    """What a device nobody knows says of itself, unsaved."""
    if isinstance(device.platform, Unsaid):
        raise UnknownPlatformError("A new device must say its platform")
    provider = CLOUDS[device.platform] if isinstance(device.provider, Unsaid) else device.provider
    token = "" if isinstance(device.token, Unsaid) else device.token
    registration = Registration(application=application, platform=device.platform)
    address = Address(
        registration=registration,
        application=application,
        public_id=uuid.uuid4(),
        last_contact_at=timezone.now(),
    )
    token = normalizing.token(provider, token) if token else ""
    _apply(address, device, provider=provider, token=token)
    return address


def _of_known(application: Application, public_id: uuid.UUID, device: Device) -> Contact | None:
    """What a device with this id says, unless its token asks for a look at the one it has."""
    address = Address(
        registration=Registration(application=application),
        application=application,
        public_id=public_id,
        last_contact_at=timezone.now(),
    )
    token = device.token
    if not isinstance(token, Unsaid):
        if not token or isinstance(device.provider, Unsaid):
            return None
        try:
            token = normalizing.token(device.provider, token)
        except TokenError:
            return None  # said after it is known whether there is such a device
    _apply(address, replace(device, attributes=UNSAID), provider=device.provider, token=token)
    return _contact("public_id", address, device)


def _contact(by: str, address: Address, device: Device) -> Contact:
    """What a device that is known by a column says: its values stand in `address`, unsaved."""
    said = {name for name in (*_TEXTS, *_VERSIONS, *_PLAIN) if getattr(device, name) is not UNSAID}
    of_address = ["last_contact_at", *(name for name in _OF_ADDRESS if name in said)]
    if not isinstance(device.token, Unsaid):
        of_address.append("token_changed_at")
    if isinstance(device.provider, Unsaid):  # Huawei's devices call themselves Android, too
        said.discard("platform")
    else:
        of_address += ["provider", "kind"]
    address.registration.last_seen_day = address.last_contact_at.date()
    return Contact(
        by=by,
        address=address,
        of_address=tuple(of_address),
        of_registration=("last_seen_day", *(name for name in _OF_REGISTRATION if name in said)),
        with_token=not isinstance(device.token, Unsaid),
        primary=device.primary,
        attributes=device.attributes,
    )


def _register(application: Application, device: Device, new: Address) -> Registration:
    """Update the registration that has the token of a new one."""
    address = _addresses(application).filter(token_digest=new.token_digest).first()
    if address is not None:
        _save(address, device, token=new.token)
        return address.registration
    if not inserting.insert(new):  # the token was gone in between, and came again
        raise Raced
    return new.registration


def _refresh(
    application: Application,
    public_id: uuid.UUID,
    device: Device,
    caller: uuid.UUID | None,
    author: Author | None,
) -> Registration:
    address = _addresses(application).filter(public_id=public_id).first()
    if address is None:
        raise UnknownRegistrationError("Registration not found")
    if caller is not None and caller != public_id:
        check_same_person(address.registration, caller)
    token = device.token
    if not isinstance(token, Unsaid) and token:
        provider = address.provider if isinstance(device.provider, Unsaid) else device.provider
        token = normalizing.token(provider, token)
        if normalizing.digest(token) != normalizing.digest(address.token):
            _take_away(application, token)
    _save(address, device, token=token, author=author)
    return address.registration


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


def _save(
    address: Address, device: Device, *, token: Said[str], author: Author | None = None
) -> None:
    """Write the columns that changed, and that we heard of the device."""
    if isinstance(device.provider, Unsaid):  # Huawei's devices call themselves Android, too
        device = replace(device, platform=UNSAID)
    registration = address.registration
    before = _columns(registration), _columns(address)
    if author is None:
        address.last_contact_at = timezone.now()
        if registration.last_seen_day != address.last_contact_at.date():
            registration.last_seen_day = address.last_contact_at.date()
    _apply(address, device, provider=device.provider, token=token)
    yielded = None
    if registration.primary and not before[0]["primary"]:
        yielded = primary_of(registration)
        yield_primary(registration)
    if changed := _changed(before[0], _columns(registration)):
        Registration.objects.filter(pk=registration.pk).update(**changed)
        if author is not None:
            was = {name: before[0][name] for name in changed}
            if yielded is not None:
                was["primary_was"] = yielded
            audit.note(author, "change device", registration, before=was, after=changed)
    if moved := _changed(before[1], _columns(address)):
        Address.objects.filter(pk=address.pk).update(**moved)


def _columns(row: Registration | Address) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value != before[name]}


def _apply(address: Address, device: Device, *, provider: Said[Provider], token: Said[str]) -> None:
    """Put what a device says into its rows, unsaved."""
    registration = address.registration
    if not isinstance(provider, Unsaid):
        address.provider, address.kind = provider, device.kind
    if not isinstance(token, Unsaid):
        _apply_token(address, token)
    for name in (*_TEXTS, *_VERSIONS):
        if (text := getattr(device, name)) is not UNSAID:
            _apply_text(address, name, text)
    for name in _PLAIN:
        if (value := getattr(device, name)) is not UNSAID:
            setattr(registration, name, value)
    if not isinstance(device.attributes, Unsaid):
        registration.attributes = attributes.merged(registration.attributes, device.attributes)


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
