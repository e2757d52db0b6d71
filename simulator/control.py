"""The control port: tell the simulated clouds what to do, read what they took.

Plain HTTP on loopback. Every answer is JSON; a request that cannot be followed is answered
400 with {"error": text that names the member}, and nothing is changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from simulator.behaviour import BadSetting
from simulator.exchange import Answer, Flavour, Head
from simulator.world import BadRequest

if TYPE_CHECKING:
    from simulator.gateways import Gateways

LARGEST_PAGE = 10_000


class Control:
    def __init__(self, gateways: Gateways) -> None:
        self.gateways, self.world = gateways, gateways.world
        self.calls = {
            ("GET", "/ledger"): self.ledger,
            ("GET", "/ledger/messages"): self.messages,
            ("GET", "/status"): self.status,
            ("POST", "/credentials"): self.credentials,
            ("POST", "/phones"): self.phones,
            ("POST", "/behaviour"): self.behaviour,
            ("POST", "/goaway"): self.goaway,
            ("POST", "/clock"): self.clock,
            ("POST", "/reset"): self.reset,
        }

    def answer(self, head: Head, body: bytes) -> Answer:
        address = urlsplit(head.path)
        call = self.calls.get((head.method, address.path))
        if call is None:
            known = ", ".join(f"{method} {path}" for method, path in self.calls)
            return _json(404, {"error": f"there is no such call; there are: {known}"})
        try:
            given = _object(body) if head.method == "POST" else dict(_query(address.query))
            return _json(200, call(given))
        except (BadRequest, BadSetting) as problem:
            return _json(400, {"error": str(problem)})

    def ledger(self, given: dict[str, Any]) -> dict[str, Any]:
        return self.world.ledger.summary()

    def messages(self, given: dict[str, Any]) -> dict[str, Any]:
        after, limit = _whole(given, "after", 0), _whole(given, "limit", 1000)
        if not 1 <= limit <= LARGEST_PAGE:
            raise BadRequest(f"limit must be from 1 to {LARGEST_PAGE}")
        return self.world.ledger.page(after, limit)

    def status(self, given: dict[str, Any]) -> dict[str, Any]:
        clouds = {}
        for cloud in self.gateways.clouds:
            traffic = cloud.traffic
            clouds[cloud.name] = {
                name: getattr(traffic, name)
                for name in (
                    "connections", "open_connections", "requests", "in_flight", "max_in_flight",
                    "refused_streams", "goaways", "storms",
                )
            }  # fmt: skip
        phones = {**self.world.phones.counted, "waiting": self.world.phones.waiting}
        return {"clouds": clouds, "phones": phones, "seed": self.world.behaviour.seed}

    def credentials(self, given: dict[str, Any]) -> dict[str, Any]:
        self.world.add_credentials(given)
        return {"projects": sorted(self.world.projects), "keys": sorted(self.world.apns_keys)}

    def phones(self, given: dict[str, Any]) -> dict[str, Any]:
        self.world.place_phones(given)
        return {"rates": self.world.phones.rates}

    def behaviour(self, given: dict[str, Any]) -> dict[str, Any]:
        self.world.behaviour.turn(given)
        if "max_streams" in given:
            self.gateways.change_limits()
        return {"turned": sorted(given)}

    def goaway(self, given: dict[str, Any]) -> dict[str, Any]:
        """Say GOAWAY on every open connection now: {"flavour", "cloud"}."""
        flavours = {flavour.value: flavour for flavour in Flavour}
        flavour = flavours.get(str(given.get("flavour", "polite")))
        if flavour is None:
            raise BadRequest(f"flavour must be one of {', '.join(flavours)}")
        return {"connections": self.gateways.go_away(flavour, given.get("cloud"))}

    def clock(self, given: dict[str, Any]) -> dict[str, Any]:
        """Move the clouds' clock: {"offset": seconds ahead of this machine's}."""
        offset = given.get("offset")
        if isinstance(offset, bool) or not isinstance(offset, int | float):
            raise BadRequest("offset must be a number of seconds")
        self.world.clock.offset = float(offset)
        return {"now": self.world.clock.now()}

    def reset(self, given: dict[str, Any]) -> dict[str, Any]:
        """Forget the ledger; credentials and dials stay."""
        self.world.ledger.reset()
        return {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        raise BadRequest("the body is no JSON") from None
    if not isinstance(given, dict):
        raise BadRequest("the body must be an object")
    return given


def _query(text: str) -> list[tuple[str, str]]:
    return [(name, values[-1]) for name, values in parse_qs(text).items()]


def _whole(given: dict[str, Any], name: str, default: int) -> int:
    text = str(given.get(name, default))
    if not text.isdecimal():
        raise BadRequest(f"{name} must be a whole number")
    return int(text)


def _json(status: int, body: Any) -> Answer:
    return Answer(status, (("content-type", "application/json"),), json.dumps(body).encode())
