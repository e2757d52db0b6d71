"""What people type about when a campaign goes out."""

from typing import Any

from django import forms

from campaigns import scheduling
from campaigns.models import Campaign
from campaigns.scheduling import EVERY_WORDS, PASSED_WORDS
from campaigns.timing import Every, Kind, Passed, Timing
from devices.models import Application
from devices.zones import zone_choices

MOST_RUNS = 1000


class DeliveryForm(forms.Form):
    """When a draft goes out."""

    when = forms.ChoiceField(
        label="Goes out",
        choices=[
            (Kind.NOW.value, "Now"),
            (Kind.AT.value, "At a time"),
            (Kind.LOCAL.value, "In recipients' time"),
        ],
        widget=forms.RadioSelect,
        required=False,
    )
    start_date = forms.DateField(
        label="Day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Choose a day, such as 2026-11-24."},
    )
    start_time = forms.TimeField(
        label="Time",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        error_messages={"invalid": "Type a time, such as 09:00."},
    )
    zone = forms.ChoiceField(label="Time zone", choices=zone_choices, required=False)
    passed = forms.ChoiceField(
        label="Where this time has passed at the launch",
        choices=[(each.value, words) for each, words in PASSED_WORDS.items()],
        required=False,
    )
    every = forms.ChoiceField(
        label="How often",
        choices=[(each.value, words) for each, words in EVERY_WORDS.items()],
        required=False,
        help_text="Counted from the first day: the 31st is the last day of shorter months.",
    )
    until = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Choose a day, such as 2026-12-24."},
    )
    times = forms.IntegerField(
        label="Times, at most",
        required=False,
        min_value=1,
        max_value=MOST_RUNS,
        help_text="Empty: until you cancel it, or the last day.",
    )
    transactional = forms.BooleanField(
        label="Transactional: people wait for it",
        required=False,
        help_text="An order or a code, not advertising. It is sent in quiet hours, and the"
        " frequency cap neither stops nor counts it.",
    )

    application: Application

    def _clean_timing(self) -> None:
        """A chosen time is whole, or the fields that lack something say so."""
        cleaned = self.cleaned_data
        if cleaned.get("when") in ("", None, Kind.NOW):
            return
        if "start_date" not in self.errors and cleaned.get("start_date") is None:
            self.add_error("start_date", "Choose the day.")
        if "start_time" not in self.errors and cleaned.get("start_time") is None:
            self.add_error("start_time", "Choose the time.")
        until, first = cleaned.get("until"), cleaned.get("start_date")
        if cleaned["when"] == Kind.REPEAT and until and first and until < first:
            self.add_error("until", "It ends before its first day: choose a later one.")

    def delivery(self) -> dict[str, Any]:
        """What is saved on the campaign of when it goes out."""
        return {
            "timing": self._timing().as_json(),
            "transactional": self.cleaned_data["transactional"],
        }

    def _timing(self) -> Timing:
        cleaned = self.cleaned_data
        return Timing(
            kind=Kind(cleaned["when"] or Kind.NOW),
            day=cleaned["start_date"],
            clock=cleaned["start_time"],
            zone=cleaned["zone"] or self.application.default_zone,
            passed=Passed(cleaned["passed"] or Passed.NEXT_DAY),
            every=Every(cleaned["every"] or Every.DAY),
            until=cleaned["until"],
            count=cleaned["times"],
        )


def typed_delivery(campaign: Campaign) -> dict[str, Any]:
    """When a stored draft goes out, as the form shows it."""
    timing = Timing.of(campaign.timing)
    offered = scheduling.tomorrow_morning(campaign.application.default_zone)
    return {
        "when": timing.kind.value,
        "start_date": timing.day or offered.day,
        "start_time": timing.clock or offered.clock,
        "zone": timing.zone if campaign.timing.get("zone") else offered.zone,
        "passed": timing.passed.value,
        "every": timing.every.value,
        "until": timing.until,
        "times": timing.count,
        "transactional": campaign.transactional,
    }
