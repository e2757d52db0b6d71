"""providers.webpush.encryption: against the RFC's own example and another implementation."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from http_ece import ECEException
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.webpush.encryption import LARGEST_BODY, LARGEST_PLAINTEXT, OVERHEAD, encrypt, seal
from providers.webpush.subscription import packed, public_key, unpacked
from tests.providers.browsers import Browser, uncompressed

# RFC 8291, appendix A.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SALT, AUTH = "DGv6ra1nlYgDCS1FRnbzlw", "BTBZMqHH6r4Tts7J_aSIgg"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_rfc_8291_byte_by_byte() -> None:
    sender = ec.derive_private_key(int.from_bytes(unpacked(SENDER), "big"), ec.SECP256R1())

    body = encrypt(
        PLAINTEXT + b"\2",
        public_key(unpacked(BROWSER)),
        unpacked(AUTH),
        sender=sender,
        salt=unpacked(SALT),
    )

    assert packed(body) == BODY


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=LARGEST_PLAINTEXT))
def test_another_implementation_reads_what_was_sealed(plaintext: bytes) -> None:
    browser = Browser()

    body = seal(plaintext, browser.key.public_key(), browser.auth)

    assert browser.decrypt(body) == plaintext
    assert len(body) <= LARGEST_BODY


def test_the_length_says_little_and_never_passes_what_services_take() -> None:
    browser = Browser()

    def length(size: int) -> int:
        return len(seal(b"x" * size, browser.key.public_key(), browser.auth))

    assert length(1) == length(127) == length(128) == 128 + OVERHEAD
    assert length(129) == 256 + OVERHEAD
    assert length(3968) == 3968 + OVERHEAD
    assert length(3969) == length(LARGEST_PLAINTEXT) == LARGEST_BODY


def test_no_two_messages_share_a_key_or_a_salt() -> None:
    browser = Browser()

    first, second = (seal(b"same", browser.key.public_key(), browser.auth) for _ in range(2))

    assert first[:16] != second[:16]
    assert first[21:86] != second[21:86]
    assert first[86:] != second[86:]


def test_only_the_browser_it_was_made_for_can_read_it() -> None:
    browser = Browser()
    body = seal(b"for you alone", browser.key.public_key(), browser.auth)
    stranger = Browser(auth=browser.auth)
    assert uncompressed(stranger.key.public_key()) != uncompressed(browser.key.public_key())

    with pytest.raises(ECEException, match="InvalidTag"):
        stranger.decrypt(body)
