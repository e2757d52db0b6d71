"""Send through a scenario: /omni/1/advanced and /omni/1/text (contract/omni.md 2, 3)."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from api import auth, idempotency
from api.endpoint import Json, endpoint
from api.infobip import statuses
from api.infobip.omni_family import omni_family
from api.infobip.omni_schemas import Advanced, Destination, OneText
from api.infobip.omni_statuses import REJECTED
from api.infobip.push_family import KnownRequest, read
from api.infobip.violations import Violation, violated
from campaigns import flow_requests, scenarios, tasks
from campaigns.flow_requests import Recipient, Request
from campaigns.flows import LONGEST, Step
from campaigns.models import FlowDestination, InboxTopic, Reason
from devices import normalizing
from devices.errors import DeviceError
from devices.models import Application, Provider
from providers.sms import MOST_PARTS, parts

FAMILY = omni_family("send")
TEXT_FAMILY = omni_family("text")


def send(request: KnownRequest) -> Json:
    """POST /omni/1/advanced."""
    return idempotency.once(
        request, request.author.name, FAMILY, lambda: _send(read(request, Advanced, FAMILY))
    )


def send_text(request: KnownRequest) -> Json:
    """POST /omni/1/text."""
    return idempotency.once(
        request,
        request.author.name,
        TEXT_FAMILY,
        lambda: _send(read(request, OneText, TEXT_FAMILY).advanced()),
    )


def _send(body: Advanced) -> Json:
    scenario = scenarios.find(body.scenario_key or "")
    if scenario is None or not scenario.steps:
        raise violated(Violation("", "Unknown scenario"))
    now = timezone.now()
    bulk_id = body.bulk_id or (str(uuid.uuid4()) if len(body.destinations) > 1 else "")
    taken = flow_requests.submit(
        Request(
            steps=_steps(scenario.steps, body),
            recipients=[_recipient(each) for each in body.destinations],
            starts_at=max(body.send_at or now, now),
            bulk_id=bulk_id,
            callback_data=body.callback_data or "",
            notify=_notify(body),
        ),
        now,
    )
    tasks.send_soon()
    answer: Json = {"messages": [_message_json(each, body.send_at, now) for each in taken]}
    return {"bulkId": bulk_id, **answer} if bulk_id else answer


def _notify(body: Advanced) -> dict[str, Any]:
    """Where reports go; {} for nowhere."""
    if body.notify is False:
        return {"notify": False}  # nor is the application's own webhook told
    if not body.notify_url:
        return {}
    return {"url": body.notify_url, "intermediate": bool(body.intermediate)}


def _message_json(taken: FlowDestination, send_at: datetime | None, now: datetime) -> Json:
    if taken.rejection:
        status, _ = REJECTED[taken.rejection]
    else:
        waits = send_at is not None and send_at > now
        status = statuses.ACCEPTED if waits else statuses.ENROUTE
    return {"to": taken.to, "status": status.as_json(), "messageId": taken.public_id}


# ------------------------------------------------------------------- whom


def _recipient(wanted: Destination) -> Recipient:
    number, bad = "", False
    if wanted.to.phone and wanted.to.phone.strip():
        try:
            number = normalizing.phone(wanted.to.phone.strip())
        except DeviceError:
            bad = True
    return Recipient(
        to=wanted.to.given(),
        own_id=wanted.message_id or "",
        number=number,
        bad_number=bad,
        email=_email(wanted.to.email),
        registration=_registration(wanted.to.registration),
    )


def _email(given: str | None) -> str:
    """As identities keep it; "" for what nobody can have."""
    try:
        return normalizing.email(given) if given else ""
    except DeviceError:
        return ""


def _registration(given: str | None) -> str:
    """One that cannot be one is looked for all the same: it names nobody."""
    try:
        return str(uuid.UUID(given)) if given and given.strip() else ""
    except ValueError:
        return str(uuid.UUID(int=0))


# ------------------------------------------------------------------- steps


def _steps(stored: list[Mapping[str, Any]], body: Advanced) -> list[Step]:
    return [_step(each, body) for each in stored]


def _step(stored: Mapping[str, Any], body: Advanced) -> Step:
    """A step of a scenario with what the request says for its channel (2.3)."""
    channel, sender = str(stored["channel"]), str(stored.get("sender") or "")
    usual = int(stored.get("validity") or LONGEST)
    enough = bool(stored.get("accepted_is_enough"))
    match channel:
        case "PUSH":
            return _push_step(sender, usual, body, accepted_is_enough=enough)
        case "SMS":
            return _sms_step(sender, usual, body)
    return Step(channel=channel, sender=sender, validity=usual, refused=Reason.NO_ROUTE)


def _push_step(sender: str, usual: int, body: Advanced, *, accepted_is_enough: bool) -> Step:
    push, application = body.push, auth.find_sender(sender)
    if push is None:
        return Step(channel="PUSH", sender=sender, refused=Reason.NO_CONTENT)
    refused = Reason.NONE
    topic = push.options.inbox_topic if push.options else None
    if application is None or not application.enabled:
        application, refused = None, Reason.NO_APPLICATION
    elif topic and not InboxTopic.objects.filter(name=topic).exists():
        refused = Reason.NO_TOPIC
    return Step(
        channel="PUSH",
        sender=sender,
        validity=push.seconds or usual,
        application=application,
        content=push.notification(),
        accepted_is_enough=accepted_is_enough,
        primary_only=bool(push.primary_only),
        refused=refused,
        conditions=push.conditions(),
    )


def _sms_step(sender: str, usual: int, body: Advanced) -> Step:
    if body.sms is None:
        return Step(channel="SMS", sender=sender, refused=Reason.NO_CONTENT)
    application = _with_gateway()
    refused = Reason.NO_ROUTE if application is None else Reason.NONE
    if parts(body.sms.text).count > MOST_PARTS:
        refused = Reason.TOO_LARGE
    return Step(
        channel="SMS",
        sender=sender,
        validity=body.sms.seconds or usual,
        application=application,
        content={"text": body.sms.text},
        refused=refused,
    )


def _with_gateway() -> Application | None:
    """The account's SMS gateway: that of the oldest application that has one."""
    found = Application.objects.filter(
        enabled=True, credentials__provider=Provider.SMS, credentials__enabled=True
    )
    return found.order_by("pk").first()


advanced = endpoint(FAMILY, POST=send)
texts = endpoint(TEXT_FAMILY, POST=send_text)
