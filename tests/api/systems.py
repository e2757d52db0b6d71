"""Another system that calls our APIs with a key."""

import base64
import hashlib
import json
from typing import Any

from django.contrib.auth.hashers import make_password
from django.test import Client

from devices.models import ApiKey, ApiUser, Application
from tests.api import documented

SCOPES = ["people:manage"]


def make_key(value: str = "key-of-a-shop", **given: Any) -> ApiKey:
    return ApiKey.objects.create(
        **{
            "name": "CRM",
            "prefix": value[:8],
            "digest": hashlib.sha256(value.encode()).digest(),
            "scopes": SCOPES,
            **given,
        }
    )


def make_api_user(username: str = "crm", password: str = "open sesame", **given: Any) -> ApiUser:
    return ApiUser.objects.create(
        username=username,
        password=make_password(password),
        **{"scopes": SCOPES, **given},
    )


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class System:
    """Calls with a key, in the name of one application."""

    def __init__(self, application: Application | None = None, key: str = "key-of-a-shop") -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.headers = {"Authorization": f"App {key}"}
        if application is not None:
            self.headers["AppCode"] = application.code

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else ""
        known = {**self.headers, **headers}
        answer = self.client.generic(
            method,
            path,
            data,
            content_type="application/json",
            headers={name: value for name, value in known.items() if value},
        )
        documented.check(headers.get("X-HTTP-Method-Override", method).upper(), path, answer, body)
        return answer

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)
