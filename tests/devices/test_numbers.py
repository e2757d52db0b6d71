"""devices.numbers: phone numbers that no text message goes to."""

import pytest
from django.db import IntegrityError, transaction

from devices import numbers
from devices.models import ClosedNumber
from devices.numbers import DeadNumber
from tests.factories import make_person

pytestmark = pytest.mark.django_db
OPTED_OUT, REFUSED = ClosedNumber.Reason.OPTED_OUT, ClosedNumber.Reason.REFUSED


def test_a_closed_number_is_left_out_with_and_without_its_plus() -> None:
    numbers.close([DeadNumber("+41793026727", OPTED_OUT, "21610")])

    assert numbers.closed(["41793026727", "41793026728"]) == {"41793026727"}
    kept = ClosedNumber.objects.get()
    assert (kept.reason, kept.answer) == (OPTED_OUT, "21610")


def test_the_first_word_about_a_number_stays() -> None:
    assert numbers.close([DeadNumber("41793026727", OPTED_OUT, "first")]) == 1
    again = [DeadNumber("41793026727", REFUSED, "second"), DeadNumber("41793026728", REFUSED, "x")]

    assert numbers.close(again) == 1

    assert ClosedNumber.objects.get(pk="41793026727").answer == "first"


def test_a_number_stays_closed_when_its_owner_is_erased_and_comes_back() -> None:
    make_person(phone="41793026727").delete()
    numbers.close([DeadNumber("41793026727", OPTED_OUT, "")])
    make_person(phone="41793026727")

    assert numbers.closed(["41793026727"])


def test_a_number_can_be_opened_again() -> None:
    numbers.close([DeadNumber("41793026727", REFUSED, "")])

    assert numbers.reopen("+41793026727")
    assert not numbers.reopen("41793026727")
    assert not numbers.closed(["41793026727"])


@pytest.mark.parametrize("number", ["", "+", "Shop", "0041793026727", "1" * 16, "4179302672٧"])
def test_what_is_no_number_is_left_out(number: str) -> None:
    assert numbers.close([DeadNumber(number, REFUSED, "")]) == 0


@pytest.mark.parametrize("number", ["", "+41793026727", "041793026727", "1234"])
def test_the_database_keeps_nothing_but_digits(number: str) -> None:
    with pytest.raises(IntegrityError, match="closed_number_is_digits"), transaction.atomic():
        ClosedNumber.objects.create(number=number, reason=REFUSED)
