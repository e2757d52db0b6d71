"""Scenarios: /omni/1/scenarios (contract/omni.md 1)."""

from typing import Annotated, Any, Self

from django.conf import settings
from django.http import HttpRequest
from pydantic import AliasChoices, Field, model_validator

from api import auth
from api.endpoint import Json, Refusal, Schema, Text255, endpoint
from api.infobip.omni_family import Channel, omni_family, take_turn
from api.infobip.push_family import KnownRequest, flag_of, read
from api.infobip.push_schemas import fault
from api.infobip.violations import Violation, violated
from campaigns import scenarios
from campaigns.models import Scenario
from campaigns.scenarios import Draft

MOST_STEPS = 10
MOST_SHOWN = 1000  # of one page
USUAL_PAGE = 100
FAMILY = omni_family("scenarios")


class Step(Schema):
    channel: Channel
    sender: Text255 | None = Field(None, alias="from")

    @model_validator(mode="after")
    def _names_its_application(self) -> Self:
        if self.channel == "PUSH" and not (self.sender or "").strip():
            raise fault("from", "must not be blank")
        return self

    def stored(self) -> dict[str, Any]:
        step = {"channel": self.channel, "sender": self.sender}
        return {name: value for name, value in step.items() if value is not None}


class Body(Schema):
    name: Text255 | None = None
    flow: Annotated[list[Step], Field(min_length=1, max_length=MOST_STEPS)]
    default: bool | None = Field(None, validation_alias=AliasChoices("default", "defaultScenario"))

    def draft(self) -> Draft:
        return Draft([step.stored() for step in self.flow], self.name, self.default)


def as_json(scenario: Scenario) -> Json:
    flow = [
        ({"from": step["sender"]} if "sender" in step else {}) | {"channel": step["channel"]}
        for step in scenario.steps
    ]
    return {
        "key": scenario.key,
        "name": scenario.name,
        "flow": flow,
        "default": scenario.default,
    }


def create(request: KnownRequest) -> Json:
    """POST /omni/1/scenarios."""
    take_turn("create scenario", settings.SCENARIO_CREATIONS)
    return as_json(scenarios.create(_draft(request)))


def show(request: KnownRequest) -> Json:
    """GET /omni/1/scenarios."""
    found = scenarios.page(
        default_only=flag_of(request, "isDefault"),
        limit=min(_whole(request, "limit", USUAL_PAGE), MOST_SHOWN),
        number=_whole(request, "page", 0),
    )
    return {"scenarios": [as_json(each) for each in found]}


def show_one(request: KnownRequest, *, key: str) -> Json:
    """GET /omni/1/scenarios/{key}."""
    scenario = scenarios.find(key)
    if scenario is None:
        raise _not_found()
    return as_json(scenario)


def change(request: KnownRequest, *, key: str) -> Json:
    """PUT /omni/1/scenarios/{key}."""
    take_turn("update scenario", settings.SCENARIO_UPDATES)
    if scenarios.find(key) is None:
        raise _not_found()
    try:
        return as_json(scenarios.update(key, _draft(request)))
    except Scenario.DoesNotExist:
        raise _not_found() from None


def _draft(request: KnownRequest) -> Draft:
    body = read(request, Body, FAMILY)
    for step in body.flow:
        if step.channel == "PUSH" and auth.find_sender(step.sender or "") is None:
            sentence = "Invalid scenario: the PUSH step's from is not an application"
            raise Refusal(409, "INVALID_SCENARIO", sentence)
    return body.draft()


def _not_found() -> Refusal:
    return Refusal(404, "NOT_FOUND", "Not found")


def _whole(request: HttpRequest, name: str, usual: int) -> int:
    given = request.GET.get(name, "")
    if not given:
        return usual
    if not (given.isascii() and given.isdecimal() and len(given) <= 9):
        raise violated(Violation(name, "must be an integer of at least 0"))
    return int(given)


many = endpoint(FAMILY, POST=create, GET=show)
one = endpoint(FAMILY, GET=show_one, PUT=change)
