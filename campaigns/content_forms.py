"""What people type about one content of a campaign, in one language and variant."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.forms import BoundField

from campaigns.card_forms import KINDS, Cards, typed_cards
from campaigns.languages import name_of
from campaigns.models import Campaign, CampaignContent
from campaigns.option_forms import OptionsForm, typed_options
from campaigns.variants import NAMES, split_of

FIELDS = ("title", "text", "image_url", "on_tap", "target")


class ContentForm(OptionsForm):
    """What it says, and what a tap opens."""

    title = forms.CharField(
        label="Title",
        max_length=200,
        required=False,
        help_text="Empty: the app's name stands there.",
    )
    text = forms.CharField(
        label="Text",
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text='{{ first_name | default: "there" }} says who reads it; without a fallback,'
        " whoever has no such value gets nothing. Attributes: {{\u00a0person.plan\u00a0}},"
        " {{\u00a0device.shop\u00a0}}.",
    )
    image_url = forms.URLField(
        label="Image",
        max_length=2000,
        required=False,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text="JPEG or PNG, twice as wide as high, up to 512 KB: every phone shows it.",
    )
    pictures = forms.ChoiceField(
        label="Pictures",
        choices=KINDS,
        widget=forms.RadioSelect,
        required=False,
        help_text="Apps that draw pushes themselves show the cards side by side (carousel) or one"
        " after the other (slider). Where the system draws it, the first card's picture stands."
        " Cards take merge tags too; such cards have to fit into the push.",
    )
    on_tap = forms.ChoiceField(
        label="A tap opens",
        choices=CampaignContent.OnTap.choices,
        widget=forms.RadioSelect,
        required=False,
    )
    target = forms.CharField(
        label="Address",
        max_length=2000,
        required=False,
        help_text="shop://sale for a screen of the app, https://… for a web page.",
    )

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        prefix: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`options` are those of the stored content: what nobody types here stays."""
        super().__init__(data, prefix=prefix)
        self.stored_options = options or {}
        self.cards = Cards(data, prefix=self.add_prefix(""), options=self.stored_options)
        # A draft is saved without it; a launch asks for it. So it is not called optional.
        self.fields["text"].wanted = True  # type: ignore[attr-defined]
        self.fields["target"].widget.attrs["autocomplete"] = "off"

    def clean_target(self) -> str:
        target: str = self.cleaned_data["target"].strip()
        on_tap = self.cleaned_data.get("on_tap")
        if on_tap in (CampaignContent.OnTap.APP, ""):
            return target  # kept for a change of mind; nobody opens it
        if on_tap == CampaignContent.OnTap.BROWSER and target:
            if not target.startswith(("https://", "http://")):
                raise forms.ValidationError("The address of a web page begins with https://.")
        elif target and ":" not in target:
            raise forms.ValidationError("A screen has an address such as shop://sale.")
        return target

    def clean_pictures(self) -> str:
        kind: str = self.cleaned_data["pictures"]
        if kind and len(self.cards) > self.cards.most:
            sentence = f"A {kind} has at most {self.cards.most} cards, not {len(self.cards)}."
            raise forms.ValidationError(sentence)
        return kind

    def is_valid(self) -> bool:
        """Also its cards."""
        return all([super().is_valid(), self.cards.is_valid()])

    def field_of(self, name: str) -> BoundField | None:
        """Where a field of providers.base.PushNotification is typed: "carousel[2].image_url"."""
        if place := re.fullmatch(r"carousel\[([0-9]+)\]\.([a-z_]+)", name):
            if int(place[1]) >= len(self.cards):
                return None  # somebody else added it meanwhile
            card = self.cards.forms[int(place[1])]
            return card["link" if place[2] == "deep_links" else place[2]]
        if name == "carousel":
            return self["pictures"]
        name = {"in_app_expires_in": "in_app_hours"}.get(name, name)
        return self[name] if name in self.fields else None

    def content(self) -> dict[str, Any]:
        """What is saved as the content."""
        cleaned = self.cleaned_data
        kept = {
            name: value
            for name, value in self.options(self.stored_options).items()
            if name not in ("carousel", "carousel_kind")
        }
        return {
            "options": kept | self.cards.options(cleaned["pictures"]),
            "title": cleaned["title"],
            "text": cleaned["text"],
            "image_url": cleaned["image_url"],
            "on_tap": cleaned["on_tap"] or CampaignContent.OnTap.APP,
            "target": cleaned["target"],
        }


class OtherContentForm(ContentForm):
    """A content besides the default one: its fields carry its key."""

    def __init__(self, data: Mapping[str, Any], *, of: CampaignContent) -> None:
        super().__init__(data, prefix=f"content-{of.pk}", options=of.options)
        self.of = of

    @property
    def where(self) -> str:
        return where(self.of)

    @property
    def was_sent(self) -> bool:
        """Whether the browser has it: a content of somebody else's is not emptied."""
        return self.add_prefix("text") in self.data


def others_of(
    contents: Sequence[CampaignContent], data: Mapping[str, Any]
) -> list[OtherContentForm]:
    """The forms of all contents but the default one."""
    forms = [OtherContentForm(data, of=each) for each in contents if is_other(each)]
    return [form for form in forms if form.was_sent]


def typed_others(campaign: Campaign) -> dict[str, Any]:
    """The stored contents besides the default one, as their forms show them."""
    typed: dict[str, Any] = {}
    for each in campaign.contents.all():
        if is_other(each):
            typed |= typed_content(each, f"content-{each.pk}-")
    return typed


def typed_content(content: CampaignContent, prefix: str = "") -> dict[str, Any]:
    """A stored content as its form shows it."""
    typed = {f"{prefix}{name}": getattr(content, name) for name in FIELDS}
    return typed | typed_cards(content.options, prefix) | typed_options(content.options, prefix)


def is_other(content: CampaignContent) -> bool:
    return bool(content.language or content.variant)


def where(content: CampaignContent) -> str:
    """Which content it is: "German, variant B"."""
    return _where(content.language, content.variant)


def where_stored(content: Mapping[str, Any]) -> str:
    """Likewise, of a content as a bulk keeps it."""
    return _where(content["language"], content["variant"])


def _where(language: str, variant: int) -> str:
    said = name_of(language) if language else "Default language"
    return f"{said}, variant {NAMES[variant]}"


def add_split_fields(form: forms.Form, campaign: Campaign) -> list[str]:
    """Percentages of the variants and of the holdout, where there are variants; their names."""
    count = len(split_of(campaign.split).shares)
    if count == 1:
        return []
    for number in range(count):
        form.fields[f"share_{number}"] = _percent(f"Variant {NAMES[number]}", least=1)
    form.fields["holdout"] = _percent("Nobody", least=0)
    form.fields["holdout"].help_text = "Held out, to compare the others with."
    return [*(f"share_{number}" for number in range(count)), "holdout"]


def _percent(label: str, *, least: int) -> forms.IntegerField:
    wrong = f"From {least} to 99 percent."
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=99,
        error_messages={"min_value": wrong, "max_value": wrong, "required": wrong},
    )


def typed_split(campaign: Campaign) -> dict[str, Any]:
    split = split_of(campaign.split)
    shares = {f"share_{number}": share for number, share in enumerate(split.shares)}
    return {**shares, "holdout": split.holdout}
