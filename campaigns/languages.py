"""Which of a bulk's contents a device gets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf.locale import LANG_INFO

REMEMBERED = 10_000  # languages are whatever apps say
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-[A-Za-z0-9]{5,8})*")


class Contents:
    """The contents of a bulk, asked for each of its devices."""

    def __init__(self, contents: Sequence[Mapping[str, Any]]) -> None:
        self._places: dict[tuple[int, str], int] = {
            (each.get("variant", 0), _key(each.get("language", ""))): place
            for place, each in reversed(list(enumerate(contents)))
        }
        self._variants = {variant for variant, _ in self._places}
        self._known: dict[tuple[str, int], int] = {}
        self._single = len(contents) == 1

    def place(self, language: str, variant: int) -> int:
        """Where the content for a device stands: its language, a wider one, else the default."""
        if self._single:
            return 0
        known = self._known.get((language, variant))
        if known is None:
            known = self._find(language, variant)
            if len(self._known) < REMEMBERED:
                self._known[language, variant] = known
        return known

    def _find(self, language: str, variant: int) -> int:
        if variant not in self._variants:
            variant = min(self._variants)
        for key in wider(language):
            place = self._places.get((variant, key))
            if place is not None:
                return place
        return min(place for (of, _), place in self._places.items() if of == variant)


def choose(contents: list[dict[str, Any]], language: str, variant: int) -> dict[str, Any]:
    """The content for one device."""
    return contents[Contents(contents).place(language, variant)]


def wider(language: str) -> Iterator[str]:
    """The keys under which a content for a language may stand, the closest first.

    >>> list(wider("de_AT"))
    ['de-at', 'de', '']
    """
    key = _key(language)
    while key:
        yield key
        key = key.rpartition("-")[0]
    yield ""


def _key(language: str) -> str:
    """Phones write de-AT, de_AT and de-at for the same."""
    return language.replace("_", "-").lower()


def canonical(language: str) -> str:
    """A tag as it is usually written, de-AT or zh-Hant; "" for what cannot be one."""
    tag = language.strip().replace("_", "-")
    if not _TAG.fullmatch(tag):
        return ""
    first, *rest = tag.split("-")
    sizes = {2: str.upper, 4: str.title}
    return "-".join([first.lower(), *(sizes.get(len(part), str.lower)(part) for part in rest)])


def name_of(language: str) -> str:
    """What people call a language; the tag itself where nobody has told us."""
    tag = language.replace("_", "-")
    exact: str = LANG_INFO.get(tag.lower(), {}).get("name", "")
    if exact or "-" not in tag:
        return exact or tag
    first, _, rest = tag.partition("-")
    root = LANG_INFO.get(first.lower(), {}).get("name", "")
    return f"{root} ({rest})" if root else tag
