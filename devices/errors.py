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
