"""A notification as it fits into what a cloud takes. Source: contract/providers.md 8.3."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace

from providers.base import PayloadTooLarge, PushNotification
from providers.dialects import carousel_items, compact, encoded

ELLIPSIS = "…"
_JOINER = "\u200d"


def fitted(
    notification: PushNotification, size_of: Callable[[PushNotification], int], limit: int
) -> PushNotification:
    """The notification, with what may be left out left out until it fits.

    Items of a carousel are fetched by the app instead, where an address for that is known.
    A text is cut only where its author allowed it; a custom payload never. `size_of` counts
    bytes of the final body. Raises PayloadTooLarge.
    """
    size = size_of(notification)
    if size <= limit:
        return notification
    if notification.carousel and notification.carousel_url:
        notification = replace(
            notification,
            carousel=(),
            image_url=first_image(notification),
        )
        size = size_of(notification)
        if size <= limit:
            return notification
    if notification.may_trim:
        trimmed = _trimmed(notification, size_of, limit)
        if trimmed is not None:
            return trimmed
    raise PayloadTooLarge(size, limit, _largest_field(notification))


def first_image(notification: PushNotification) -> str:
    """What stands for a carousel where only one picture can be shown."""
    if notification.image_url or not notification.carousel:
        return notification.image_url
    return notification.carousel[0].image_url


def _trimmed(
    notification: PushNotification, size_of: Callable[[PushNotification], int], limit: int
) -> PushNotification | None:
    """With the longest beginning of its text that fits; None when not even one letter does."""
    ends = boundaries(notification.text)
    low, high = 0, len(ends) - 1  # of `ends`: the longest cut that is known to fit lies below
    found = None
    while low <= high:
        middle = (low + high) // 2
        text = notification.text[: ends[middle]].rstrip() + ELLIPSIS
        shorter = replace(notification, text=text)
        if size_of(shorter) <= limit:
            found, low = shorter, middle + 1
        else:
            high = middle - 1
    return found


def boundaries(text: str) -> list[int]:
    """Where a text may be cut: the ends of what a reader takes for one character.

    The rules of Unicode's UAX 29 that matter for text people write: marks, joined emoji with
    their skin tones and tags, flags, Hangul syllables and line ends stay whole.
    """
    ends = []
    flags = 0  # regional indicators in a row so far
    for at in range(1, len(text)):
        before, after = text[at - 1], text[at]
        flags = flags + 1 if _is_flag(before) else 0
        if not _belongs_to(before, after, flags):
            ends.append(at)
    return [*ends, len(text)] if text else []


def _belongs_to(before: str, after: str, flags: int) -> bool:
    if _JOINER in (before, after):
        return True
    if unicodedata.category(after).startswith("M"):
        return True
    code = ord(after)
    if 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:  # skin tones, tags of a flag
        return True
    if _is_flag(after) and flags % 2 == 1:
        return True
    if before == "\r" and after == "\n":
        return True
    # Vowels and final consonants of Hangul that are not composed.
    return 0x1160 <= code <= 0x11FF and 0x1100 <= ord(before) <= 0xD7A3


def _is_flag(letter: str) -> bool:
    return 0x1F1E6 <= ord(letter) <= 0x1F1FF


def _largest_field(notification: PushNotification) -> str:
    sizes = {
        "text": len(encoded(notification.text)),
        "custom_payload": len(encoded(compact(dict(notification.custom_payload)))),
        "carousel": len(encoded(compact(carousel_items(notification)))),
    }
    return max(sizes, key=lambda name: sizes[name])
