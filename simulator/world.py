"""Everything the simulated clouds share: credentials, time, behaviour, ledger, phones."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from simulator.behaviour import Behaviour
from simulator.certificates import write_private
from simulator.clock import Clock
from simulator.exchange import Answer, Ending, Request
from simulator.ledger import Ledger
from simulator.phones import Phones


class BadRequest(Exception):
    """A control request that cannot be followed; the text names the member."""


FCM_MEMBERS = ("project_id", "client_email", "private_key_id", "public_key_pem")
APNS_MEMBERS = ("team_id", "key_id", "public_key_pem", "topics")


class World:
    """State that survives a restart lies in the home folder: credentials, phones, ledger."""

    def __init__(self, home: Path, *, seed: int = 1, latency_ms: float | None = None) -> None:
        self.home = home
        self.clock = Clock()
        self.behaviour = Behaviour(seed, latency_ms)
        self.ledger = Ledger(home / "ledger.jsonl")
        self.phones = Phones(self.behaviour)
        self.service_accounts: dict[str, dict[str, Any]] = {}  # by client_email
        self.projects: set[str] = set()
        self.apns_keys: dict[str, dict[str, Any]] = {}  # by key id
        self.apns_tokens: dict[str, tuple[dict[str, Any], float]] = {}  # verified: key, iat
        self.access_tokens: dict[str, tuple[str, float]] = {}  # project, end
        self._random = random.Random(seed)
        self._second = 0.0
        self._taken = 0
        self._state = home / "state.json"
        self._saved: dict[str, Any] = {"fcm": [], "apns": [], "phones": None}
        if self._state.exists():
            self._saved = json.loads(self._state.read_text())
            self._learn(self._saved)

    # ------------------------------------------------------------------ what control tells

    def add_credentials(self, given: dict[str, Any]) -> None:
        """Public halves of credentials: {"fcm": [...], "apns": [...]}. Kept between starts."""
        for cloud, members in (("fcm", FCM_MEMBERS), ("apns", APNS_MEMBERS)):
            for number, each in enumerate(given.get(cloud, [])):
                for member in members:
                    if not isinstance(each, dict) or not each.get(member):
                        raise BadRequest(f"{cloud}[{number}].{member} is missing")
        names = {"fcm": "private_key_id", "apns": "key_id"}
        for cloud, name in names.items():
            fresh = {each[name]: each for each in [*self._saved[cloud], *given.get(cloud, [])]}
            self._saved[cloud] = list(fresh.values())
        self._learn(self._saved)
        self._save()

    def place_phones(self, given: dict[str, Any]) -> None:
        """Where phones report: {"base_url", "applications": {project or topic: code}, …}."""
        try:
            self.phones.place(given)
        except ValueError as problem:
            raise BadRequest(str(problem)) from None
        self._saved["phones"] = given
        self._save()

    def _learn(self, saved: dict[str, Any]) -> None:
        for account in saved["fcm"]:
            self.service_accounts[account["client_email"]] = account
            self.projects.add(account["project_id"])
        for key in saved["apns"]:
            self.apns_keys[key["key_id"]] = {"environment": "production", **key}
        self.apns_tokens.clear()
        if saved.get("phones"):
            self.phones.place(saved["phones"])

    def _save(self) -> None:
        write_private(self._state, json.dumps(self._saved).encode())

    # ------------------------------------------------------------------ what clouds ask

    def disturb(self, cloud: str) -> Answer | None:
        """A fault before a notification is taken: status 503, or 0 for a lost request."""
        dials = self.behaviour.dials[cloud]
        if dials.outage or self._over_quota(dials.quota):
            self.ledger.refuse(cloud, "UNAVAILABLE")
            return Answer(503)
        drawn = self._random.random()
        if drawn < dials.unavailable:
            self.ledger.refuse(cloud, "UNAVAILABLE")
            return Answer(503)
        if drawn < dials.unavailable + dials.lost_requests:
            return Answer(0, ending=Ending.ABORTED)
        return None

    def _over_quota(self, quota: int) -> bool:
        if not quota:
            return False
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._taken = now, 0
        self._taken += 1
        return self._taken > quota

    def accept(
        self,
        cloud: str,
        message_id: str,
        address: str,
        target: str,
        request: Request,
        payload: dict[str, Any],
    ) -> None:
        """Write a notification down, and hand it to the phone of its address."""
        self.ledger.accepted(
            cloud,
            message_id,
            address,
            self.clock.now(),
            target=target,
            connection=request.peer.number,
            stream=request.stream,
            bytes=len(request.body),
        )
        self.phones.deliver(target, address, message_id)

    def spoil(self, cloud: str, answer: Answer) -> Answer:
        """A fault after a notification was taken: its answer is lost, reset or never comes."""
        dials = self.behaviour.dials[cloud]
        if dials.lost_answers or dials.resets or dials.stalls:
            drawn = self._random.random()
            if drawn < dials.lost_answers:
                answer.ending = Ending.ABORTED
            elif drawn < dials.lost_answers + dials.resets:
                answer.ending = Ending.RESET
            elif drawn < dials.lost_answers + dials.resets + dials.stalls:
                answer.ending = Ending.STALLED
        return answer
