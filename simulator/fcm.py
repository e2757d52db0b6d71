"""Firebase Cloud Messaging, HTTP v1. Source: contract/providers.md 2 and 11.3."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from simulator.behaviour import Behaviour, Decision
from simulator.browsers import CHROME
from simulator.clock import Clock
from simulator.credentials import Credentials
from simulator.exchange import Answer, Ending, Headers, Manners, Request, Traffic
from simulator.fcm_schema import Violation, violations
from simulator.google import Google
from simulator.ledger import Ledger
from simulator.mailboxes import Delivery
from simulator.phones import Phones
from simulator.registry import PerMinute, Registry
from simulator.settings import Fate

PATH = re.compile(r"/v1/projects/([^/]+)/messages:send")
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}:[A-Za-z0-9_-]{20,1000}|[A-Za-z0-9_-]{64,1000}")
FID = re.compile(r"[A-Za-z0-9_-]{22}")
DEFAULT_TTL = 2_419_200.0  # seconds
COLLAPSIBLE_PAUSE = 180  # seconds from one collapsible message to the next
JSON: Headers = (("content-type", "application/json; charset=UTF-8"),)
ERRORS = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
NOT_A_TOKEN = "The registration token is not a valid FCM registration token"
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"

WITHOUT_ACCEPTANCE = {
    Fate.LOST_REQUEST: Ending.ABORTED,
    Fate.REFUSED_STREAM: Ending.REFUSED,
}
AFTER_ACCEPTANCE = {
    Fate.LOST_ANSWER: Ending.ABORTED,
    Fate.STALLED: Ending.STALLED,
    Fate.RESET: Ending.RESET,
}


@dataclass(eq=False)
class Refusal(Exception):
    """An answer that is not 200."""

    status: int
    word: str  # error.status, such as INVALID_ARGUMENT
    message: str
    code: str = ""  # FcmError.errorCode; "" leaves that detail out
    details: tuple[Mapping[str, object], ...] = ()
    retry_after: str = ""

    def answer(self, delay: float = 0.0) -> Answer:
        details = list(self.details)
        if self.code:
            details.insert(0, {"@type": ERRORS, "errorCode": self.code})
        error: dict[str, object] = {"code": self.status, "message": self.message}
        error["status"] = self.word
        if details:
            error["details"] = details
        headers = (*JSON, ("retry-after", self.retry_after)) if self.retry_after else JSON
        return Answer(self.status, headers, json.dumps({"error": error}).encode(), delay)


@dataclass(slots=True)
class Sent:
    """What a request says, as far as the ledger and the phones need it."""

    project: str
    token: str = ""
    kind: str = "token"
    message_id: str = ""
    message: Mapping[str, Any] | None = None


class Fcm:
    name = "fcm"
    hosts = ("fcm.googleapis.com",)
    http1 = True

    def __init__(
        self,
        clock: Clock,
        credentials: Credentials,
        google: Google,
        behaviour: Behaviour,
        registry: Registry,
        ledger: Ledger,
        phones: Phones,
        browsers: Callable[[Request], Answer],
    ) -> None:
        """`browsers` answers for Chrome's, whose push service has the same name."""
        self.traffic = Traffic()
        self.validated = 0  # dry runs that were in order
        self._clock = clock
        self._credentials = credentials
        self._google = google
        self._behaviour = behaviour
        self._registry = registry
        self._ledger = ledger
        self._phones = phones
        self._browsers = browsers
        self._counts = PerMinute(clock)
        self._paused: dict[str, float] = {}  # project → until, Unix time
        self._collapsible: dict[str, tuple[int, float]] = {}  # token → free ones left, last

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def forget(self) -> None:
        self._counts = PerMinute(self._clock)
        self._paused.clear()
        self._collapsible.clear()

    def answer(self, request: Request) -> Answer:
        if request.path.startswith(CHROME):
            return self._browsers(request)
        sent = Sent(project="")
        delay = 0.0
        try:
            sent.project = self._project(request)
            dry = self._read(request, sent)
            self._address(sent)
            decision = self._behaviour.decide(self.name, sent.token, sent.message_id)
            delay = decision.delay
            if decision.fate in WITHOUT_ACCEPTANCE:
                return Answer(503, ending=WITHOUT_ACCEPTANCE[decision.fate])
            self._quotas(sent)
            if decision.fate is Fate.BAD_GATEWAY:
                self._refuse(request, sent, 502, "HTML")
                return Answer(502, (("content-type", "text/html"),), BAD_GATEWAY, delay)
            self._meet(decision, sent)
        except Refusal as refusal:
            self._refuse(request, sent, refusal.status, refusal.code or refusal.word)
            return refusal.answer(delay)
        if dry:
            self.validated += 1
            name = f"projects/{sent.project}/messages/fake_message_id"
            return Answer(200, JSON, f'{{"name":"{name}"}}'.encode(), delay)
        return self._accept(request, sent, decision)

    # ------------------------------------------------------------------------ checks

    def _project(self, request: Request) -> str:
        """The project in the path, if the bearer may send for it. SIM-31, SIM-38."""
        path = PATH.fullmatch(request.path.partition("?")[0])
        if path is None or request.authority.partition(":")[0] not in self.hosts:
            raise Refusal(404, "NOT_FOUND", "The requested URL was not found on this server.")
        if request.method != "POST":
            raise Refusal(405, "METHOD_NOT_ALLOWED", "Use POST.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = self._google.access(token) if scheme.lower() == "bearer" else None
        if access is None:
            raise Refusal(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token.",
            )
        project = path.group(1)
        if project not in self._credentials.projects:
            raise Refusal(404, "NOT_FOUND", "Requested entity was not found.")
        if access.project_id != project:
            denied = "Permission 'cloudmessaging.messages.create' denied on resource"
            raise Refusal(403, "PERMISSION_DENIED", f"{denied} '//projects/{project}'.")
        return project

    def _read(self, request: Request, sent: Sent) -> bool:
        """Fill in what the body says and tell whether it is a dry run. SIM-32."""
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            raise Refusal(
                400, "INVALID_ARGUMENT", "Invalid JSON payload received. Cannot parse it."
            ) from None
        message = body.get("message") if isinstance(body, dict) else None
        if isinstance(message, dict):
            sent.message = message
            sent.message_id = message_id(message)
            sent.kind = "fid" if isinstance(message.get("fid"), str) else "token"
            sent.token = str(message.get(sent.kind) or "")
        faults = violations(body, len(request.body))
        if faults:
            raise _invalid(faults[0].description, faults)
        return bool(body.get("validateOnly", body.get("validate_only", False)))

    def _address(self, sent: Sent) -> None:
        """The form of a token, and what is known about it. SIM-33."""
        if not sent.token:
            return  # a topic: nobody in particular
        well_formed = FID.fullmatch(sent.token) or (
            sent.kind == "token" and TOKEN.fullmatch(sent.token)
        )
        device = self._registry.find(self.name, sent.token)
        if not well_formed:
            raise _not_a_token(sent.kind)
        if device is None:
            return
        if device.closed_at or (device.kind and device.kind != sent.kind):
            raise _unregistered()
        if device.owner and device.owner != sent.project:
            raise _mismatched()

    def _quotas(self, sent: Sent) -> None:
        """Limits per project and device. SIM-34."""
        settings = self._behaviour.clouds[self.name]
        now = self._clock.now()
        minute_end = (now // 60 + 1) * 60
        if self._counts.add(("project", sent.project)) > settings.project_per_minute:
            self._paused[sent.project] = max(minute_end, self._paused.get(sent.project, 0) + 1)
        until = self._paused.get(sent.project, 0)
        if now < until:
            self._paused[sent.project] = until + 0.01  # sending on makes it longer
            raise self._too_many("project", f"project:{sent.project}", until - now)
        if not sent.token:
            return
        if self._counts.add(hash(sent.token)) > settings.device_per_minute:
            raise self._too_many("device", f"device:{sent.token[:8]}", minute_end - now)
        if _collapse_key((sent.message or {}).get("android") or {}):
            free, last = self._collapsible.get(sent.token, (settings.collapsible_burst, now))
            free = min(settings.collapsible_burst, free + int((now - last) // COLLAPSIBLE_PAUSE))
            if free < 1:
                raise self._too_many("device", f"device:{sent.token[:8]}", COLLAPSIBLE_PAUSE)
            self._collapsible[sent.token] = (free - 1, now)

    def _meet(self, decision: Decision, sent: Sent) -> None:
        """Raise what the device's fate is, if it is not acceptance. SIM-33 to SIM-35."""
        fate = decision.fate
        settings = self._behaviour.clouds[self.name]
        if fate in {Fate.UNREGISTERED, Fate.EXPIRED_TOKEN}:
            raise _unregistered()
        if fate is Fate.MISMATCHED:
            raise _mismatched()
        if fate is Fate.MALFORMED:
            raise _not_a_token(sent.kind)
        if fate is Fate.BUSY:
            raise self._too_many("device", f"device:{sent.token[:8]}", settings.retry_after)
        if fate is Fate.THIRD_PARTY:
            raise Refusal(
                401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service",
                code="THIRD_PARTY_AUTH_ERROR",
            )  # fmt: skip
        if fate is Fate.INTERNAL:
            raise Refusal(500, "INTERNAL", "Internal error encountered.", code="INTERNAL")
        if fate is Fate.UNAVAILABLE_DELIVERED:
            self._deliver(sent, decision)
        if fate in {
            Fate.UNAVAILABLE, Fate.UNAVAILABLE_DELIVERED, Fate.SHUTDOWN, Fate.IDLE_TIMEOUT,
        }:  # fmt: skip
            raise Refusal(
                503, "UNAVAILABLE", "The service is currently unavailable.", code="UNAVAILABLE",
                retry_after=self._retry_after(settings.retry_after),
            )  # fmt: skip

    def _too_many(self, what: str, subject: str, seconds: float) -> Refusal:
        violation = {"subject": subject, "description": f"{what} message rate exceeded"}
        return Refusal(
            429,
            "RESOURCE_EXHAUSTED",
            f"Quota exceeded: {what} message rate.",
            code="QUOTA_EXCEEDED",
            details=({"@type": QUOTA_FAILURE, "violations": [violation]},),
            retry_after=self._retry_after(seconds),
        )

    def _retry_after(self, seconds: float) -> str:
        if seconds <= 0:
            return ""
        if self._behaviour.clouds[self.name].retry_after_date:
            return formatdate(self._clock.now() + seconds, usegmt=True)
        return str(max(1, round(seconds)))

    # --------------------------------------------------------------------- conclusions

    def _accept(self, request: Request, sent: Sent, decision: Decision) -> Answer:
        number = self._ledger.accepted_count + 1
        provider_id = f"0:{int(self._clock.now() * 1e6)}%{number:016x}"
        ending = AFTER_ACCEPTANCE.get(decision.fate, Ending.ANSWERED)
        kept = self._behaviour.clouds[self.name].keep_payloads
        self._ledger.accept(
            self.name,
            application=sent.project,
            token=sent.token,
            message_id=sent.message_id,
            provider_id=provider_id,
            wire=(request.peer.number, request.stream),
            answer=ending.value,
            more={"payload": sent.message} if kept else None,
        )
        self._deliver(sent, decision)
        body = f'{{"name":"projects/{sent.project}/messages/{provider_id}"}}'
        return Answer(200, JSON, body.encode(), decision.delay, ending)

    def _deliver(self, sent: Sent, decision: Decision) -> None:
        message = sent.message or {}
        android = message.get("android") or {}
        shown = message.get("notification") or android.get("notification")
        if sent.token and sent.message_id and decision.fate is not Fate.SILENT:
            ttl = str(android.get("ttl") or "")
            seconds = float(ttl[:-1]) if ttl else DEFAULT_TTL
            self._phones.deliver(
                Delivery(
                    cloud=self.name,
                    application=sent.project,
                    token=sent.token,
                    message_id=sent.message_id,
                    draw=decision.draw,
                    expires=self._clock.now() + seconds if seconds else 0.0,
                    collapse_key=_collapse_key(android),
                    reports_delivery=not shown,  # the system draws it, no app code runs
                    visible=bool(shown) or android.get("priority") == "HIGH",
                )
            )

    def _refuse(self, request: Request, sent: Sent, status: int, reason: str) -> None:
        self._ledger.refuse(
            self.name,
            token=sent.token,
            message_id=sent.message_id,
            status=status,
            reason=reason,
            wire=(request.peer.number, request.stream),
        )


def message_id(message: Mapping[str, Any]) -> str:
    """The sender's own id of a message: in `data`, in the SDK's envelope, or as the tag."""
    data = message.get("data")
    android = message.get("android")
    if not data and isinstance(android, dict):
        data = android.get("data")
    if isinstance(data, dict):
        envelope = data.get("org_ib_d")
        if isinstance(envelope, str):
            try:
                data = json.loads(envelope)
            except (ValueError, RecursionError):
                return ""
        found = data.get("messageId") if isinstance(data, dict) else None
        if isinstance(found, str):
            return found
    if isinstance(android, dict) and isinstance(android.get("notification"), dict):
        tag = android["notification"].get("tag")
        return tag if isinstance(tag, str) else ""
    return ""


def _collapse_key(android: Mapping[str, Any]) -> str:
    return str(android.get("collapseKey") or android.get("collapse_key") or "")


def _invalid(message: str, faults: list[Violation]) -> Refusal:
    told = [{"field": one.field, "description": one.description} for one in faults]
    details = ({"@type": BAD_REQUEST, "fieldViolations": told},)
    return Refusal(400, "INVALID_ARGUMENT", message, code="INVALID_ARGUMENT", details=details)


def _not_a_token(kind: str) -> Refusal:
    return _invalid(NOT_A_TOKEN, [Violation(f"message.{kind}", NOT_A_TOKEN)])


def _unregistered() -> Refusal:
    return Refusal(404, "NOT_FOUND", "Requested entity was not found.", code="UNREGISTERED")


def _mismatched() -> Refusal:
    return Refusal(403, "PERMISSION_DENIED", "SenderId mismatch", code="SENDER_ID_MISMATCH")
