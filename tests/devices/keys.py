"""Keys as clouds give them out, made when they are needed: none is kept in the repository."""

import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@cache
def rsa_pem() -> str:
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@cache
def apns_pem() -> str:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


@cache
def other_curve_pem() -> str:
    return _pem(ec.generate_private_key(ec.SECP384R1()))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def service_account_json(**changed: Any) -> str:
    account = {
        "type": "service_account",
        "project_id": "shop-test",
        "private_key_id": "0123456789abcdef",
        "private_key": rsa_pem(),
        "client_email": "push@shop-test.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        **changed,
    }
    return json.dumps({name: value for name, value in account.items() if value is not None})
