"""What people type about a campaign."""

from collections.abc import Mapping
from typing import Any

from django import forms

from campaigns import resending, scenarios
from campaigns.content_forms import (
    ContentForm,
    add_split_fields,
    is_other,
    others_of,
    typed_content,
    typed_others,
    typed_split,
)
from campaigns.delivery_forms import DeliveryForm, typed_delivery
from campaigns.errors import RuleError
from campaigns.models import Campaign, RepeatPolicy, Scenario, Segment
from campaigns.targeting import Rule, to_q
from campaigns.variants import Split
from devices.models import Application, Platform, Registration
from devices.versions import pack_version

HOURS = [(1, "1 hour"), (6, "6 hours"), (24, "1 day"), (48, "2 days"), (72, "3 days")]
FASTEST = 1_000_000  # messages a second
LANGUAGES_OFFERED = 40


def split(text: str) -> list[str]:
    """Comma-separated values as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


class ComposerForm(ContentForm, DeliveryForm):
    """Content, audience and delivery of a draft, on one page."""

    AUDIENCE = (
        "segment", "without_segments", "platforms", "languages", "version_op", "version", "tags",
        "without_tags", "primary_only",
    )  # fmt: skip

    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="For your team; recipients do not see it.",
        error_messages={"required": "Give the campaign a name."},
    )
    segment = forms.ModelChoiceField(
        label="Segment",
        queryset=Segment.objects.none(),
        empty_label="Everybody",
        required=False,
        help_text="Who is in it when the campaign is launched.",
        error_messages={"invalid_choice": "This segment was deleted. Choose another."},
    )
    without_segments = forms.ModelMultipleChoiceField(
        label="Without segments",
        queryset=Segment.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Whoever is in one of these does not get it.",
        error_messages={"invalid_choice": "One of these segments was deleted. Choose again."},
    )
    platforms = forms.MultipleChoiceField(
        label="Platform",
        choices=[(platform.label, platform.label) for platform in Platform],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None chosen: every platform.",
    )
    languages = forms.CharField(
        label="Language",
        required=False,
        help_text="As devices report it, separated by commas: de, en-GB.",
    )
    version_op = forms.ChoiceField(
        label="App version",
        choices=[("", "any"), ("gte", "at least"), ("lt", "older than"), ("is", "exactly")],
        required=False,
    )
    version = forms.CharField(
        label="Version",
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "4.10"}),
    )
    tags = forms.CharField(
        label="Tags", required=False, help_text="Has any of these, separated by commas."
    )
    without_tags = forms.CharField(
        label="Without tags", required=False, help_text="Has none of these."
    )
    primary_only = forms.BooleanField(
        label="Only the primary device of each person", required=False
    )
    hours = forms.TypedChoiceField(label="Keep trying for", choices=HOURS, coerce=int)
    scenario = forms.ModelChoiceField(
        label="If it does not arrive",
        queryset=Scenario.objects.none(),
        required=False,
        empty_label="Nothing more is sent",
        help_text="A scenario goes on with a text message, once for each person whose push failed,"
        " or was not confirmed within its time. That time replaces how long we keep trying. It"
        " goes with no winner and no part tried first, and is not sent again to some afterwards.",
    )
    throttle = forms.IntegerField(
        label="Messages a second, at most",
        required=False,
        min_value=1,
        max_value=FASTEST,
        help_text="Empty: as fast as the clouds take it. It can be changed while it is sent.",
    )
    repeat_policy = forms.ChoiceField(
        label="Send again",
        choices=RepeatPolicy,
        initial=RepeatPolicy.WHEN_REFUSED,
        help_text="A cloud that is in trouble may have delivered what it refused, and a broken"
        " connection leaves it open. Sending again reaches more people; a few may hear it twice."
        " It is shown only once.",
    )

    field_order = ("name",)

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        application: Application,
        campaign: Campaign,
    ) -> None:
        contents = list(campaign.contents.all())
        default = next(each for each in contents if not is_other(each))
        super().__init__(data, options=default.options)
        self.application = application
        self.campaign = campaign
        self.others = others_of(contents, data)
        self.parts = add_split_fields(self, campaign)
        for name in ("segment", "without_segments"):
            chosen: Any = self.fields[name]
            chosen.queryset = Segment.objects.filter(application=application)
        scenario: Any = self.fields["scenario"]
        scenario.queryset = scenarios.of(application)
        self.fields["languages"].widget.attrs["list"] = "known-languages"
        for name in ("name", "languages", "tags", "without_tags", "version"):
            self.fields[name].widget.attrs["autocomplete"] = "off"

    def known_languages(self) -> list[str]:
        """Suggestions: languages that reachable devices report."""
        found = (
            Registration.objects.filter(application=self.application)
            .reachable()
            .exclude(language="")
            .order_by("language")
            .values_list("language", flat=True)
            .distinct()
        )
        return list(found[:LANGUAGES_OFFERED])

    def has_segments(self) -> bool:
        return Segment.objects.filter(application=self.application).exists()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("version_op") and not pack_version(cleaned.get("version") or ""):
            self.add_error("version", "Type a version such as 4.10.")
        self._clean_timing()
        self._clean_canary()
        for name, test in self._tests():
            try:
                to_q(test, self.application)
            except RuleError as refusal:
                if name not in self.errors:
                    self.add_error(name, refusal.problem[:1].upper() + refusal.problem[1:])
        return cleaned

    def audience_is_valid(self) -> bool:
        """Whether the audience can be read, whatever the other fields hold."""
        return not any(name in self.errors for name in self.AUDIENCE)

    def _tests(self) -> list[tuple[str, Rule]]:
        """The conditions of the audience, each with the field that asks for it."""
        cleaned = self.cleaned_data
        tests: list[tuple[str, Rule]] = []
        if (segment := cleaned.get("segment")) is not None:
            tests.append(("segment", {"field": "segment", "op": "in", "value": segment.pk}))
        if platforms := cleaned.get("platforms"):
            tests.append(("platforms", {"field": "platform", "op": "in", "value": platforms}))
        if languages := split(cleaned.get("languages", "")):
            tests.append(("languages", {"field": "language", "op": "in", "value": languages}))
        if (op := cleaned.get("version_op")) and (version := cleaned.get("version")):
            tests.append(("version", {"field": "app_version", "op": op, "value": version}))
        if tags := split(cleaned.get("tags", "")):
            tests.append(("tags", {"field": "tag", "op": "has_any", "value": tags}))
        if without := split(cleaned.get("without_tags", "")):
            has = {"field": "tag", "op": "has_any", "value": without}
            tests.append(("without_tags", {"not": has}))
        for segment in cleaned.get("without_segments") or ():
            out = {"field": "segment", "op": "not_in", "value": segment.pk}
            tests.append(("without_segments", out))
        return tests

    def own_rule(self) -> Rule:
        """What is asked besides the segment; `clean` has read each condition."""
        return {"all": [test for name, test in self._tests() if name != "segment"]}

    def rule(self) -> Rule:
        """The audience as a rule tree, with the segment: what composing.rule_of says later."""
        tests = [test for _, test in self._tests()]
        return {"all": [*resending.conditions(self.campaign), *tests]}

    def draft(self) -> dict[str, Any]:
        """What is saved on the campaign."""
        cleaned = self.cleaned_data
        return {
            "name": cleaned["name"],
            "segment": cleaned["segment"],
            "rule": self.own_rule(),
            "primary_only": cleaned["primary_only"],
            "ttl": cleaned["hours"] * 3600,
            "throttle": cleaned["throttle"],
            "repeat_policy": cleaned["repeat_policy"],
            "scenario": cleaned["scenario"],
            **self.delivery(),
            **({"split": self._split().as_json()} if self.parts else {}),
        }

    def _split(self) -> Split:
        """As it was typed, also when it does not add up yet."""
        *shares, holdout = (self.cleaned_data[name] or 0 for name in self.parts)
        return Split(tuple(shares), holdout)

    def is_valid(self) -> bool:
        """Also every other content."""
        return all([super().is_valid(), *(form.is_valid() for form in self.others)])


class PaceForm(forms.Form):
    """How fast a campaign may go on."""

    throttle = forms.IntegerField(
        label="Messages a second, at most",
        required=False,
        min_value=1,
        max_value=FASTEST,
        help_text="Empty: as fast as the clouds take it.",
    )


def typed(campaign: Campaign) -> dict[str, Any]:
    """A stored draft as the form shows it."""
    content = campaign.contents.get(language="", variant=0)
    typed = typed_content(content)
    hours = round(campaign.ttl / 3600)
    typed |= {
        "name": campaign.name,
        "throttle": campaign.throttle,
        "repeat_policy": campaign.repeat_policy,
        "scenario": campaign.scenario_id,
        "segment": campaign.segment_id,
        "without_segments": [],
        "primary_only": campaign.primary_only,
        **typed_others(campaign),
        **typed_split(campaign),
        "hours": min((each for each, _ in HOURS), key=lambda each: abs(each - hours)),
    }
    typed |= typed_delivery(campaign)
    for test in campaign.rule.get("all", []):
        match test:
            case {"field": "segment", "op": "not_in", "value": number}:
                typed["without_segments"].append(number)
            case {"field": "platform", "value": values}:
                typed["platforms"] = values
            case {"field": "language", "value": values}:
                typed["languages"] = ", ".join(values)
            case {"field": "app_version", "op": op, "value": value}:
                typed |= {"version_op": op, "version": value}
            case {"field": "tag", "value": values}:
                typed["tags"] = ", ".join(values)
            case {"not": {"field": "tag", "value": values}}:
                typed["without_tags"] = ", ".join(values)
    return typed
