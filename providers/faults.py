"""What no cloud, or not this one, takes: said while composing, not while sending.

Source: contract/providers.md 2.5 and the end of 8.2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from providers.base import JSON, PushNotification
from providers.dialects import compact

MOST_ITEMS = 20  # of a carousel
HIGHEST_BADGE = 2**31 - 1
RESERVED = {"from", "message_type", "collapse_key"}
RESERVED_BEGINNINGS = ("google", "gcm")
CAROUSEL_KEYS = {"carousel", "carouselType", "carouselUrl"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field, and how to mend it."""

    field: str  # of PushNotification, with the place in it: "carousel[3].image_url"
    problem: str  # a sentence


def faults(notification: PushNotification, clouds: Collection[str]) -> list[Fault]:
    """Everything that keeps a notification from being sent through these clouds.

    `clouds` are "fcm", "apns", "hms" and "webpush".
    """
    return [
        *_shown(notification, clouds),
        *_addresses(notification),
        *_custom(notification, clouds),
        *_carousel(notification, clouds),
    ]


def _shown(notification: PushNotification, clouds: Collection[str]) -> Iterator[Fault]:
    if notification.silent and "webpush" in clouds:
        yield Fault(
            "silent",
            "A browser shows every push: leave the web out of the audience, or show something.",
        )
    badge = notification.badge
    if badge is not None and not 0 <= badge <= HIGHEST_BADGE:
        yield Fault("badge", f"The badge is a number from 0 to {HIGHEST_BADGE:,}.")
    expires = notification.in_app_expires_in
    if expires is not None and expires < 0:
        yield Fault("in_app_expires_in", "The time inside the app is a number of seconds from 0.")


def _addresses(notification: PushNotification) -> Iterator[Fault]:
    if notification.image_url and not _is_web(notification.image_url, {"https"}):
        yield Fault("image_url", "The address of an image begins with https://.")
    for field in ("browser_url", "web_view_url"):
        if (url := getattr(notification, field)) and not _is_web(url, {"https", "http"}):
            yield Fault(field, "The address of a web page begins with https://.")
    if notification.deep_link and ":" not in notification.deep_link:
        yield Fault("deep_link", "A screen has an address such as shop://sale.")


def _custom(notification: PushNotification, clouds: Collection[str]) -> Iterator[Fault]:
    custom = dict(notification.custom_payload)
    try:
        compact(custom)
    except (TypeError, ValueError):  # a set, a date; NaN, which JSON has no word for
        yield Fault("custom_payload", "The custom payload must be a JSON object.")
        return
    yield from _keys(custom, "custom_payload", clouds)
    if notification.carousel:
        for key in sorted(CAROUSEL_KEYS & set(custom)):
            yield Fault("custom_payload", f'The carousel uses the key "{key}": choose another.')


def _keys(given: dict[str, JSON], field: str, clouds: Collection[str]) -> Iterator[Fault]:
    for key in given:
        if key == "aps" and "apns" in clouds:
            yield Fault(field, 'Apple keeps the key "aps" for itself: choose another.')
        google = key in RESERVED or key.startswith(RESERVED_BEGINNINGS)
        if google and "fcm" in clouds:
            yield Fault(field, f'Google keeps the key "{key}" for itself: choose another.')


def _carousel(notification: PushNotification, clouds: Collection[str]) -> Iterator[Fault]:
    items = notification.carousel
    if len(items) > MOST_ITEMS:
        yield Fault("carousel", f"A carousel has at most {MOST_ITEMS} items, not {len(items)}.")
    if len({item.id for item in items}) < len(items):
        yield Fault("carousel", "Each item of a carousel has an id of its own.")
    for place, item in enumerate(items):
        where = f"carousel[{place}]"
        if not _is_web(item.image_url, {"https"}):
            yield Fault(f"{where}.image_url", "The address of an image begins with https://.")
        yield from _keys(dict(item.deep_links), f"{where}.deep_links", clouds)


def _is_web(url: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    blank = any(letter.isspace() for letter in url)
    return parts.scheme in schemes and bool(parts.netloc) and not blank
