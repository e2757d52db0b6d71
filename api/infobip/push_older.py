"""The older calls that send: /push/2/message/single and /multi (contract/push.md 10)."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pydantic import AfterValidator, Field

from api import idempotency
from api.endpoint import NOT_BLANK, Json, Schema, StoredObject, Text, Text255, endpoint
from api.infobip import statuses
from api.infobip.push import SHORTEST_VALIDITY, compact, faults_of, notification_of, sender_of
from api.infobip.push_family import SEND, KnownRequest, family, read
from api.infobip.push_schemas import (
    HIGHEST_BADGE,
    MOST_MESSAGES,
    TAGS,
    Action,
    Content,
    ImageContent,
    Options,
    SendTime,
    TextContent,
    Topic,
    Url,
    Words,
    not_blank,
)
from api.infobip.targeting import to_rule
from campaigns import intake, submitting, tasks
from campaigns.errors import RuleError
from campaigns.intake import Kind
from campaigns.models import Rejection
from campaigns.submitting import Order, Placed, Target
from devices.models import Application

FAMILY = family(SEND, "older sends", lambda: settings.OLDER_PUSH_CALLS_PER_SECOND, older=True)

VALIDITY = 48  # hours
LONGEST_VALIDITY = 72 * 3600  # seconds
UNITS = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}


class OlderOptions(Schema):
    """The options' older names; ours by `newer`."""

    title: Annotated[Text, Field(max_length=45)] | None = None
    image_url: Url | None = Field(None, alias="contentUrl")
    sound: bool | None = Field(None, alias="soundEnabled")
    sound_name: Text255 | None = Field(None, alias="soundName")
    vibrate: bool | None = Field(None, alias="vibrationEnabled")
    silent: bool | None = Field(None, alias="isSilent")
    badge: Annotated[int, Field(ge=0, le=HIGHEST_BADGE)] | None = None
    category: Text255 | None = None
    mirrored: bool | None = Field(None, alias="showInApp")
    mirrored_style: Literal["MODAL", "BANNER"] | None = Field(None, alias="inAppStyle")
    mirrored_for: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, alias="inAppExpirationPeriod"
    )
    mirrored_unit: Literal["MINUTES", "HOURS"] | None = Field(None, alias="inAppExpirationTimeUnit")
    dismiss_title: Text255 | None = Field(None, alias="inAppDismissTitle")
    open_title: Text255 | None = Field(None, alias="inAppOpenTitle")
    action: Action | None = Field(None, alias="primaryButtonAction")
    topic: Topic | None = Field(None, alias="inboxTopic")

    def newer(self, custom_payload: Mapping[str, Any] | None) -> Options:
        shared = {name: getattr(self, name) for name in _SHARED}
        return Options.model_construct(**shared, custom_payload=custom_payload)


_SHARED = set(OlderOptions.model_fields) & set(Options.model_fields)


class OlderMessage(Schema):
    sender: Annotated[Text, Field(max_length=80), AfterValidator(not_blank), NOT_BLANK] = Field(
        alias="from"
    )
    to: dict[str, Any]
    text: Words | None = None
    validity: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(None, alias="validityPeriod")
    unit: Literal["SECONDS", "MINUTES", "HOURS"] | None = Field(
        None, alias="validityPeriodTimeUnit"
    )
    send_at: SendTime | None = Field(None, alias="sendAt")
    custom_payload: StoredObject | None = Field(None, alias="customPayload")
    options: OlderOptions | None = Field(None, alias="notificationOptions")
    notify_url: Url | None = Field(None, alias="notifyUrl")
    notify_type: Literal["application/json", "application/xml"] | None = Field(
        None, alias="notifyContentType"
    )
    callback_data: Annotated[Text, Field(max_length=200)] | None = Field(None, alias="callbackData")
    primary_only: bool | None = Field(None, alias="targetOnlyPrimaryDevices")

    @property
    def seconds(self) -> int:
        amount = VALIDITY if self.validity is None else self.validity
        return amount * UNITS[self.unit or "HOURS"]

    @property
    def content(self) -> Content:
        options, text = self.options or NO_OPTIONS, self.text or ""
        if options.image_url:
            return ImageContent.model_construct(
                type="IMAGE", title=options.title, text=text, url=options.image_url
            )
        return TextContent.model_construct(type="TEXT", title=options.title, text=text)


