"""Apps of AppGallery Connect as Huawei's clouds know them."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.inputs import BadInput, flag, json_list, json_object, only, text
from simulator.webhooks import check_url


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What a service account of the app's project signs with."""

    key_id: str
    sub_account: str
    key: rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Callback:
    """An address for receipts, and what they are signed with."""

    receipt_id: str
    url: str
    user: str
    key: str


@dataclass(frozen=True, slots=True)
class HuaweiApp:
    app_id: str
    client_secret: str
    project_id: str
    keys: tuple[ServiceKey, ...]
    callbacks: tuple[Callback, ...]  # the first serves pushes that name none
    may_be_urgent: bool  # has the right to urgency HIGH

    @classmethod
    def read(cls, given: object, field: str) -> HuaweiApp:
        """`{app_id, client_secret, project_id, keys: [{key_id, sub_account, public_key_pem}],
        receipts: [{id, url, user, key}], may_be_urgent}`; only the first two must be there.
        Raises BadInput.
        """
        data = json_object(given, field)
        names = {"app_id", "client_secret", "project_id", "keys", "receipts", "may_be_urgent"}
        only(data, names, field)
        keys = json_list(data.get("keys", []), f"{field}.keys")
        callbacks = json_list(data.get("receipts", []), f"{field}.receipts")
        app_id = text(data.get("app_id"), f"{field}.app_id", longest=20)
        return cls(
            app_id,
            text(data.get("client_secret"), f"{field}.client_secret"),
            text(data.get("project_id", app_id), f"{field}.project_id", longest=30),
            tuple(_key(one, f"{field}.keys[{place}]") for place, one in enumerate(keys)),
            tuple(
                _callback(one, f"{field}.receipts[{place}]") for place, one in enumerate(callbacks)
            ),
            flag(data.get("may_be_urgent", False), f"{field}.may_be_urgent"),
        )

    def callback(self, receipt_id: str) -> Callback | None:
        """Where receipts go; None for an id nobody has set up, or without any."""
        for one in self.callbacks:
            if receipt_id in ("", one.receipt_id):
                return one
        return None


def _key(given: object, field: str) -> ServiceKey:
    data = json_object(given, field)
    names = ("key_id", "sub_account", "public_key_pem")
    only(data, set(names), field)
    key_id, sub_account, pem = (
        text(data.get(name), f"{field}.{name}", longest=10_000) for name in names
    )
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadInput(f"{field}.public_key_pem", "must be an RSA public key in PEM form")
    return ServiceKey(key_id, sub_account, key)


def _callback(given: object, field: str) -> Callback:
    data = json_object(given, field)
    only(data, {"id", "url", "user", "key"}, field)
    url, user, key = (text(data.get(name), f"{field}.{name}") for name in ("url", "user", "key"))
    check_url(url)
    receipt_id = data.get("id", "")
    if not isinstance(receipt_id, str):
        raise BadInput(f"{field}.id", "must be a text")
    return Callback(receipt_id, url, user, key)
