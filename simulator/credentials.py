"""The public halves of the credentials that clients sign with, and how a JWT is checked."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from simulator.apns_certificates import ApnsCertificate
from simulator.certificates import write_private
from simulator.huawei_accounts import HuaweiApp
from simulator.inputs import BadInput, json_list, json_object, number, only, text

CLOUDS = ("fcm", "apns", "apns_certificates", "infobip", "twilio", "hms")
ENVIRONMENTS = ("production", "sandbox", "")


class BadJwt(Exception):
    """Not a token of this kind, or not signed by that key."""


@dataclass(frozen=True, slots=True)
class Jwt:
    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class FcmAccount:
    """A service account that may send for one Firebase project."""

    project_id: str
    client_email: str
    private_key_id: str
    key: rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class ApnsKey:
    """A token key of an Apple team."""

    team_id: str
    key_id: str
    key: ec.EllipticCurvePublicKey
    topics: frozenset[str]  # the only ones it may send to; empty is any
    environment: str  # the only one it may send to; "" is both


@dataclass(frozen=True, slots=True)
class SmsAccount:
    """Who may send texts, from whom, and for how much."""

    key: str  # Infobip: the API key; Twilio: the account SID
    secret: str  # Twilio: the auth token
    senders: frozenset[str]  # the registered ones; empty is any
    credit: float
    price: float  # of a part
    currency: str


class Credentials:
    """Known to the clouds; kept in the home folder."""

    def __init__(self, home: Path) -> None:
        self.fcm: dict[str, FcmAccount] = {}  # by private key id
        self.apns: dict[str, ApnsKey] = {}  # by key id
        self.certificates: dict[str, ApnsCertificate] = {}  # by fingerprint
        self.infobip: dict[str, SmsAccount] = {}  # by API key
        self.twilio: dict[str, SmsAccount] = {}  # by account SID
        self.huawei: dict[str, HuaweiApp] = {}  # by app id
        self._file = home / "credentials.json"
        self._given: dict[str, dict[str, object]] = {}  # by cloud and key id
        if self._file.exists():
            self.add(json.loads(self._file.read_text()))

    @property
    def projects(self) -> set[str]:
        return {account.project_id for account in self.fcm.values()}

    @property
    def topics(self) -> set[str]:
        of_keys = {topic for key in self.apns.values() for topic in key.topics}
        return of_keys.union(*(shown.topics for shown in self.certificates.values()))

    def add(self, given: Mapping[str, object]) -> None:
        """All of `{"fcm": […], "apns": […], "infobip": […], "twilio": […], …}` or, if one is
        wrong, none. Raises BadInput."""
        only(given, set(CLOUDS))
        texting = [
            (cloud, _sms(cloud, one, f"{cloud}[{place}]"), one)
            for cloud in ("infobip", "twilio")
            for place, one in enumerate(json_list(given.get(cloud, []), cloud))
        ]
        accounts = [
            (_fcm(one, f"fcm[{place}]"), one)
            for place, one in enumerate(json_list(given.get("fcm", []), "fcm"))
        ]
        keys = [
            (_apns(one, f"apns[{place}]"), one)
            for place, one in enumerate(json_list(given.get("apns", []), "apns"))
        ]
        certificates = [
            (ApnsCertificate.read(one, f"{cloud}[{place}]"), one)
            for cloud in ("apns_certificates",)
            for place, one in enumerate(json_list(given.get(cloud, []), cloud))
        ]
        apps = [
            (HuaweiApp.read(one, f"hms[{place}]"), one)
            for place, one in enumerate(json_list(given.get("hms", []), "hms"))
        ]
        for app, data in apps:
            self.huawei[app.app_id] = app
            self._given[f"hms {app.app_id}"] = json_object(data, "hms")
        for account, data in accounts:
            self.fcm[account.private_key_id] = account
            self._given[f"fcm {account.private_key_id}"] = json_object(data, "fcm")
        for key, data in keys:
            self.apns[key.key_id] = key
            self._given[f"apns {key.key_id}"] = json_object(data, "apns")
        for shown, data in certificates:
            self.certificates[shown.fingerprint] = shown
            name = f"apns_certificates {shown.fingerprint}"
            self._given[name] = json_object(data, "apns_certificates")
        for cloud, sms, data in texting:
            (self.infobip if cloud == "infobip" else self.twilio)[sms.key] = sms
            self._given[f"{cloud} {sms.key}"] = json_object(data, cloud)
        self._save()

    def revoke(self, cloud: str, key_id: str) -> None:
        """What this key has signed is refused from now on. Raises BadInput.

        Of a certificate the fingerprint is its key id: 64 hex digits of SHA-256.
        """
        known: Mapping[str, dict[str, Any]] = {
            "fcm": self.fcm, "apns": self.apns, "apns_certificates": self.certificates,
            "infobip": self.infobip, "twilio": self.twilio, "hms": self.huawei,
        }  # fmt: skip
        if key_id not in known.get(cloud, {}):
            raise BadInput("key_id", "is unknown to this cloud", status=404)
        del known[cloud][key_id]
        del self._given[f"{cloud} {key_id}"]
        self._save()

    def clear(self) -> None:
        self.fcm.clear()
        self.apns.clear()
        self.certificates.clear()
        self.infobip.clear()
        self.twilio.clear()
        self.huawei.clear()
        self._given.clear()
        self._save()

    def _save(self) -> None:
        stored: dict[str, list[object]] = {cloud: [] for cloud in CLOUDS}
        for name, data in self._given.items():
            stored[name.split(" ")[0]].append(data)
        write_private(self._file, json.dumps(stored, indent=1).encode())


def _fcm(given: object, field: str) -> FcmAccount:
    names = {"project_id", "client_email", "private_key_id", "public_key_pem"}
    told = _texts(given, field, names)
    key = _public_key(told["public_key_pem"], f"{field}.public_key_pem")
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadInput(f"{field}.public_key_pem", "must be an RSA public key")
    return FcmAccount(told["project_id"], told["client_email"], told["private_key_id"], key)


def _apns(given: object, field: str) -> ApnsKey:
    data = dict(json_object(given, field))
    topics = json_list(data.pop("topics", []), f"{field}.topics")
    environment = data.pop("environment", "")
    if environment not in ENVIRONMENTS:
        raise BadInput(f"{field}.environment", 'must be "production", "sandbox" or "" for both')
    told = _texts(data, field, {"team_id", "key_id", "public_key_pem"})
    key = _public_key(told["public_key_pem"], f"{field}.public_key_pem")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput(f"{field}.public_key_pem", "must be a public key on the curve P-256")
    return ApnsKey(
        told["team_id"],
        told["key_id"],
        key,
        frozenset(text(one, f"{field}.topics") for one in topics),
        str(environment),
    )


def _sms(cloud: str, given: object, field: str) -> SmsAccount:
    data = dict(json_object(given, field))
    senders = json_list(data.pop("senders", []), f"{field}.senders")
    amount = number(0, 1e9)
    credit = amount(data.pop("credit", 1000.0), f"{field}.credit")
    price = amount(data.pop("price", 0.01), f"{field}.price")
    currency = text(data.pop("currency", "EUR"), f"{field}.currency", longest=3)
    names = {"api_key"} if cloud == "infobip" else {"account_sid", "auth_token"}
    told = _texts(data, field, names)
    return SmsAccount(
        told["api_key"] if cloud == "infobip" else told["account_sid"],
        told.get("auth_token", ""),
        frozenset(text(one, f"{field}.senders") for one in senders),
        credit,
        price,
        currency,
    )


def _texts(given: object, field: str, names: set[str]) -> dict[str, str]:
    data = json_object(given, field)
    only(data, names, field)
    return {name: text(data.get(name), f"{field}.{name}", longest=10_000) for name in names}


def _public_key(pem: str, field: str) -> object:
    if "PRIVATE" in pem:
        raise BadInput(field, "must be the public half; keep the private key to yourself")
    try:
        return serialization.load_pem_public_key(pem.encode())
    except ValueError:
        raise BadInput(field, "must be a public key in PEM form") from None


def parse(token: str) -> Jwt:
    """The parts of a JWT, unchecked. Raises BadJwt."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BadJwt("a JWT has three parts")
    try:
        header, claims, signature = (
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts
        )
        read = json.loads(header), json.loads(claims)
    except (binascii.Error, ValueError, RecursionError):
        raise BadJwt("a part of the JWT cannot be read") from None
    if not isinstance(read[0], dict) or not isinstance(read[1], dict):
        raise BadJwt("header and claims of a JWT are objects")
    return Jwt(read[0], read[1], f"{parts[0]}.{parts[1]}".encode(), signature)


def check_rs256(jwt: Jwt, key: rsa.RSAPublicKey) -> None:
    """Raises BadJwt."""
    if jwt.header.get("alg") != "RS256":
        raise BadJwt("the algorithm must be RS256")
    try:
        key.verify(jwt.signature, jwt.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise BadJwt("Invalid JWT Signature.") from None


def check_es256(jwt: Jwt, key: ec.EllipticCurvePublicKey) -> None:
    """Raises BadJwt. The signature is r and s, 32 bytes each. Source: RFC 7518 3.4."""
    if jwt.header.get("alg") != "ES256":
        raise BadJwt("the algorithm must be ES256")
    if len(jwt.signature) != 64:
        raise BadJwt("an ES256 signature has 64 bytes")
    r, s = (int.from_bytes(jwt.signature[at : at + 32], "big") for at in (0, 32))
    try:
        key.verify(encode_dss_signature(r, s), jwt.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise BadJwt("the signature does not fit the key") from None
