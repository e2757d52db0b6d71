"""providers.sms.parts: how many SMS a text takes. Source: contract/providers.md 6."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import PushNotification
from providers.sms import Encoding, Price, SmsPayload, TooManyParts, parts

# Written anew, in the order of 3GPP TS 23.038: 0x00 to 0x7F without the escape at 0x1B.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå" "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ" " !\"#¤%&'()*+,-./" "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO" "PQRSTUVWXYZÄÖÑÜ§" "¿abcdefghijklmno" "pqrstuvwxyzäöñüà"
)  # fmt: skip
EXTENSION = "\f^{}\\[~]|€"


@pytest.mark.parametrize(
    ("text", "encoding", "count"),
    [
        ("", Encoding.GSM_7, 0),
        ("a", Encoding.GSM_7, 1),
        ("a" * 160, Encoding.GSM_7, 1),
        ("a" * 161, Encoding.GSM_7, 2),
        ("a" * 306, Encoding.GSM_7, 2),
        ("a" * 307, Encoding.GSM_7, 3),
        ("€" * 80, Encoding.GSM_7, 1),
        ("€" * 81, Encoding.GSM_7, 2),
        ("€" * 152, Encoding.GSM_7, 2),  # 76 a part: the 153rd septet stays empty
        ("€" * 153, Encoding.GSM_7, 3),
        ("я" * 70, Encoding.UCS_2, 1),
        ("я" * 71, Encoding.UCS_2, 2),
        ("я" * 134, Encoding.UCS_2, 2),
        ("я" * 135, Encoding.UCS_2, 3),
        ("😀" * 35, Encoding.UCS_2, 1),
        ("😀" * 36, Encoding.UCS_2, 2),
        ("😀" * 66, Encoding.UCS_2, 2),  # 33 a part: a pair is not torn
        ("😀" * 67, Encoding.UCS_2, 3),
        ("ç", Encoding.UCS_2, 1),  # only the capital is in the alphabet
        ("Ç", Encoding.GSM_7, 1),
        ("\x1b", Encoding.UCS_2, 1),
    ],
)
def test_a_text_takes_so_many_parts(text: str, encoding: Encoding, count: int) -> None:
    reckoned = parts(text)

    assert (reckoned.encoding, reckoned.count) == (encoding, count)


def reckon(text: str) -> tuple[str, int]:
    """Cut a text into parts, as bytes of its encoding, and count them."""
    if set(text) <= set(BASIC + EXTENSION):
        name, single, several = "GSM-7", 160, 153
        pieces = [f"\x1b{one}" if one in EXTENSION else one for one in text]
    else:
        name, single, several = "UCS-2", 140, 134
        pieces = [one.encode("utf-16-be").decode("latin-1") for one in text]
    whole = "".join(pieces)
    if len(whole) <= single:
        return name, min(len(whole), 1)
    cut = [""]
    for piece in pieces:
        if len(cut[-1] + piece) > several:
            cut.append("")
        cut[-1] += piece
    return name, len(cut)


@given(
    st.one_of(
        st.text(st.sampled_from(BASIC + EXTENSION), max_size=700),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
        st.text(st.sampled_from("aя😀€"), max_size=400),
    )
)
def test_counting_agrees_with_cutting(text: str) -> None:
    reckoned = parts(text)

    assert (str(reckoned.encoding), reckoned.count) == reckon(text)


def test_the_whole_alphabet_is_known() -> None:
    assert len(BASIC) == 127
    assert parts(BASIC).encoding is Encoding.GSM_7
    assert parts(BASIC).units == 127
    assert parts(EXTENSION).units == 20


def test_more_than_ten_parts_are_refused() -> None:
    assert SmsPayload("a" * 1530, "Shop").parts.count == 10

    with pytest.raises(TooManyParts, match="takes 11 SMS; at most 10") as refusal:
        SmsPayload("a" * 1531, "Shop")

    assert (refusal.value.size, refusal.value.limit) == (11, 10)


def test_a_price_is_exact() -> None:
    price = Price(Decimal("0.0075"), "EUR")

    assert price.of(3) * 1000 == Decimal("22.5")


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert SmsPayload("a\ud83d", "Shop").text == "a?"
    assert PushNotification(text="x").sender == ""
