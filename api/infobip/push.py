"""Send push messages: POST /push/3/messages (contract/push.md 2)."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from api import auth, idempotency
from api.endpoint import Json, endpoint
from api.infobip import push_schemas as schemas
from api.infobip import statuses
from api.infobip.push_family import SEND, KnownRequest, family, read
from api.infobip.push_schemas import Content, Message, Options, ToMany
from api.infobip.targeting import to_rule
from campaigns import submitting, tasks, windows
from campaigns.errors import RuleError
from campaigns.intake import Kind
from campaigns.models import InboxTopic, Rejection
from campaigns.submitting import Order, Placed, Target
from devices import normalizing
from devices.errors import DeviceError
from devices.models import Application

FAMILY = family(SEND, "send", lambda: settings.PUSH_CALLS_PER_SECOND)

LONGEST = 4000  # characters of a message with its options
LONGEST_VALIDITY = 48 * 3600  # seconds
SHORTEST_VALIDITY = 30
MONTH = 30 * 86_400  # seconds
NO_OPTIONS = Options.model_validate({})
NO_WEBHOOKS = schemas.Webhooks.model_validate({})
NO_PLATFORM = schemas.PlatformIds.model_validate({})

KINDS = {
    "REGISTRATION": Kind.REGISTRATION,
    "EXTERNAL_USER_ID": Kind.EXTERNAL_ID,
    "EMAIL": Kind.EMAIL,
    "PHONE_NUMBER": Kind.PHONE,
}
TAPS = {
    "DEEP_LINK": "deep_link",
    "WEB_VIEW_URL": "web_view_url",
    "OPEN_URL_IN_BROWSER": "browser_url",
}


def send(request: KnownRequest) -> Json:
    """POST /push/3/messages, done once however often a key is repeated."""
    return idempotency.once(request, request.author.name, FAMILY, lambda: _send(request))


def _send(request: KnownRequest) -> Json:
    body = read(request, schemas.Request, FAMILY, schemas.TAGS)
    schedule = body.options.schedule if body.options else None
    bulk_id = (schedule.bulk_id if schedule else None) or str(uuid.uuid4())
    now = timezone.now()
    together = schedule.send_at if schedule else None
    orders = [_order(each, together, now) for each in body.messages]
    pace = schedule.speed.per_second if schedule and schedule.speed else None
    accepted = submitting.submit(bulk_id, orders, now=now, pace=pace)
    if accepted.urgent:
        transaction.on_commit(tasks.send_soon)
    for pk in accepted.to_freeze:
        transaction.on_commit(partial(tasks.freeze_soon, pk))
    placed = iter(accepted.placed)
    messages = [
        _placed_json(next(placed), waits=_waits(order, now))
        for order in orders
        for _ in order.targets
    ]
    return {"bulkId": bulk_id, "messages": messages}


def _waits(order: Order, now: datetime) -> bool:
    return order.starts_at > now or windows.next_open(order.window, now) > now


def _placed_json(placed: Placed, *, waits: bool) -> Json:
    if placed.rejection:
        status = statuses.REJECTED[placed.rejection]
    else:
        status = statuses.ENROUTE if placed.devices and not waits else statuses.ACCEPTED
    return {
        "messageId": placed.public_id,
        "status": status.as_json(),
        "destination": placed.to,
    }


def _order(message: Message, together: datetime | None, now: datetime) -> Order:
    """A message in our words."""
    options = message.options or NO_OPTIONS
    application = sender_of(message.sender)
    validity = options.validity.seconds if options.validity else LONGEST_VALIDITY
    send_at = options.send_at or together or now
    webhooks = message.webhooks or NO_WEBHOOKS
    platform = options.platform or NO_PLATFORM
    faults = faults_of(message.content, options)
    if validity < SHORTEST_VALIDITY:
        faults.append(Rejection.TOO_SHORT)
    return Order(
        sender=message.sender,
        application=application,
        notification=notification_of(message.content, options),
        targets=[_target(application, each) for each in message.destinations],
        starts_at=max(send_at, now),
        ttl=max(0, min(validity, LONGEST_VALIDITY)),
        faults=frozenset(faults),
        window=options.window.as_json() if options.window else {},
        content=message.content.model_dump(by_alias=True, exclude_none=True),
        callback_data=webhooks.callback_data or "",
        reference=options.reference or "",
        entity_id=platform.entity_id or "",
        platform_application_id=platform.application_id or "",
        webhook=webhooks.stored,
    )


def sender_of(name: str) -> Application | None:
    application = auth.find_sender(name)
    return application if application is not None and application.enabled else None


def faults_of(content: Content, options: Options) -> list[Rejection]:
    """What keeps a message from all its destinations, whatever its validity (2.3)."""
    faults = []
    if options.topic and not InboxTopic.objects.filter(name=options.topic).exists():
        faults.append(Rejection.UNKNOWN_TOPIC)
    if options.action and options.action.is_incomplete:
        faults.append(Rejection.INCOMPLETE_BUTTON)
    if _length(content, options) > LONGEST:
        faults.append(Rejection.TOO_LARGE)
    return faults


def _length(content: Content, options: Options) -> int:
    """Characters of what is said and how, as compact JSON."""
    said = {
        "content": content.model_dump(by_alias=True, exclude_none=True),
        "options": options.model_dump(by_alias=True, exclude_none=True, exclude={"send_at"}),
    }
    return len(compact(said))


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ------------------------------------------------------------------- whom


def _target(application: Application | None, wanted: schemas.Destination) -> Target:
    primary_only = bool(wanted.primary_only)
    if isinstance(wanted, ToMany):
        return _rule(application, wanted, primary_only)
    return Target(
        kind=KINDS[wanted.type],
        to=wanted.id,
        value=_stored(KINDS[wanted.type], wanted.id),
        primary_only=primary_only,
        own_id=wanted.message_id or "",
    )


def _rule(application: Application | None, wanted: ToMany, primary_only: bool) -> Target:
    to = compact(wanted.filter)
    fault, rule = Rejection.NONE, {}
    if application is not None:
        try:
            rule = to_rule(application, every=wanted.every or (), some=wanted.some or ())
        except RuleError:
            fault = Rejection.BAD_RULE
        if wanted.has_unknown_operator or _names_an_operator(wanted.filter):
            fault = Rejection.BAD_RULE
    return Target(kind=Kind.RULE, to=to, rule=rule, primary_only=primary_only, fault=fault)


def _names_an_operator(lists: Mapping[str, list[Any]]) -> bool:
    return any(
        name.startswith("$")
        for leaves in lists.values()
        for leaf in leaves
        if isinstance(leaf, Mapping)
        for name in leaf
    )


def _stored(kind: Kind, given: str) -> str:
    """An id as it is stored; "" for what nobody can have."""
    try:
        match kind:
            case Kind.REGISTRATION:
                return str(uuid.UUID(given))
            case Kind.EXTERNAL_ID:
                return normalizing.external_id(given)
            case Kind.PHONE:
                return normalizing.phone(given)
        return normalizing.email(given)
    except (DeviceError, ValueError):
        return ""


# ------------------------------------------------------------------- what


def notification_of(content: Content, options: Options) -> dict[str, Any]:
    """Fields of PushNotification that say something; the rest has its defaults."""
    said: dict[str, Any] = {
        "title": content.title,
        "text": content.text,
        "image_url": content.url if isinstance(content, schemas.ImageContent) else None,
        "sound": "" if options.sound is False else options.sound_name,
        "vibrate": options.vibrate,
        "badge": options.badge,
        "category": options.category,
        "silent": options.silent,
        "content_available": options.content_available,
        "inbox_topic": options.topic,
        "inbox_expires_in": _inbox_seconds(options),
        "custom_payload": options.custom_payload,
    }
    if options.mirrored:
        said |= _mirrored(options)
    if options.action and options.action.type:
        said[TAPS[options.action.type]] = options.action.resource
    return {name: value for name, value in said.items() if value is not None}


def _mirrored(options: Options) -> dict[str, Any]:
    """Also shown inside the app; buttons are for a dialog only."""
    style = options.mirrored_style or "MODAL"
    unit = 60 if options.mirrored_unit == "MINUTES" else 3600
    shown: dict[str, Any] = {
        "in_app_style": style,
        "in_app_expires_in": (
            None if options.mirrored_for is None else options.mirrored_for * unit
        ),
    }
    if style == "MODAL":
        shown["in_app_dismiss_title"] = options.dismiss_title
        shown["in_app_open_title"] = options.open_title
    return shown


def _inbox_seconds(options: Options) -> int | None:
    if options.inbox_for is None:
        return None
    return options.inbox_for * (MONTH if options.inbox_unit == "MONTHS" else 86_400)


messages = endpoint(FAMILY, POST=send)
