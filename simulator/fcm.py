"""Google's side: the token server and FCM. Source: contract/providers.md 2, 11.3."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from simulator import tokens
from simulator.behaviour import Fate
from simulator.exchange import Answer, Manners, Request, Traffic
from simulator.fcm_rules import Violation, check_message

if TYPE_CHECKING:
    from simulator.world import World

SEND = re.compile(r"/v1/projects/([^/]+)/messages:send")
ADDRESS = re.compile(r"[A-Za-z0-9_:.\-]{20,4096}")
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URL = "https://oauth2.googleapis.com/token"
LIFETIME = 3599
JSON_TYPE = (("content-type", "application/json; charset=UTF-8"),)


class Refused(Exception):
    def __init__(
        self, code: int, status: str, message: str, *details: dict[str, Any], after: int = 0
    ) -> None:
        super().__init__(message)
        self.code, self.status, self.details, self.after = code, status, details, after

    def answer(self) -> Answer:
        error: dict[str, Any] = {
            "code": self.code,
            "message": str(self),
            "status": self.status,
        }
        if self.details:
            error["details"] = list(self.details)
        headers = JSON_TYPE + ((("retry-after", str(self.after)),) if self.after else ())
        return Answer(self.code, headers, json.dumps({"error": error}).encode())


def fcm_error(code: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def violation(field: str, description: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description}],
    }


class TokenServer:
    """oauth2.googleapis.com: a signed assertion for an access token (SIM-30)."""

    name = "oauth"
    hosts: tuple[str, ...] = ("oauth2.googleapis.com", "www.googleapis.com")
    http1 = True

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic = Traffic()

    @property
    def manners(self) -> Manners:
        return Manners()

    def answer(self, request: Request) -> Answer:
        if request.path != "/token" or request.method != "POST":
            return _oauth_error(404, "not_found", "No such page.")
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != [GRANT]:
            return _oauth_error(400, "unsupported_grant_type", "Invalid grant_type.")
        try:
            project = self._verify(form.get("assertion", [""])[0])
        except tokens.BadToken as problem:
            self.world.ledger.refuse("oauth", "invalid_grant")
            return _oauth_error(400, "invalid_grant", f"Invalid JWT: {problem}.")
        token = "ya29." + secrets.token_urlsafe(60)
        self.world.access_tokens[token] = (project, self.world.clock.now() + LIFETIME)
        body = {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"}
        return Answer(200, JSON_TYPE, json.dumps(body).encode())

    def _verify(self, assertion: str) -> str:
        header, claims, signed, signature = tokens.read(assertion)
        account = self.world.service_accounts.get(str(claims.get("iss")))
        if account is None or header.get("alg") != "RS256":
            raise tokens.BadToken("unknown issuer or algorithm")
        if header.get("kid") != account["private_key_id"]:
            raise tokens.BadToken("unknown key id")
        tokens.verify_rs256(account["public_key_pem"], signed, signature)
        now, issued, ends = self.world.clock.now(), claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(ends, int):
            raise tokens.BadToken("iat and exp must be whole seconds")
        if issued > now + 60 or ends <= now or ends - issued > 3600:
            raise tokens.BadToken("token must be short-lived and in a reasonable timeframe")
        if claims.get("aud") != TOKEN_URL or SCOPE not in str(claims.get("scope")).split():
            raise tokens.BadToken("wrong audience or scope")
        return str(account["project_id"])


def _oauth_error(status: int, error: str, description: str) -> Answer:
    body = {"error": error, "error_description": description}
    return Answer(status, JSON_TYPE, json.dumps(body).encode())


class Fcm:
    """fcm.googleapis.com, HTTP v1."""

    name = "fcm"
    hosts: tuple[str, ...] = ("fcm.googleapis.com",)
    http1 = True

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic = Traffic()

    @property
    def manners(self) -> Manners:
        return self.world.behaviour.manners("fcm")

    def answer(self, request: Request) -> Answer:
        try:
            return self._send(request)
        except Refused as refused:
            reason = next(
                (each["errorCode"] for each in refused.details if "errorCode" in each),
                refused.status,
            )
            self.world.ledger.refuse("fcm", reason)
            return refused.answer()

    def _send(self, request: Request) -> Answer:
        match = SEND.fullmatch(request.path)
        if match is None or request.method != "POST":
            raise Refused(404, "NOT_FOUND", "Requested entity was not found.")
        self._authorize(request, match[1])
        body = self._body(request.body)
        message = body["message"]
        kind = "fid" if "fid" in message else "token"
        address = message[kind]
        if not ADDRESS.fullmatch(address):
            self._malformed(kind)
        disturbed = self.world.disturb("fcm")
        if disturbed is not None:
            if disturbed.status == 0:
                return disturbed
            details = [fcm_error("UNAVAILABLE")]
            raise Refused(503, "UNAVAILABLE", "The service is currently unavailable.", *details)
        self._fate(address, kind)
        name = f"projects/{match[1]}/messages/0:{secrets.token_hex(12)}"
        answer = Answer(200, JSON_TYPE, json.dumps({"name": name}).encode())
        if body.get("validateOnly"):
            return answer
        self.world.accept("fcm", message_id_of(message), address, match[1], request, message)
        answer.delay = self.world.behaviour.latency("fcm", address)
        return self.world.spoil("fcm", answer)

    def _authorize(self, request: Request, project: str) -> None:
        header = request.headers.get("authorization", "")
        token = header[7:] if header[:7].lower() == "bearer " else ""
        known = self.world.access_tokens.get(token)
        if known is None or known[1] < self.world.clock.now():
            raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if project not in self.world.projects:
            raise Refused(404, "NOT_FOUND", "Requested entity was not found.")
        if known[0] != project:
            raise Refused(403, "PERMISSION_DENIED", "Permission denied on this project.")

    def _body(self, raw: bytes) -> dict[str, Any]:
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refused(400, "INVALID_ARGUMENT", "Invalid JSON payload received.") from None
        try:
            checked: dict[str, Any] = check_message(body)
        except Violation as fault:
            raise Refused(
                400,
                "INVALID_ARGUMENT",
                f"Invalid value at '{fault.field}': {fault}",
                violation(fault.field, str(fault)),
                fcm_error("INVALID_ARGUMENT"),
            ) from None
        return checked

    def _malformed(self, kind: str) -> None:
        raise Refused(
            400,
            "INVALID_ARGUMENT",
            "The registration token is not a valid FCM registration token",
            violation(f"message.{kind}", "Invalid registration token"),
            fcm_error("INVALID_ARGUMENT"),
        )

    def _fate(self, address: str, kind: str) -> None:
        match self.world.behaviour.fate("fcm", address):
            case Fate.UNINSTALLED:
                raise Refused(
                    404,
                    "NOT_FOUND",
                    "Requested entity was not found.",
                    fcm_error("UNREGISTERED"),
                )
            case Fate.UNKNOWN:
                self._malformed(kind)
            case Fate.FOREIGN:
                raise Refused(
                    403, "PERMISSION_DENIED", "SenderId mismatch", fcm_error("SENDER_ID_MISMATCH")
                )
            case Fate.BUSY:
                raise Refused(
                    429,
                    "RESOURCE_EXHAUSTED",
                    "Quota exceeded for this device.",
                    fcm_error("QUOTA_EXCEEDED"),
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{"subject": "device:this"}],
                    },
                    after=1,
                )


def message_id_of(message: dict[str, Any]) -> str:
    """The sender's own message id, where an SDK would look for it."""
    data = message.get("data") or message.get("android", {}).get("data") or {}
    if "org_ib_d" in data:
        try:
            return str(json.loads(data["org_ib_d"]).get("messageId", ""))
        except ValueError:
            return ""
    return str(data.get("messageId", ""))
