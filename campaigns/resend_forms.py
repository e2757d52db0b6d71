"""What people choose when a campaign is sent again."""

from typing import Any

from django import forms

from campaigns.models import Reason
from campaigns.resending import Outcome


class ResendForm(forms.Form):
    """For which reasons; and, apart from them, whether doubt is enough."""

    reasons = forms.TypedMultipleChoiceField(
        label="Send it again to devices that did not get it because",
        coerce=lambda value: Reason(int(value)),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        error_messages={"invalid_choice": "One of these reasons no longer holds. Choose again."},
    )
    unsure = forms.BooleanField(required=False)

    def __init__(self, *args: Any, outcome: Outcome, forbidden: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reasons: Any = self.fields["reasons"]
        reasons.wanted = True
        reasons.choices = [
            (each.reason.value, f"{_devices(each.devices)}: {_lowered(each.reason.label)}")
            for each in outcome.missed
        ]
        if not outcome.missed:
            del self.fields["reasons"]
        if not outcome.unsure:
            del self.fields["unsure"]
            return
        unsure = self.fields["unsure"]
        unsure.label = f"Also {_devices(outcome.unsure)} of which nobody knows whether it arrived"
        unsure.help_text = (
            "A worker stopped or a connection broke while it was sent, an earlier try was left in"
            " doubt, or the app may still fetch it. Some of these people have it already, and"
            " would get it a second time."
        )
        if forbidden:
            unsure.disabled = True
            unsure.help_text = forbidden

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not cleaned.get("reasons") and not cleaned.get("unsure"):
            self.add_error(
                "reasons" if "reasons" in self.fields else "unsure", "Choose whom to send it to."
            )
        return cleaned


def _devices(number: int) -> str:
    return f"{number:,} device{'' if number == 1 else 's'}"


def _lowered(label: str) -> str:
    return label[:1].lower() + label[1:]
