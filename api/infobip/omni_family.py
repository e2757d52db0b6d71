"""What the calls under /omni share (contract/omni.md; errors: push.md 1.2, type B)."""

from collections.abc import Callable
from typing import Literal

from django.conf import settings

from api import limits
from api.endpoint import Family, elsewhere
from api.infobip.push_family import LOGS, SEND, family

CHANNELS = (
    "SMS", "EMAIL", "VOICE", "PUSH", "VIBER", "LINE", "VKONTAKTE", "KAKAO_CHINGU", "KAKAO_ALIM",
    "WHATSAPP",
)  # fmt: skip
Channel = Literal[
    "SMS", "EMAIL", "VOICE", "PUSH", "VIBER", "LINE", "VKONTAKTE", "KAKAO_CHINGU", "KAKAO_ALIM",
    "WHATSAPP",
]  # fmt: skip
TEN_MINUTES = 600  # seconds


def omni_family(
    call: str, most: Callable[[], int] | None = None, seconds: int = 1, *, reading: bool = False
) -> Family:
    """One path: who may send may call all of them, and who reads logs may read."""
    scopes = (*SEND, *LOGS) if reading else SEND
    usual: Callable[[], int] = lambda: settings.PUSH_CALLS_PER_SECOND  # noqa: E731
    return family(scopes, f"omni {call}", most or usual, seconds, older=True)


def take_turn(call: str, most: int) -> None:
    """Count a call of which there may be only so many in ten minutes."""
    limits.take(f"omni:{call}", most, TEN_MINUTES)


nothing = elsewhere(omni_family(""))
