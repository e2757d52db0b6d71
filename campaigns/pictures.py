"""What keeps devices from showing a picture, told before anybody gets it.

A picture is loaded once and remembered for a while. What was found is told as a warning: devices
load it later, by themselves. Only what is no picture at all keeps a campaign from being launched.
"""

import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache

from campaigns import channels
from campaigns.errors import CampaignError
from campaigns.rendering import PROVIDER_OF
from devices.models import Application, Platform
from providers import loop
from providers.pictures import MOST, SECONDS, Kind, Picture, load

REMEMBERED = 600  # seconds
AT_ONCE = 2  # pictures that a process loads: its other threads answer pages meanwhile
SEEN_AT_LEAST = 0.5  # of a picture, or it is badly cropped
SHAPE = 2.0  # width to height of what Android shows of an expanded push


class BusyError(CampaignError):
    """Other pictures are being looked at; ask again in a moment."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Screen:
    """What a platform shows."""

    kinds: frozenset[str]
    most: int | None  # bytes


# iOS: Apple, UNNotificationAttachment, "Supported File Types". Android: contract/providers.md 2.3.
# Huawei: contract/providers.md 4.3, "< 512 KB", which names no kinds; those of Android are taken.
# Browsers show what they show on pages. A KB is taken for 1000 bytes, which is safe either way.
SCREENS: dict[Platform, Screen] = {
    Platform.IOS: Screen(frozenset({Kind.JPEG, Kind.PNG, Kind.GIF}), 10_000_000),
    Platform.ANDROID: Screen(frozenset({Kind.JPEG, Kind.PNG, Kind.BMP}), 1_000_000),
    Platform.HUAWEI: Screen(frozenset({Kind.JPEG, Kind.PNG, Kind.BMP}), 512_000),
    Platform.WEB: Screen(frozenset(set(Kind) - {Kind.HEIC}), None),
}

_loading = threading.BoundedSemaphore(AT_ONCE)


def check(url: str, *, again: bool = False) -> Picture:
    """What is at an address: as it was found lately, or `again` loaded now.

    Raises BusyError while the process loads others.
    """
    key = _key(url)
    stored = None if again else cache.get(key)
    if stored is not None:
        return Picture(**stored)
    if not _loading.acquire(blocking=False):
        raise BusyError("Other pictures are looked at now.")
    try:
        networks = [ip_network(each) for each in settings.WEBHOOK_NETWORKS]
        loading = load(url, allowed=networks, proxy=settings.PROXY_URL or None)
        found = loop.submit(loading).result(timeout=SECONDS + 2)
    except TimeoutError:
        found = Picture(problem=f"no answer within {SECONDS:.0f} seconds")
    finally:
        _loading.release()
    cache.set(key, asdict(found), REMEMBERED)
    return found


def known(urls: Iterable[str]) -> dict[str, Picture]:
    """Those of these pictures that were looked at lately."""
    keys = {_key(url): url for url in urls}
    found = cache.get_many(list(keys)) if keys else {}
    return {keys[key]: Picture(**stored) for key, stored in found.items()}


def _key(url: str) -> str:
    return f"picture:{hashlib.sha256(url.encode()).hexdigest()}"


def platforms_of(application: Application) -> list[Platform]:
    """Those that the application can send to; all, before it has any credential."""
    have = {provider for provider, _ in channels.credentials_of(application.pk)}
    return [each for each in SCREENS if PROVIDER_OF[each] in have] or list(SCREENS)


def is_none(picture: Picture) -> bool:
    """Whether what is there is no picture: then no device can show it."""
    return picture.status == 200 and not picture.kind


def is_secure(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def faults(picture: Picture, platforms: Collection[Platform], *, card: bool) -> Iterator[str]:
    """What is wrong with it, the worst first; a `card` is drawn by the app, as it is."""
    if picture.problem:
        yield f"It could not be loaded: {picture.problem}. Devices load it from the internet."
    elif picture.status != 200:
        what = "there is nothing at this address" if picture.status in (404, 410) else "no picture"
        yield f"Its server answers {picture.status}: {what}. Pushes would be shown without it."
    elif is_none(picture):
        called = f" but {picture.named}" if picture.named and picture.named != "image" else ""
        yield f"This is no picture{called}. No device can show it."
    else:
        yield from _unknown_kind(picture, platforms)
        yield from _too_large(picture, platforms)
        if not card and Platform.ANDROID in platforms:
            yield from _cropped(picture)


def _unknown_kind(picture: Picture, platforms: Collection[Platform]) -> Iterator[str]:
    blind = [each.label for each in platforms if picture.kind not in SCREENS[each].kinds]
    if blind:
        verb = "shows" if len(blind) == 1 else "show"
        yield f"{_listed(blind)} {verb} no {picture.kind}. JPEG and PNG are shown everywhere."


def _too_large(picture: Picture, platforms: Collection[Platform]) -> Iterator[str]:
    limits: dict[int, list[str]] = {}
    for each in platforms:
        most = SCREENS[each].most
        if most is not None and picture.size > most:
            limits.setdefault(most, []).append(each.label)
    if limits:
        shown = "; ".join(
            f"{_listed(names)} up to {_bytes(most)}" for most, names in sorted(limits.items())
        )
        size = f"more than {_bytes(MOST)}" if picture.size > MOST else _bytes(picture.size)
        yield f"It is too large with {size}. Pictures are shown on {shown}."


def _cropped(picture: Picture) -> Iterator[str]:
    """Source: Android, Notification.BigPictureStyle, which fills a box twice as wide as high."""
    if not picture.width or not picture.height:
        return
    shape = picture.width / picture.height / SHAPE
    seen = min(shape, 1 / shape)
    if seen < SEEN_AT_LEAST:
        cut = "Its top and bottom are" if shape < 1 else "Its sides are"
        yield f"{cut} cut off on Android, where {seen * 100:.0f} % of it is seen. Best is 2:1."


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _bytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size >= 1_000_000 else f"{size / 1000:,.0f} KB"
