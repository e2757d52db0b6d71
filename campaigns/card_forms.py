"""What people type of a carousel or a slider: its cards, in their order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from campaigns import merging
from providers.faults import MOST_ITEMS

KINDS = [("", "One picture"), ("carousel", "Carousel"), ("slider", "Slider")]
BLANK = "__key__"  # stands for the key in the card that a browser copies
_KEY = re.compile(r"[1-9][0-9]{0,5}")
# A card's links by who opens them: the names of contract/insider.md 2.2.
PAGE, SCREEN, WITHIN = "ins_dl_external", "ins_dl_url_scheme", "ins_dl_internal"

Item = dict[str, Any]  # as CampaignContent.options keeps it: a providers.base.CarouselItem


class CardForm(forms.Form):
    """One card: a picture with a title, and where a tap on it leads."""

    image_url = forms.URLField(
        label="Picture",
        max_length=2000,
        required=False,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    headline = forms.CharField(label="Card title", max_length=200, required=False)
    description = forms.CharField(label="Card text", max_length=1000, required=False)
    link = forms.CharField(
        label="Tap on this card opens",
        max_length=2000,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "https://… or shop://…"}),
    )

    def __init__(self, data: Mapping[str, Any] | None, *, prefix: str, key: str) -> None:
        super().__init__(data, prefix=f"{prefix}-{key}")
        self.key = key
        for name in ("image_url", "headline"):
            self.fields[name].wanted = True  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"

    def clean_image_url(self) -> str:
        url: str = self.cleaned_data["image_url"]
        if url and not url.startswith("https://"):
            raise forms.ValidationError("The address of an image begins with https://.")
        return url

    def clean_link(self) -> str:
        link: str = self.cleaned_data["link"].strip()
        if merging.mistake(link) is not None:
            return link  # said of the draft, with its place
        around = merging.without_tags(link)
        if link and (":" not in around or any(letter.isspace() for letter in around)):
            sentence = "Write https://shop.example/shoes for a page, shop://shoes for a screen."
            raise forms.ValidationError(sentence)
        return link

    def item(self, stored: Mapping[str, Any]) -> Item:
        """As it is kept; links under names that nobody types here stay as they are."""
        cleaned = self.cleaned_data
        kept = {
            name: url
            for name, url in stored.get("deep_links", {}).items()
            if name not in (PAGE, SCREEN, WITHIN)
        }
        return {
            "id": int(self.key),
            "headline": cleaned["headline"],
            "description": cleaned["description"],
            "image_url": cleaned["image_url"],
            "deep_links": kept | _links(cleaned["link"], stored.get("deep_links", {})),
        }


def _links(link: str, stored: Mapping[str, str]) -> dict[str, str]:
    if not link:
        return {}
    if link == _link(stored):  # not changed: whoever opened it goes on to do so
        return {name: url for name, url in stored.items() if name in (PAGE, SCREEN, WITHIN)}
    return {PAGE if link.startswith(("https://", "http://")) else SCREEN: link}


def _link(stored: Mapping[str, str]) -> str:
    return next((stored[name] for name in (WITHIN, SCREEN, PAGE) if stored.get(name)), "")


class Cards:
    """The cards of one content, as they were typed, and what it shows instead of them."""

    def __init__(self, data: Mapping[str, Any], *, prefix: str, options: Mapping[str, Any]) -> None:
        """`prefix` is that of the content's form, with its hyphen, or empty."""
        self.prefix = prefix
        self._options = options
        self.was_sent = f"{prefix}cards" in data
        said = str(data.get(f"{prefix}cards", "")) if data.get(f"{prefix}pictures") else ""
        keys = dict.fromkeys(key for key in said.split(",") if _KEY.fullmatch(key))
        self.forms = [CardForm(data, prefix=f"{prefix}card", key=key) for key in keys]

    def __iter__(self) -> Iterator[CardForm]:
        return iter(self.forms)

    def __len__(self) -> int:
        return len(self.forms)

    @property
    def order(self) -> str:
        return ",".join(card.key for card in self.forms)

    @property
    def most(self) -> int:
        return MOST_ITEMS

    @property
    def blank(self) -> CardForm:
        """What a browser copies when somebody adds a card."""
        return CardForm(None, prefix=f"{self.prefix}card", key=BLANK)

    def is_valid(self) -> bool:
        return not any(card.errors for card in self.forms)

    def options(self, kind: str) -> dict[str, Any]:
        """What is kept of them under CampaignContent.options."""
        if not self.was_sent:
            known = ("carousel", "carousel_kind")
            return {name: self._options[name] for name in known if name in self._options}
        if not kind:
            return {}
        stored = {str(item["id"]): item for item in self._options.get("carousel", ())}
        items = [card.item(stored.get(card.key, {})) for card in self.forms]
        return {"carousel": items, "carousel_kind": kind}


def typed_cards(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Stored cards as their forms show them."""
    items: Sequence[Item] = options.get("carousel", ())
    typed: dict[str, Any] = {
        f"{prefix}pictures": options.get("carousel_kind", "carousel") if kind_of(options) else "",
        f"{prefix}cards": ",".join(str(item["id"]) for item in items),
    }
    for item in items:
        here = f"{prefix}card-{item['id']}-"
        typed |= {
            f"{here}image_url": item.get("image_url", ""),
            f"{here}headline": item["headline"],
            f"{here}description": item.get("description", ""),
            f"{here}link": _link(item.get("deep_links", {})),
        }
    return typed


def kind_of(options: Mapping[str, Any]) -> str:
    """What a stored content shows of cards: "" where it has one picture at most."""
    return str(options.get("carousel_kind", "carousel")) if "carousel" in options else ""
