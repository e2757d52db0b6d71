"""Apple's side. Source: contract/providers.md 3 and 11.4 (SIM-40 to SIM-49)."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from simulator import tokens
from simulator.behaviour import Fate
from simulator.exchange import Answer, Manners, Request, Traffic

if TYPE_CHECKING:
    from simulator.world import World

HOSTS = ("api.push.apple.com", "api.sandbox.push.apple.com", "api.development.push.apple.com")
DEVICE = re.compile(r"/3/device/([^/]*)")
TOKEN = re.compile(r"(?:[0-9a-f]{2}){16,100}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PUSH_TYPES = {
    "alert", "background", "voip", "complication", "fileprovider", "mdm", "location",
    "liveactivity", "pushtotalk", "controls", "widgets",
}  # fmt: skip
SUFFIX = {
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "location": ".location-query",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "controls": ".push-type.controls",
    "widgets": ".push-type.widgets",
}
LARGEST = {"voip": 5120}
TWENTY_MINUTES = 1200.0
AN_HOUR = 3600.0


class Refused(Exception):
    def __init__(self, status: int, reason: str, **more: Any) -> None:
        super().__init__(reason)
        self.status, self.reason, self.more = status, reason, more


class Apns:
    """Answers like api.push.apple.com and its sandbox."""

    name = "apns"
    hosts: tuple[str, ...] = HOSTS
    http1 = False

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic = Traffic()

    @property
    def manners(self) -> Manners:
        return self.world.behaviour.manners("apns")

    def answer(self, request: Request) -> Answer:
        apns_id = request.headers.get("apns-id", "")
        echoed = apns_id if UUID.fullmatch(apns_id.lower()) else str(uuid.uuid4())
        try:
            return self._push(request, echoed)
        except Refused as refused:
            self.world.ledger.refuse("apns", refused.reason)
            body = json.dumps({"reason": refused.reason, **refused.more}).encode()
            return Answer(refused.status, (("apns-id", echoed),), body)

    def _push(self, request: Request, apns_id: str) -> Answer:
        """Checks in Apple's order: token, path, device, payload."""
        now = self.world.clock.now()
        key = self._authorize(request, now)
        match = DEVICE.fullmatch(request.path)
        if match is None:
            raise Refused(404, "BadPath")
        if request.method != "POST":
            raise Refused(405, "MethodNotAllowed")
        if request.doubled:
            raise Refused(400, "DuplicateHeaders")
        token = match[1]
        if not token:
            raise Refused(400, "MissingDeviceToken")
        self._topic(request, key)
        if not TOKEN.fullmatch(token.lower()):
            raise Refused(400, "BadDeviceToken")
        self._headers(request)
        payload = self._payload(request)
        disturbed = self.world.disturb("apns")
        if disturbed is not None:
            return disturbed if disturbed.status == 0 else unavailable()
        self._fate(token, now)
        message = str(payload.get("messageId") or apns_id)
        topic = request.headers["apns-topic"]
        self.world.accept("apns", message, token, topic, request, payload)
        delay = self.world.behaviour.latency("apns", token)
        return self.world.spoil("apns", Answer(200, (("apns-id", apns_id),), b"", delay))

    def _authorize(self, request: Request, now: float) -> dict[str, Any]:
        peer, header = request.peer, request.headers.get("authorization", "")
        if header[:7].lower() != "bearer ":
            raise Refused(403, "MissingProviderToken")
        token = header[7:]
        key, issued = self._known(token)
        if issued > now + 60:
            raise Refused(403, "InvalidProviderToken")
        if issued < now - AN_HOUR:
            raise Refused(403, "ExpiredProviderToken")
        if key["environment"] != ("sandbox" if "sandbox" in peer.host or "development" in peer.host
                                  else "production"):  # fmt: skip
            raise Refused(403, "BadEnvironmentKeyIdInToken")
        if now < peer.spoiled_until:
            raise Refused(429, "TooManyProviderTokenUpdates")
        if peer.provider_token and peer.provider_token != token:
            if now - peer.provider_token_at < TWENTY_MINUTES:
                peer.spoiled_until = peer.provider_token_at + TWENTY_MINUTES
                raise Refused(429, "TooManyProviderTokenUpdates")
            if peer.team != key["team_id"]:
                raise Refused(403, "UnrelatedKeyIdInToken")
        if peer.provider_token != token:
            peer.provider_token, peer.provider_token_at = token, now
            peer.team = key["team_id"]
        peer.proved = True
        return key

    def _known(self, token: str) -> tuple[dict[str, Any], float]:
        """The key that signed a token and when; verified once per token."""
        known = self.world.apns_tokens.get(token)
        if known is None:
            try:
                known = self._verify(token)
            except (tokens.BadToken, KeyError, TypeError, ValueError):
                raise Refused(403, "InvalidProviderToken") from None
            self.world.apns_tokens[token] = known
        return known

    def _verify(self, token: str) -> tuple[dict[str, Any], float]:
        header, claims, signed, signature = tokens.read(token)
        key = self.world.apns_keys[str(header.get("kid"))]
        tokens.verify_es256(key["public_key_pem"], signed, signature)
        if header.get("alg") != "ES256" or claims.get("iss") != key["team_id"]:
            raise Refused(403, "InvalidProviderToken")
        return key, float(claims["iat"])

    def _topic(self, request: Request, key: dict[str, Any]) -> None:
        topic = request.headers.get("apns-topic", "")
        if not topic:
            raise Refused(400, "MissingTopic")
        kind = request.headers.get("apns-push-type", "alert")
        suffix = SUFFIX.get(kind, "")
        if suffix and not topic.endswith(suffix):
            raise Refused(400, "BadTopic")
        bundle = topic.removesuffix(suffix)
        if not re.fullmatch(r"[A-Za-z0-9.-]+", bundle):
            raise Refused(400, "BadTopic")
        if bundle not in key["topics"]:
            raise Refused(400, "TopicDisallowed")

    def _headers(self, request: Request) -> None:
        headers = request.headers
        kind = headers.get("apns-push-type", "alert")
        if kind not in PUSH_TYPES:
            raise Refused(400, "InvalidPushType")
        priority = headers.get("apns-priority", "10")
        if priority not in ("10", "5", "1") or (kind == "background" and priority == "10"):
            raise Refused(400, "BadPriority")
        if not headers.get("apns-expiration", "0").isdecimal():
            raise Refused(400, "BadExpirationDate")
        if "apns-id" in headers and not UUID.fullmatch(headers["apns-id"].lower()):
            raise Refused(400, "BadMessageId")
        if len(headers.get("apns-collapse-id", "").encode("latin-1")) > 64:
            raise Refused(400, "BadCollapseId")

    def _payload(self, request: Request) -> dict[str, Any]:
        if not request.body:
            raise Refused(400, "PayloadEmpty")
        kind = request.headers.get("apns-push-type", "alert")
        if len(request.body) > LARGEST.get(kind, 4096):
            raise Refused(413, "PayloadTooLarge")
        try:
            payload = json.loads(request.body)
        except ValueError:
            raise Refused(400, "PayloadEmpty") from None
        if not isinstance(payload, dict) or not isinstance(payload.get("aps"), dict):
            raise Refused(400, "PayloadEmpty")
        aps = payload["aps"]
        if kind == "background" and (
            aps.get("content-available") != 1 or {"alert", "badge", "sound"} & aps.keys()
        ):
            raise Refused(400, "InvalidPushType")
        return payload

    def _fate(self, token: str, now: float) -> None:
        match self.world.behaviour.fate("apns", token):
            case Fate.UNINSTALLED:
                raise Refused(410, "Unregistered", timestamp=int(now * 1000))
            case Fate.UNKNOWN:
                raise Refused(400, "BadDeviceToken")
            case Fate.FOREIGN:
                raise Refused(400, "DeviceTokenNotForTopic")
            case Fate.BUSY:
                raise Refused(429, "TooManyRequests")


def unavailable() -> Answer:
    return Answer(503, (), b'{"reason":"ServiceUnavailable"}')
