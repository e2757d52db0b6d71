"""Refusals this room gives: a stable code for machines, a sentence for people."""


class DeviceError(Exception):
    """Something that cannot be known of a device. `str()` says what and how to mend it."""

    code = "device"


class UnknownRegistrationError(DeviceError):
    """No such registration in this application."""

    code = "unknown_registration"


class UnknownPlatformError(DeviceError):
    """A device that is new must say what it runs on."""

    code = "unknown_platform"


class TokenError(DeviceError):
    """A token that no cloud gives out."""

    code = "token"


class SubscriptionError(TokenError):
    """What a browser gave is no subscription, or its endpoint may not be called.

    `field` is the member, as in `keys.auth`; "" is the whole.
    """

    code = "subscription"

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"a subscription whose {field} is {expected}" if field else expected)
        self.field = field
        self.expected = expected


class TimezoneError(DeviceError):
    """An offset from UTC that cannot be read."""

    code = "timezone"


class CustomAttributeError(DeviceError):
    """A custom attribute that cannot be kept; `name` is the attribute's."""

    code = "attribute"

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"{name[:100]} should be {expected}")
        self.name = name
        self.expected = expected


class PersonError(DeviceError):
    """Something that cannot be known of a person."""

    code = "person"


class UnknownPersonError(PersonError):
    """No such person."""

    code = "unknown_person"


class NoIdentityError(PersonError):
    """Whom a device belongs to must be said by an external id, a phone or an e-mail."""

    code = "no_identity"


class ExternalIdError(PersonError):
    """An external id that cannot be kept."""

    code = "external_id"


class PhoneError(PersonError):
    """A phone number that is none; `details` says what one is."""

    code = "phone"

    def __init__(self, number: str, details: str) -> None:
        super().__init__(f"Phone number should be {details}")
        self.number = number
        self.details = details


class EmailError(PersonError):
    """An e-mail address that is none."""

    code = "email"

    def __init__(self, email: str) -> None:
        super().__init__("E-mail should be an address such as name@example.com")
        self.email = email


class ContactLimitError(PersonError):
    """More of one kind of contact than a person may have."""

    code = "contact_limit"

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{name} should be at most {most} of one person")
        self.name = name
        self.most = most


class TagError(PersonError):
    """A tag that cannot be kept."""

    code = "tag"


class AlreadyPersonalizedError(PersonError):
    """The device belongs to somebody else, and nobody said to part them."""

    code = "already_personalized"


class SeveralPeopleError(PersonError):
    """The identities belong to more than one person."""

    code = "several_people"


class IdentityTakenError(PersonError):
    """An identity belongs to another person, or the person has another external id.

    `kind` says which: 1 external id, 2 phone, 3 e-mail.
    """

    code = "identity_taken"

    def __init__(self, kind: int) -> None:
        super().__init__("This identity belongs to another person")
        self.kind = kind


class CertificateError(DeviceError):
    """A file that cannot be a push certificate."""

    code = "certificate"


class PasswordError(CertificateError):
    """A file of a certificate that opens with another password."""

    code = "password"


class NothingToUndoError(PersonError):
    """The device has changed hands since, or the entry is of something else."""

    code = "nothing_to_undo"


class TeamError(DeviceError):
    """A change of the team that would leave it without an administrator, or that came too late."""

    code = "team"
