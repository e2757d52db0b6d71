"""What people type about when a campaign goes out."""

from collections.abc import Mapping
from typing import Any

from django import forms

from campaigns import scheduling
from campaigns.models import Campaign
from campaigns.scheduling import EVERY_WORDS, PASSED_WORDS
from campaigns.timing import Every, Kind, Passed, Timing
from devices.models import Application
from devices.zones import zone_choices

MOST_RUNS = 1000
TEST, DECIDE_AFTER = 20, 120  # a winner is offered with: percent to try on, minutes to wait
MINUTES, FAILED = 15, 5  # a canary is offered with: minutes to wait, percent that may fail


class DeliveryForm(forms.Form):
    """When a draft goes out."""

    when = forms.ChoiceField(
        label="Goes out",
        choices=[
            (Kind.NOW.value, "Now"),
            (Kind.AT.value, "At a time"),
            (Kind.LOCAL.value, "In recipients' time"),
            (Kind.REPEAT.value, "Again and again"),
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

    try_first = forms.ChoiceField(
        label="Try first",
        choices=[
            ("", "Send to everybody at once"),
            ("share", "A share of the devices first"),
            ("devices", "A number of devices first"),
        ],
        required=False,
        help_text="They are drawn at random; the others wait until it is known how it went. Not"
        " with a scenario, nor in recipients' time.",
    )
    try_size = forms.IntegerField(
        label="How many", required=False, min_value=1, max_value=1_000_000,
        help_text="Percent of the devices, or their number.",
    )  # fmt: skip
    try_minutes = forms.IntegerField(
        label="Wait, in minutes", required=False, min_value=0, max_value=1440,
        help_text="After the last of the first has its outcome.",
    )  # fmt: skip
    try_then = forms.ChoiceField(
        label="Then",
        choices=[("go_on", "Go on if few failed, else pause"), ("hold", "Pause: I decide")],
        required=False,
    )
    try_failed = forms.IntegerField(
        label="May fail, in percent, at most", required=False, min_value=0, max_value=100,
    )  # fmt: skip

    win_metric = forms.ChoiceField(
        label="Winner",
        choices=[
            ("", "None: each variant goes to its share"),
            ("clicked", "The one that is tapped most often"),
            ("seen", "The one that is seen most often"),
            ("delivered", "The one that is delivered most often"),
        ],
        required=False,
        help_text="A part of the audience is sent the variants; the rest waits, and gets the"
        " winner. Not with a scenario, nor with another part tried first, nor in recipients' time.",
    )
    win_test = forms.IntegerField(
        label="Try on, in percent", required=False, min_value=1, max_value=99,
        help_text="Of each variant's share.",
    )  # fmt: skip
    win_minutes = forms.IntegerField(
        label="Decide after, in minutes", required=False, min_value=1, max_value=4300,
        help_text="Counted from the last that was sent.",
    )  # fmt: skip
    win_answers = forms.IntegerField(
        label="Or once so many answered", required=False, min_value=1, max_value=10_000_000,
        help_text="All variants together.",
    )  # fmt: skip
    win_unclear = forms.ChoiceField(
        label="If the difference may be chance",
        choices=[("largest", "The largest rate wins"), ("hold", "Pause: I choose")],
        required=False,
    )

    application: Application
    # They are offered filled in, and asked for where their choice is made: no "optional" there.
    WANTED = (
        "start_date", "start_time", "zone", "passed", "every", "try_first", "try_size",
        "try_minutes", "try_then", "try_failed", "win_metric", "win_test", "win_minutes",
        "win_unclear",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.WANTED:
            self.fields[name].wanted = True  # type: ignore[attr-defined]

    def _clean_canary(self) -> None:
        first, size = self.cleaned_data.get("try_first"), self.cleaned_data.get("try_size")
        if not first or "try_size" in self.errors:
            return
        if size is None:
            self.add_error("try_size", "Say how many get it first.")
        elif first == "share" and size > 99:
            self.add_error("try_size", "A share is 1 to 99 percent.")

    def _canary(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not cleaned["try_first"]:
            return {}
        minutes, failed = cleaned["try_minutes"], cleaned["try_failed"]
        return {
            cleaned["try_first"]: cleaned["try_size"],
            "minutes": MINUTES if minutes is None else minutes,
            "failed": FAILED if failed is None else failed,
            "then": cleaned["try_then"] or "go_on",
        }

    def _winner(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not cleaned["win_metric"]:
            return {}
        return {
            "metric": cleaned["win_metric"],
            "test": cleaned["win_test"] or TEST,
            "minutes": cleaned["win_minutes"] or DECIDE_AFTER,
            "answers": cleaned["win_answers"],
            "unclear": cleaned["win_unclear"] or "largest",
        }

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
            "canary": self._canary(),
            "winner": self._winner(),
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
        **_typed_canary(campaign.canary),
        **_typed_winner(campaign.winner),
    }


def _typed_winner(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "win_metric": told.get("metric", ""),
        "win_test": told.get("test", TEST),
        "win_minutes": told.get("minutes", DECIDE_AFTER),
        "win_answers": told.get("answers"),
        "win_unclear": told.get("unclear", "largest"),
    }


def _typed_canary(told: Mapping[str, Any]) -> dict[str, Any]:
    first = next((name for name in ("share", "devices") if name in told), "")
    return {
        "try_first": first,
        "try_size": told.get(first, 1),
        "try_minutes": told.get("minutes", MINUTES),
        "try_then": told.get("then", "go_on"),
        "try_failed": told.get("failed", FAILED),
    }
