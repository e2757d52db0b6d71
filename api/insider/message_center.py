"""POST /api/message_center/v1 (contract/insider.md 8)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from django.http import HttpResponse
from pydantic import Field, ValidationError

from api.endpoint import Json, Schema, Text
from api.insider.calling import Call, Endpoint, PlainRefusal, in_header, json_answer, text_answer
from api.insider.identifiers import named
from api.insider.schemas import MOST_IDENTIFIERS, Identifier
from campaigns.models import PushApiSend
from devices import reaching

MOST = 100
LAST = 253_402_214_400  # seconds: the last day of the year 9999
Moment = Annotated[int, Field(ge=0, le=LAST)]
# Here identifiers are written as people say them.
SPELLED = {"Email": "email", "Phone Number": "phone_number", "UUID": "uuid"}


class Question(Schema):
    identifiers: dict[Text, Identifier] = Field(min_length=1, max_length=MOST_IDENTIFIERS)
    start_date: Moment = 0
    end_date: Moment = LAST
    limit: int = MOST


def show(call: Call) -> HttpResponse:
    """Pushes to one person, newest first."""
    question = _read(call.body)
    if not 1 <= question.limit <= MOST:
        raise PlainRefusal(text_answer("limit should be between 1 and 100.", 400))
    names = {SPELLED.get(name, name): value for name, value in question.identifiers.items()}
    person = reaching.find_people([named(names)])[0]
    if person is None:
        return json_answer([])
    sends = PushApiSend.objects.filter(
        person=person,
        sent_at__gte=datetime.fromtimestamp(question.start_date, UTC),
        sent_at__lt=datetime.fromtimestamp(question.end_date + 1, UTC),
    )
    if call.key.application is not None:
        sends = sends.filter(application=call.key.application)
    newest = sends.order_by("-sent_at", "-pk").select_related("campaign", "bulk")
    return json_answer([_send_json(each) for each in newest[: question.limit]])


def _read(body: Mapping[str, Any]) -> Question:
    try:
        question = Question.model_validate(body)
    except ValidationError as errors:
        raise bad_payload() from errors
    if question.start_date > question.end_date:
        raise bad_payload()
    return question


def _send_json(send: PushApiSend) -> Json:
    content = send.bulk.content[0]
    return {
        "camp_id": send.campaign.camp_id,
        "camp_type": "Single Push",
        "created_at": send.sent_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "deep_links": content["custom_payload"].get("deep_link", {}),
        "image_url": content["image_url"],
        "message": content["text"],
        "title": content["title"],
        "variant_id": send.bulk_id,
    }


def bad_payload() -> PlainRefusal:
    return PlainRefusal(text_answer("bad payload", 400))


messages = Endpoint(handler=show, key_of=in_header, refuse_body=bad_payload).view()
