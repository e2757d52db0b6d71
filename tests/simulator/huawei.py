"""An app of AppGallery Connect, and a client that pushes for it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.simulator.running import Client, Json, Simulator, b64, public_pem, rsa_key, signing_input

PUSH, LOGIN = "push-api.cloud.huawei.com", "oauth-login.cloud.huawei.com"
TOKEN_URL = f"https://{LOGIN}/oauth2/v3/token"
APP, SECRET, PROJECT = "101234567", "s3cret", "388421841222199"
PATHS = {
    "v1": f"/v1/{APP}/messages:send",
    "v2": f"/v2/{PROJECT}/messages:send",
    "v3": f"/v3/{PROJECT}/messages:send",
}


def app(**given: Any) -> Json:
    """What the simulator is told of it."""
    key = {"key_id": "key-1", "sub_account": "999888", "public_key_pem": public_pem(rsa_key())}
    told = {"app_id": APP, "client_secret": SECRET, "project_id": PROJECT, "keys": [key]}
    return {**told, **given}


def callback(url: str, receipt_id: str = "") -> Json:
    return {"id": receipt_id, "url": url, "user": "receipts", "key": "receipt-key"}


def jwt(*, header: Json | None = None, salt: int = 32, **claims: Any) -> str:
    """What a service account of the project signs."""
    now = int(time.time())
    told = {"iss": "999888", "aud": TOKEN_URL, "iat": now, "exp": now + 3600, **claims}
    signed = signing_input({"alg": "PS256", "typ": "JWT", "kid": "key-1", **(header or {})}, told)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt)
    return f"{signed}.{b64(rsa_key().sign(signed.encode(), pss, hashes.SHA256()))}"


def login(simulator: Simulator, **given: Any) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": APP, "client_secret": SECRET, **given}
    with simulator.client(LOGIN, http2=False) as client:
        return client.post("/oauth2/v3/token", data=form)


def token(kind: str = "") -> str:
    """Of older phones, or of HarmonyOS 5; `kind` may be a fate."""
    unique = uuid.uuid4().hex * 4
    return f"fate-{kind}-{unique}" if kind and kind != "harmony" else _BEGIN[kind] + unique


_BEGIN = {"": "IQAAAACy0", "harmony": "MAMzLgIk"}


def v1(*tokens: str, **android: Any) -> Json:
    """A body; a member of `android` that is None is left out."""
    shown = {"title": "Sale", "body": "Today", "click_action": {"type": 3}}
    said = {"bi_tag": "camp-17", "notification": shown, **android}
    kept = {name: value for name, value in said.items() if value is not None}
    return {"message": {"token": list(tokens or [token()]), "android": kept}}


def v3(*tokens: str, shown: Json | None = None, **options: Any) -> Json:
    notification = {
        "category": "MARKETING",
        "title": "Sale",
        "body": "Today",
        "clickAction": {"actionType": 0},
        **(shown or {}),
    }
    return {
        "payload": {"notification": notification},
        "target": {"token": list(tokens or [token("harmony")])},
        "pushOptions": {"biTag": "camp-17", **options},
    }


Send = Callable[..., httpx.Response]


def sender(client: Client, bearer: str) -> Send:
    """Push as an OAuth client; with version 3 as a service account."""

    def send(
        body: Any, version: str = "v1", *, auth: str | None = None, **headers: str
    ) -> httpx.Response:
        told = bearer if auth is None else auth
        if version == "v3":
            told = jwt() if auth is None else auth
            headers = {"push-type": "0", **headers}
        content: Any = {"content": body} if isinstance(body, bytes) else {"json": body}
        all_headers = {"authorization": f"Bearer {told}", **headers}
        return client.post(PATHS[version], headers=all_headers, **content)

    return send


@pytest.fixture
def huawei(simulator: Simulator) -> Simulator:
    simulator.post("/credentials", {"hms": [app()]})
    return simulator


@pytest.fixture
def client(huawei: Simulator) -> Iterator[Client]:
    with huawei.client(PUSH, http2=False) as found:
        yield found


@pytest.fixture
def send(huawei: Simulator, client: Client) -> Send:
    return sender(client, login(huawei).json()["access_token"])


def code(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    told: str = answer.json()["code"]
    return told
