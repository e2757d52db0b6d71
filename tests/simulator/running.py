"""A simulator in a process of its own, and foreign clients that talk to it."""

from __future__ import annotations

import base64
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
FCM, OAUTH = "fcm.googleapis.com", "oauth2.googleapis.com"
APNS, SANDBOX = "api.push.apple.com", "api.sandbox.push.apple.com"
TOKEN_URI = f"https://{OAUTH}/token"
PROJECT, TOPIC = "shop-test", "com.example.shop"
# Devices drawn at random are dead, or their cloud is busy, unless it is told otherwise.
CALM = dict.fromkeys(("unregistered", "mismatched", "malformed", "unavailable", "busy"), 0)
Json = dict[str, Any]
CONTROL = httpx.Client(verify=False, trust_env=False, timeout=10)  # noqa: S501 (plain HTTP)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key(name: str = "") -> ec.EllipticCurvePrivateKey:
    """One key per name."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def account(project: str = PROJECT, key_id: str = "key-1") -> Json:
    return {
        "project_id": project,
        "client_email": f"push@{project}.example",
        "private_key_id": key_id,
        "public_key_pem": public_pem(rsa_key()),
    }


def apple_key(key_id: str = "ABCDE12345", **given: Any) -> Json:
    return {
        "team_id": "TEAM123456",
        "key_id": key_id,
        "public_key_pem": public_pem(ec_key(key_id)),
        "topics": [TOPIC],
        "environment": "",
        **given,
    }


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signing_input(header: Json, claims: Json) -> str:
    return ".".join(b64(json.dumps(part).encode()) for part in (header, claims))


def google_jwt(*, key_id: str = "key-1", **claims: Any) -> str:
    now = int(time.time())
    told = {
        "iss": f"push@{PROJECT}.example",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": TOKEN_URI,
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
    signed = signing_input(header, told)
    signature = rsa_key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{b64(signature)}"


def apple_jwt(
    *, key_id: str = "ABCDE12345", team: str = "TEAM123456", iat: float | None = None,
    signer: str = "", alg: str = "ES256",
) -> str:  # fmt: skip
    issued = time.time() if iat is None else iat
    signed = signing_input({"alg": alg, "kid": key_id}, {"iss": team, "iat": int(issued)})
    der = ec_key(signer or key_id).sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def fcm_token(name: str = "") -> str:
    """Of the form that FCM gives out; `name` may hold a fate."""
    unique = uuid.uuid4().hex
    return f"{name or unique[:22]}:APA91b{unique * 4}"


def apns_token(mark: str = "") -> str:
    unique = uuid.uuid4().hex * 2
    return (mark + unique)[:64]


class Simulator:
    """`python -m simulator.gateways`, ended with the test whatever happens."""

    def __init__(self, home: Path, *options: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self._start(options)

    def _start(self, options: tuple[str, ...]) -> None:
        self.options = options
        facts = self.home / "gateways.json"
        facts.unlink(missing_ok=True)
        command = [sys.executable, "-m", "simulator.gateways", "--home", str(self.home)]
        self.log = (self.home / "log").open("ab")
        self.popen = subprocess.Popen(
            [*command, "--latency", "0", *options], cwd=ROOT, stdout=self.log, stderr=self.log
        )
        eventually(lambda: facts.exists() or self.popen.poll() is not None, "it listens")
        assert self.popen.poll() is None, (self.home / "log").read_text()
        told = json.loads(facts.read_text())
        self.port: int = told["port"]
        self.control: str = told["control"]
        self.ca_file: str = told["ca_file"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        try:
            return self.popen.wait(timeout=10)
        finally:
            self.popen.kill()
            self.log.close()

    def restart(self, number: signal.Signals) -> None:
        self.stop(number)
        self._start(self.options)

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return CONTROL.request(method, f"{self.control}{path}", json=body)

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.ask("POST", path, {} if body is None else body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)

    def client(self, host: str, *, http2: bool = True) -> Client:
        return Client(self, host, http2=http2)

    def wire(self, host: str, protocols: tuple[str, ...] = ("h2",)) -> ssl.SSLSocket:
        """A bare TLS connection, for what no client library would do."""
        context = self.tls()
        context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        return context.wrap_socket(plain, server_hostname=host)


class Client:
    """httpx, sent to the simulator under a cloud's name."""

    def __init__(self, simulator: Simulator, host: str, *, http2: bool) -> None:
        self.host = host
        self._base = f"https://127.0.0.1:{simulator.port}"
        self._http = httpx.Client(
            http1=not http2, http2=http2, verify=simulator.tls(), trust_env=False, timeout=5
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = httpx.Headers(given.pop("headers", {}))
        headers.setdefault("host", self.host)
        return self._http.request(
            method, self._base + path, headers=headers,
            extensions={"sni_hostname": self.host}, **given,
        )  # fmt: skip

    def access_token(self, **claims: Any) -> str:
        """Of the OAuth endpoint; the client must be one of it."""
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
        answer = self.post("/token", data={**form, "assertion": google_jwt(**claims)})
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


def message(token: str, **given: Any) -> Json:
    """A body for FCM; `given` overrides members of the message."""
    data = {"messageId": str(uuid.uuid4())}
    return {"message": {"token": token, "data": data, **given}}
