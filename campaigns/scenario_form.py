"""What people type of a scenario: a name, and steps in their order."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from campaigns.flows import LONGEST
from campaigns.models import Scenario
from campaigns.scenarios import CHANNELS, Draft
from devices.models import Application

NAME_LENGTH = 100
MOST_STEPS = 10
SHORTEST = 60  # seconds
UNITS = {"minutes": 60, "hours": 3600}
USUAL = {"PUSH": ("1", "hours"), "SMS": ("24", "hours")}
# 3GPP TS 23.040 9.1.2.5: at most 11 characters, or a number of at most 15 digits.
SENDER = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{3,15}")


@dataclass(slots=True)
class StepInput:
    """A step as it was typed, and what is wrong with it."""

    key: str  # of its inputs; stays with it wherever it is moved
    channel: str
    sender: str = ""
    wait: str = ""
    unit: str = "hours"
    enough: bool = False
    sender_fault: str = ""
    wait_fault: str = ""

    @property
    def seconds(self) -> int:
        """0 where it cannot be read."""
        if not (self.wait.isascii() and self.wait.isdecimal() and len(self.wait) < 6):
            return 0
        return int(self.wait) * UNITS[self.unit]


@dataclass(slots=True)
class ScenarioForm:
    application: Application
    name: str = ""
    default: bool = False
    steps: list[StepInput] = field(default_factory=list)
    seen: str = ""  # scenarios.mark of what the form was made from
    name_fault: str = ""
    steps_fault: str = ""

    def is_valid(self) -> bool:
        if not self.name:
            self.name_fault = "Give the scenario a name."
        elif len(self.name) > NAME_LENGTH:
            self.name_fault = f"A name has at most {NAME_LENGTH} characters."
        elif "\x00" in self.name:
            self.name_fault = "A name has no invisible characters."
        if not self.steps:
            self.steps_fault = "Add a step: a scenario without one reaches nobody."
        elif len(self.steps) > MOST_STEPS:
            self.steps_fault = f"A scenario has at most {MOST_STEPS} steps."
        elif all(step.channel != "PUSH" for step in self.steps):
            self.steps_fault = "Add a push: a scenario belongs to the application that sends it."
        for step in self.steps:
            if step.channel == "SMS" and not SENDER.fullmatch(step.sender):
                step.sender_fault = (
                    "Type a name of at most 11 letters and digits, or a number of 3 to 15 digits."
                )
            if not SHORTEST <= step.seconds <= LONGEST:
                step.wait_fault = "Type a time from 1 minute to 48 hours."
        faults = [self.name_fault, self.steps_fault]
        faults += [each for step in self.steps for each in (step.sender_fault, step.wait_fault)]
        return not any(faults)

    def draft(self) -> Draft:
        return Draft([self._stored(step) for step in self.steps], self.name, self.default)

    def _stored(self, step: StepInput) -> dict[str, Any]:
        sender = self.application.code if step.channel == "PUSH" else step.sender
        stored = {"channel": step.channel, "sender": sender, "validity": step.seconds}
        return stored | ({"accepted_is_enough": True} if step.enough else {})


def posted(data: QueryDict, application: Application) -> ScenarioForm:
    keys, channels = data.getlist("step"), data.getlist("channel")
    return ScenarioForm(
        application=application,
        name=data.get("name", "").strip(),
        default="default" in data,
        seen=data.get("seen", "")[:64],
        steps=[
            _read(data, key, channel)
            for key, channel in zip(keys, channels, strict=False)
            if channel in CHANNELS and re.fullmatch(r"[a-z0-9]{1,12}", key)
        ],
    )


def _read(data: QueryDict, key: str, channel: str) -> StepInput:
    unit = data.get(f"unit-{key}", "")
    return StepInput(
        key=key,
        channel=channel,
        sender=data.get(f"sender-{key}", "").strip()[:40],
        wait=data.get(f"wait-{key}", "").strip()[:12],
        unit=unit if unit in UNITS else "hours",
        enough=f"enough-{key}" in data,
    )


def shown(scenario: Scenario, application: Application, seen: str) -> ScenarioForm:
    """A stored scenario as the form shows it."""
    steps = [_typed(str(number), step) for number, step in enumerate(scenario.steps, start=1)]
    return ScenarioForm(application, scenario.name, scenario.default, steps, seen)


def _typed(key: str, step: Mapping[str, Any]) -> StepInput:
    seconds = step.get("validity") or LONGEST
    unit = "minutes" if seconds % UNITS["hours"] else "hours"
    return StepInput(
        key=key,
        channel=step["channel"],
        sender=step.get("sender", "") if step["channel"] == "SMS" else "",
        wait=str(max(1, round(seconds / UNITS[unit]))),
        unit=unit,
        enough=bool(step.get("accepted_is_enough")),
    )


def fresh(application: Application, sender: str) -> ScenarioForm:
    """What most people want: a push, and an hour later a text message."""
    return ScenarioForm(application, steps=[blank("1", "PUSH"), blank("2", "SMS", sender)])


def blank(key: str, channel: str, sender: str = "") -> StepInput:
    wait, unit = USUAL[channel]
    return StepInput(key, channel, sender if channel == "SMS" else "", wait, unit)


def senders(names: Sequence[str], usual: str) -> list[str]:
    """Suggestions for whom a text is from: the gateway's own first."""
    return list(dict.fromkeys(each for each in (usual, *names) if each))
