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


class CertificateError(DeviceError):
    """A file that cannot be a push certificate."""

    code = "certificate"


class PasswordError(CertificateError):
    """A file of a certificate that opens with another password."""

    code = "password"
