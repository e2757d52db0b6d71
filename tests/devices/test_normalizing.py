"""devices.normalizing: one spelling of what devices write in many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import normalizing
from devices.errors import TimezoneError, TokenError
from devices.models import Provider


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("GMT+03:00", 180),
        ("GMT-03:30", -210),
        ("GMT+14:00", 840),
        ("GMT+5", 300),
        ("gmt+0545", 345),
        ("UTC-01:00", -60),
        ("+02:00", 120),
        ("GMT", 0),
        ("Z", 0),
        ("", None),
    ],
)
def test_offsets_are_minutes_east_of_utc(text: str, minutes: int | None) -> None:
    assert normalizing.timezone_offset(text) == minutes


@pytest.mark.parametrize("text", ["noon", "GMT+3:0", "GMT+15:00", "GMT+01:60", "GMT+٣", "+"])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(TimezoneError, match=r"such as GMT\+03:00"):
        normalizing.timezone_offset(text)


@given(st.integers(-840, 840))
def test_an_offset_survives_being_written(minutes: int) -> None:
    assert normalizing.timezone_offset(normalizing.timezone_text(minutes)) == minutes


@pytest.mark.parametrize("token", ["ab" * 15, "ab" * 101, "ab" * 16 + "c", "xy" * 32, ""])
def test_an_apns_token_is_hexadecimal(token: str) -> None:
    with pytest.raises(TokenError):
        normalizing.token(Provider.APNS, token)


@pytest.mark.parametrize("token", ["", "a b", "a\0b", "é", "x" * 4097])
def test_other_tokens_are_printable(token: str) -> None:
    with pytest.raises(TokenError):
        normalizing.token(Provider.FCM, token)


def test_tokens_lose_the_blanks_around_them() -> None:
    assert normalizing.token(Provider.APNS, " " + "AB" * 32 + "\n") == "ab" * 32
    assert normalizing.token(Provider.FCM, " fcm:Token ") == "fcm:Token"
