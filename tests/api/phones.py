"""Phones whose app asks for its messages, and messages that were sent to them."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from campaigns import ids, reports
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices.models import Platform, Registration
from tests.api.apps import App
from tests.factories import make_bulk, make_registration

SYNC = "/mobile/5/messages"
WRITE = "/mobile/1/messages/mo?platformType=GCM"
State = Message.State
STARTS = timezone.now().replace(microsecond=0) - timedelta(hours=1)


def make_message(
    bulk: Bulk, device: Registration, state: State = State.ACCEPTED, **given: Any
) -> str:
    """A row of the ledger; its id."""
    identifier = ids.message_id(bulk, device.pk)
    Message.objects.create(
        pk=identifier, bulk=bulk, registration=device, sent_at=bulk.starts_at, state=state,
        platform=device.platform, **given,
    )  # fmt: skip
    return str(identifier)


def fold_receipts() -> None:
    while store().xlen(reports.STREAM):
        reports.RECEIPTS.fold_entries(store())


def make_sent(app: App, **content: Any) -> Bulk:
    said = {"language": "", "variant": 0, "text": "Order shipped", **content}
    return make_bulk(app.application, starts_at=STARTS, bulk_id="my-bulk", content=[said])


class Phone:
    """A registered app that asks for its messages."""

    def __init__(self, app: App, **given: Any) -> None:
        self.app = app
        self.device = make_registration(app.application, **given)
        self.id = str(self.device.address.public_id)
        self.type = "APNS" if self.device.platform == Platform.IOS else "GCM"

    def sync(self, body: Any = None) -> list[dict[str, Any]]:
        path = f"{SYNC}?platformType={self.type}"
        answer = self.app.post(path, body, pushregistrationid=self.id)
        assert answer.status_code == 200, answer.content
        assert list(answer.json()) == ["payloads"]
        payloads: list[dict[str, Any]] = answer.json()["payloads"]
        return payloads

    def ids(self, body: Any = None) -> list[str]:
        return [each["gcm.notification.messageId"] for each in self.sync(body)]

    def write(self, *messages: Any, path: str = WRITE) -> Any:
        return self.app.post(path, {"from": self.id, "messages": list(messages)})
