"""Somebody who may make any documented call, and what each call is made with."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from api.openapi.calls import JSON, Call, Family
from api.openapi.insider import INSIDER
from api.openapi.mobile import MOBILE
from api.openapi.own import RECEIVER
from campaigns.models import Scenario
from devices.access import SCOPES
from devices.models import Platform
from tests.api import documented
from tests.api.insider import KEY, connect, make_insider_key
from tests.api.systems import make_key
from tests.factories import make_application, make_person, make_registration

ANY_UUID = "a28dd97c-1ffb-4fcf-99f1-0b557ed381da"
NEEDED = {"platformType": "GCM", "identifier": "jdoe", "type": "EXTERNAL_ID"}  # of queries


class Everybody:
    """An application with a device of somebody's, and everybody who may call."""

    def __init__(self) -> None:
        self.application = make_application()
        make_key(scopes=list(SCOPES))
        make_insider_key(self.application)
        connect(self.application, Platform.ANDROID)
        Scenario.objects.create(key="0" * 32, default=True, steps=[{"channel": "SMS"}])
        self.device = make_registration(self.application, person=make_person(external_id="jdoe"))
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.names = {  # that paths have
            "pushRegId": str(self.device.address.public_id),
            "externalUserId": "jdoe",
            "applicationCode": self.application.code,
            "application": str(self.application.pk),
            "messageId": ANY_UUID,
            "id": "1",
            "content": "1",
            "cloud": "gcm",
            "key": "0" * 32,
            "token": "token",
        }

    def path_of(self, call: Call, query: Mapping[str, str] | None = None) -> str:
        """With what its query needs, or this one instead."""
        path = call.path
        for name, value in self.names.items():
            path = path.replace(f"{{{name}}}", value)
        needed = {
            each.name: NEEDED.get(each.name, "1")
            for each in call.parameters
            if each.where == "query" and (each.required or each.name == "type")
        }
        told = needed if query is None else query
        return f"{path}?{urlencode(told)}" if told else path

    def headers_of(self, family: Family) -> dict[str, str]:
        if family is INSIDER:
            return {"X-INSIDER-API-KEY": KEY}
        code = self.application.code
        if family in (MOBILE, RECEIVER):
            return {"Authorization": f"App {code}"}
        return {"Authorization": "App key-of-a-shop", "AppCode": code}

    def call(
        self,
        family: Family,
        call: Call,
        body: Any = None,
        *,
        method: str = "",
        headers: Mapping[str, str] | None = None,
        body_type: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Make a call with the document's example, if no other body is given."""
        told = call.example if body is None else body
        if family is INSIDER and body is None:
            told = {**told, "api_key": KEY}
        raw = told if isinstance(told, bytes) else json.dumps(told).encode() if told else b""
        path, method = self.path_of(call, query), method or call.method.upper()
        answer = self.client.generic(
            method,
            path,
            raw,
            content_type=body_type or (call.body_type if call.body is not None else JSON),
            headers={**self.headers_of(family), **(headers or {})},
        )
        documented.check(method, path, answer, told)
        return answer
