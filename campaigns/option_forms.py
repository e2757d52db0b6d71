"""What people type of how a push sounds, acts and looks besides its words."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms

from providers.dialects import compact
from providers.faults import HIGHEST_BADGE

HOUR = 3600  # seconds
STYLES = [("", "Push only"), ("BANNER", "Also a banner"), ("MODAL", "Also a dialog")]
TYPED = {
    "sound", "badge", "category", "silent", "in_app_style", "in_app_expires_in",
    "in_app_open_title", "in_app_dismiss_title", "custom_payload",
}  # fmt: skip


class OptionsForm(forms.Form):
    """The options of a content. A browser that shows them sends `more`, too."""

    sound = forms.CharField(
        label="Sound",
        max_length=100,
        required=False,
        help_text="default, or a file of the app with its ending, such as bell.wav. Empty: none.",
    )
    badge = forms.IntegerField(
        label="Badge",
        min_value=0,
        max_value=HIGHEST_BADGE,
        required=False,
        help_text="The number on the app's icon; 0 clears it, empty leaves it.",
    )
    category = forms.CharField(
        label="Buttons of the push",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "mm_accept_decline"}),
        help_text="The category that the app registered its buttons under.",
    )
    silent = forms.BooleanField(
        label="Show nothing, only wake the app",
        required=False,
        help_text="It carries its data. Browsers cannot get such a push.",
    )
    in_app_style = forms.ChoiceField(
        label="Inside the app", choices=STYLES, widget=forms.RadioSelect, required=False
    )
    in_app_hours = forms.IntegerField(
        label="It stays there for",
        min_value=1,
        max_value=24 * 90,
        required=False,
        help_text="Hours; empty: as long as it is tried to deliver.",
    )
    in_app_open_title = forms.CharField(label="Button that opens", max_length=40, required=False)
    in_app_dismiss_title = forms.CharField(
        label="Button that dismisses", max_length=40, required=False
    )
    custom_payload = forms.CharField(
        label="Data for the app",
        max_length=8000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "is-code", "spellcheck": "false"}),
        help_text='A JSON object, such as {"order": 7}. It counts against the size.',
    )

    def clean_custom_payload(self) -> dict[str, Any]:
        text = self.cleaned_data["custom_payload"].strip()
        if not text:
            return {}
        try:
            found = json.loads(text)
            compact(found).encode()  # no NaN, no half of a surrogate pair
        except json.JSONDecodeError as problem:
            where = f"line {problem.lineno}, column {problem.colno}"
            raise forms.ValidationError(f"This is no JSON: {problem.msg}, {where}.") from None
        except (ValueError, RecursionError):
            raise forms.ValidationError("This cannot be sent as JSON.") from None
        if not isinstance(found, dict):
            raise forms.ValidationError('Write an object: {"name": "value"}.')
        if "\\u0000" in json.dumps(found):
            raise forms.ValidationError("Data has no NUL characters.")
        return found

    def options(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept under CampaignContent.options: nothing that is as usual."""
        kept = {name: value for name, value in stored.items() if name not in TYPED}
        if self.add_prefix("more") not in self.data:
            return dict(stored)
        cleaned = self.cleaned_data
        style = cleaned["in_app_style"]
        hours = cleaned["in_app_hours"]
        said = {
            "badge": cleaned["badge"],
            "category": cleaned["category"],
            "silent": cleaned["silent"] or None,
            "custom_payload": cleaned["custom_payload"] or None,
            "in_app_style": style,
            "in_app_expires_in": hours * HOUR if style and hours else None,
            "in_app_open_title": cleaned["in_app_open_title"] if style == "MODAL" else "",
            "in_app_dismiss_title": cleaned["in_app_dismiss_title"] if style == "MODAL" else "",
        }
        given = {name: value for name, value in said.items() if value not in (None, "")}
        sound = {} if cleaned["sound"] == "default" else {"sound": cleaned["sound"]}
        return kept | given | sound


def typed_options(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Stored options as their form shows them."""
    expires, custom = options.get("in_app_expires_in"), options.get("custom_payload")
    typed = {
        "more": "1",
        "sound": options.get("sound", "default"),
        "badge": options.get("badge"),
        "category": options.get("category", ""),
        "silent": bool(options.get("silent")),
        "in_app_style": options.get("in_app_style", ""),
        "in_app_hours": max(1, round(expires / HOUR)) if expires is not None else None,
        "in_app_open_title": options.get("in_app_open_title", ""),
        "in_app_dismiss_title": options.get("in_app_dismiss_title", ""),
        "custom_payload": json.dumps(custom, ensure_ascii=False, indent=2) if custom else "",
    }
    return {f"{prefix}{name}": value for name, value in typed.items()}