class Several(Schema):
    messages: Annotated[list[OlderMessage], Field(min_length=1, max_length=MOST_MESSAGES)]


NO_OPTIONS = OlderOptions.model_validate({})


def send_one(request: KnownRequest) -> Json:
    """POST /push/2/message/single."""
    return idempotency.once(
        request,
        request.author.name,
        FAMILY,
        lambda: _send([read(request, OlderMessage, FAMILY, TAGS)]),
    )


def send_several(request: KnownRequest) -> Json:
    """POST /push/2/message/multi."""
    return idempotency.once(
        request,
        request.author.name,
        FAMILY,
        lambda: _send(read(request, Several, FAMILY, TAGS).messages),
    )


@transaction.atomic
def _send(messages: list[OlderMessage]) -> Json:
    """Each message is a bulk of its own; all are accepted, or none."""
    return {"bulks": [_send_message(each) for each in messages]}


def _send_message(message: OlderMessage) -> Json:
    now = timezone.now()
    bulk_id = str(uuid.uuid4())
    order = _order(message, now)
    accepted = submitting.submit(bulk_id, [order], now=now)
    for pk in accepted.to_freeze:
        transaction.on_commit(partial(tasks.freeze_soon, pk))
    (placed,) = accepted.placed
    return {
        "to": message.to,
        "status": _status(placed),
        "messageCount": _count(order, placed),
        "bulkId": bulk_id,
    }


def _status(placed: Placed) -> Json:
    status = statuses.REJECTED[placed.rejection] if placed.rejection else statuses.ACCEPTED
    return status.as_json()


def _count(order: Order, placed: Placed) -> int:
    if placed.rejection or order.application is None:
        return 0
    (target,) = order.targets
    return intake.count(order.application, target.rule, target.primary_only)


def _order(message: OlderMessage, now: datetime) -> Order:
    application = sender_of(message.sender)
    options = (message.options or NO_OPTIONS).newer(message.custom_payload)
    content = message.content
    faults = faults_of(content, options)
    if message.text is None:
        faults.append(Rejection.NO_CONTENT)
    if message.seconds < SHORTEST_VALIDITY:
        faults.append(Rejection.TOO_SHORT)
    webhook = {
        "url": message.notify_url,
        "intermediate": False,
        "content_type": message.notify_type or "application/json",
    }
    return Order(
        sender=message.sender,
        application=application,
        notification=notification_of(content, options),
        targets=[_target(application, message)],
        starts_at=max(message.send_at or now, now),
        ttl=min(message.seconds, LONGEST_VALIDITY),
        faults=frozenset(faults),
        content=content.model_dump(by_alias=True, exclude_none=True),
        callback_data=message.callback_data or "",
        webhook=webhook if message.notify_url else {},
    )


def _target(application: Application | None, message: OlderMessage) -> Target:
    """`to` is a leaf, or has lists of them."""
    leaf = {name: value for name, value in message.to.items() if not name.startswith("$")}
    every, some = message.to.get("$and") or [], message.to.get("$or") or []
    fault, rule = Rejection.NONE, {}
    unknown = set(message.to) - set(leaf) - {"$and", "$or"}
    if unknown or not (isinstance(every, list) and isinstance(some, list)):
        fault = Rejection.BAD_RULE
    elif application is not None:
        try:
            rule = to_rule(application, every=[*every, leaf] if leaf else every, some=some)
        except RuleError:
            fault = Rejection.BAD_RULE
    return Target(
        kind=Kind.RULE,
        to=compact(message.to),
        rule=rule,
        primary_only=bool(message.primary_only),
        fault=fault,
    )


single = endpoint(FAMILY, POST=send_one)
several = endpoint(FAMILY, POST=send_several)
