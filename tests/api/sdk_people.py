"""People as the SDK speaks of them, and the app on their phone."""

from typing import Any

import pytest

from devices.models import Address, Registration
from tests.api.apps import INSTANCES, App

JDOE: dict[str, Any] = {
    "userIdentity": {
        "externalUserId": "jdoe",
        "phones": [{"number": "79810000000"}],
        "emails": [{"address": "my.email@gmail.com"}],
    },
    "userAttributes": {
        "firstName": "John",
        "middleName": "M",
        "lastName": "Doe",
        "gender": "Male",
        "birthday": "1985-07-12",
        "tags": ["Pizza"],
        "customAttributes": {"bootsize": 9.5, "member": True, "points": 9223372036854775807},
    },
}
USER: dict[str, Any] = {
    "externalUserId": "jdoe",
    "firstName": "John",
    "middleName": "M",
    "lastName": "Doe",
    "gender": "Male",
    "birthday": "1985-07-12",
    "type": "CUSTOMER",
    "phones": [{"number": "79810000000", "preferred": False}],
    "emails": [{"address": "my.email@gmail.com", "preferred": False}],
    "tags": ["Pizza"],
    "customAttributes": {"bootsize": 9.5, "member": True, "points": 9223372036854775807},
}


class Phone:
    """One installed app that is registered."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.id = app.register()["pushRegId"]
        self.path = f"{INSTANCES}/{self.id}"

    def personalize(self, body: Any, query: str = "") -> Any:
        return self.app.post(f"{self.path}/personalize{query}", body)

    def user(self, query: str = "") -> dict[str, Any]:
        answer = self.app.call("GET", f"{self.path}/user{query}")
        assert answer.status_code == 200, answer.content
        told: dict[str, Any] = answer.json()
        return told

    def patch(self, body: Any) -> Any:
        return self.app.call("PATCH", f"{self.path}/user", body)

    @property
    def registration(self) -> Registration:
        return Address.objects.select_related("registration").get(public_id=self.id).registration


@pytest.fixture
def phone(app: App) -> Phone:
    return Phone(app)


def identity(**members: Any) -> dict[str, Any]:
    return {"userIdentity": members}
