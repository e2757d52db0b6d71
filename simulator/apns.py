"""Apple Push Notification service. Source: contract/providers.md 3 and 11.4."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

from simulator.apns_certificates import ApnsCertificate
from simulator.apns_rules import (
    Rejected,
    check_headers,
    check_payload,
    check_topic,
    parent_topic,
)
from simulator.apns_tokens import ProviderTokens
from simulator.behaviour import Behaviour, Decision
from simulator.clock import Clock
from simulator.credentials import ApnsKey, Credentials
from simulator.exchange import Answer, Ending, Flavour, Manners, Request, Traffic
from simulator.ledger import Ledger
from simulator.mailboxes import Delivery
from simulator.phones import Phones
from simulator.registry import PerMinute, Registry
from simulator.settings import Fate

ENVIRONMENTS = {
    "api.push.apple.com": "production",
    "api.sandbox.push.apple.com": "sandbox",
    "api.development.push.apple.com": "sandbox",
}
PREFIX = "/3/device/"
TOKEN = re.compile(r"(?:[0-9a-f]{2}){32,100}")
NO_DEVICE = re.compile(r"0+")
FOREVER = 30 * 86_400.0  # seconds Apple may keep what names no expiration

REFUSING = {
    Fate.UNREGISTERED: (410, "Unregistered"),
    Fate.EXPIRED_TOKEN: (410, "ExpiredToken"),
    Fate.MISMATCHED: (400, "DeviceTokenNotForTopic"),
    Fate.MALFORMED: (400, "BadDeviceToken"),
    Fate.BUSY: (429, "TooManyRequests"),
    Fate.INTERNAL: (500, "InternalServerError"),
    Fate.THIRD_PARTY: (500, "InternalServerError"),
    Fate.UNAVAILABLE: (503, "ServiceUnavailable"),
    Fate.UNAVAILABLE_DELIVERED: (503, "ServiceUnavailable"),
    Fate.SHUTDOWN: (503, "Shutdown"),
    Fate.IDLE_TIMEOUT: (400, "IdleTimeout"),
}
WITHOUT_ACCEPTANCE = {Fate.LOST_REQUEST: Ending.ABORTED, Fate.REFUSED_STREAM: Ending.REFUSED}
AFTER_ACCEPTANCE = {
    Fate.LOST_ANSWER: Ending.ABORTED,
    Fate.STALLED: Ending.STALLED,
    Fate.RESET: Ending.RESET,
}
# Headers that say what becomes of a notification.
SHOWN = {"apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id"}
UNINSTALLED_AGO = 7 * 86_400  # seconds at most, of devices that were never there


@dataclass(slots=True)
class Sent:
    """What a request says, as far as the ledger and the phones need it."""

    apns_id: str
    token: str = ""
    topic: str = ""
    message_id: str = ""


class Apns:
    name = "apns"
    hosts = tuple(ENVIRONMENTS)
    http1 = False

    def __init__(
        self,
        clock: Clock,
        credentials: Credentials,
        behaviour: Behaviour,
        registry: Registry,
        ledger: Ledger,
        phones: Phones,
    ) -> None:
        self.traffic = Traffic()
        self.tokens = ProviderTokens(clock, credentials, behaviour)
        self._clock = clock
        self._credentials = credentials
        self._behaviour = behaviour
        self._registry = registry
        self._ledger = ledger
        self._phones = phones
        self._counts = PerMinute(clock)

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def forget(self) -> None:
        self._counts = PerMinute(self._clock)
        self.tokens.forget()

    def answer(self, request: Request) -> Answer:
        """Checks in Apple's order: token, path, device, payload. SIM-44."""
        given_id = request.headers.get("apns-id", "")
        sent = Sent(given_id)
        delay = 0.0
        try:
            key = self.tokens.check(request, ENVIRONMENTS[request.peer.host])
            sent.token = self._path(request)
            if not given_id:
                sent.apns_id = str(uuid.uuid4())
            payload = _payload(request.body)
            sent.message_id = _message_id(payload) or sent.apns_id
            sent.topic = self._device(request, key, sent.token)
            decision = self._behaviour.decide(self.name, sent.token, sent.message_id)
            delay = decision.delay
            if decision.fate in WITHOUT_ACCEPTANCE:
                return Answer(503, ending=WITHOUT_ACCEPTANCE[decision.fate])
            self._meet(decision, sent.token)
            check_headers(request.headers)
            check_payload(request.headers, request.body, payload)
            if decision.fate in REFUSING or decision.fate is Fate.BAD_GATEWAY:
                return self._trouble(request, sent, decision, payload)
        except Rejected as rejected:
            return self._reject(request, sent, rejected, delay)
        return self._accept(request, sent, decision, payload)

    # ------------------------------------------------------------------------ checks

    def _path(self, request: Request) -> str:
        if request.doubled:
            raise Rejected(400, "DuplicateHeaders")
        path, host = request.path.partition("?")[0], request.authority.partition(":")[0]
        if request.method != "POST":
            raise Rejected(405, "MethodNotAllowed")
        if not path.startswith("/3/device") or host not in self.hosts:
            raise Rejected(404, "BadPath")
        token = path.removeprefix(PREFIX)
        if not token or token == path:
            raise Rejected(400, "MissingDeviceToken")
        if not TOKEN.fullmatch(token):
            raise Rejected(400, "BadDeviceToken")
        return token

    def _device(self, request: Request, key: ApnsKey | ApnsCertificate, token: str) -> str:
        """The topic, if the key may send to it and the device belongs there."""
        device = self._registry.find(self.name, token)
        environment = ENVIRONMENTS[request.peer.host]
        if device is not None and device.environment not in ("", environment):
            raise Rejected(400, "BadDeviceToken")
        topic = check_topic(request.headers, key.topics, self._credentials.topics)
        if NO_DEVICE.fullmatch(token):
            raise Rejected(400, "BadDeviceToken")
        if device is not None and device.owner not in ("", parent_topic(topic)):
            raise Rejected(400, "DeviceTokenNotForTopic")
        if device is not None and device.closed_at:
            raise Rejected(410, "Unregistered", int(device.closed_at * 1000))
        return topic

    def _meet(self, decision: Decision, token: str) -> None:
        """Raise what is wrong with the device itself. SIM-46, SIM-47."""
        fate = decision.fate
        if fate in {Fate.UNREGISTERED, Fate.EXPIRED_TOKEN}:
            ago = self._behaviour.hash("gone", token) % UNINSTALLED_AGO
            raise Rejected(*REFUSING[fate], int((self._clock.now() - ago) * 1000))
        if fate in {Fate.MISMATCHED, Fate.MALFORMED}:
            raise Rejected(*REFUSING[fate])
        limit = self._behaviour.clouds[self.name].device_per_minute
        if self._counts.add(hash(token)) > limit:
            raise Rejected(429, "TooManyRequests")

    # --------------------------------------------------------------------- conclusions

    def _trouble(
        self, request: Request, sent: Sent, decision: Decision, payload: dict[str, Any]
    ) -> Answer:
        if decision.fate is Fate.UNAVAILABLE_DELIVERED:
            self._deliver(request, sent, decision, payload)
        if decision.fate is Fate.BAD_GATEWAY:
            self._refuse(request, sent, 502, "HTML")
            return Answer(
                502, (("content-type", "text/html"),), b"<html>502</html>", decision.delay
            )
        rejected = Rejected(*REFUSING[decision.fate])
        answer = self._reject(request, sent, rejected, decision.delay)
        if decision.fate is Fate.SHUTDOWN:
            answer.goaway, answer.reason = Flavour.CURT, b'{"reason":"Shutdown"}'
        return answer

    def _reject(self, request: Request, sent: Sent, rejected: Rejected, delay: float) -> Answer:
        self._refuse(request, sent, rejected.status, rejected.reason)
        told: dict[str, object] = {"reason": rejected.reason}
        if rejected.timestamp:
            told["timestamp"] = rejected.timestamp
        headers = (("apns-id", sent.apns_id or str(uuid.uuid4())),)
        return Answer(rejected.status, headers, json.dumps(told).encode(), delay)

    def _accept(
        self, request: Request, sent: Sent, decision: Decision, payload: dict[str, Any]
    ) -> Answer:
        ending = AFTER_ACCEPTANCE.get(decision.fate, Ending.ANSWERED)
        more = None
        if self._behaviour.clouds[self.name].keep_payloads:
            headers = {name: value for name, value in request.headers.items() if name in SHOWN}
            more = {"headers": headers, "payload": payload}
        self._ledger.accept(
            self.name,
            application=sent.topic,
            token=sent.token,
            message_id=sent.message_id,
            provider_id=sent.apns_id,
            wire=(request.peer.number, request.stream),
            answer=ending.value,
            more=more,
        )
        self._deliver(request, sent, decision, payload)
        told: tuple[tuple[str, str], ...] = (("apns-id", sent.apns_id),)
        if ENVIRONMENTS[request.peer.host] == "sandbox":
            told = (*told, ("apns-unique-id", str(uuid.UUID(int=decision.draw))))
        return Answer(200, told, b"", decision.delay, ending)

    def _deliver(
        self, request: Request, sent: Sent, decision: Decision, payload: dict[str, Any]
    ) -> None:
        """An extension reports alerts with mutable-content, the app silent pushes. 7.1."""
        if decision.fate is Fate.SILENT:
            return
        aps = payload["aps"]
        shown = bool(aps.get("alert"))
        expiration = request.headers.get("apns-expiration")
        expires = float(expiration) if expiration else self._clock.now() + FOREVER
        self._phones.deliver(
            Delivery(
                cloud=self.name,
                application=parent_topic(sent.topic),
                token=sent.token,
                message_id=sent.message_id,
                draw=decision.draw,
                expires=expires,
                collapse_key=request.headers.get("apns-collapse-id", ""),
                reports_delivery=aps.get("mutable-content" if shown else "content-available") == 1,
                visible=shown,
            )
        )

    def _refuse(self, request: Request, sent: Sent, status: int, reason: str) -> None:
        self._ledger.refuse(
            self.name,
            token=sent.token,
            message_id=sent.message_id or sent.apns_id,
            status=status,
            reason=reason,
            wire=(request.peer.number, request.stream),
        )


def _payload(body: bytes) -> dict[str, Any]:
    """The body as an object; empty when it is none."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _message_id(payload: dict[str, Any]) -> str:
    found = payload.get("messageId")
    return found if isinstance(found, str) else ""
