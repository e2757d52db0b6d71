"""What an app with Infobip's SDK tells of its use (contract/mobile-sdk.md 3.6)."""

from datetime import UTC, datetime
from typing import Annotated, Any, cast

from django.utils import timezone
from pydantic import AfterValidator, BeforeValidator, Field

from api.endpoint import (
    ApiRequest,
    Documented,
    Json,
    Schema,
    StoredObject,
    Text255,
    endpoint,
    reading,
)
from api.mobile import FAMILY, caller_of, path_id, refused
from api.mobile_people import session as refresh
from campaigns import events
from campaigns.events import Told
from devices import registering
from devices.errors import DeviceError
from devices.models import Event
from devices.personalizing.copies import check_same_person

MOST = 500  # events in one call
_FORM = "date-time such as 2024-01-01T10:00:00Z"


def _moment(value: object) -> datetime:
    """ISO 8601 with seconds and a zone: `Z`, `+00:00` or `+0000`."""
    if isinstance(value, str) and 19 <= len(value) <= 35 and value[10:11] == "T":
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(_FORM)


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("a string that is not empty")
    return text


def _bounds(bounds: dict[str, Any]) -> dict[datetime, datetime]:
    return {_moment(start): _moment(end) for start, end in bounds.items()}


Moment = Annotated[datetime, BeforeValidator(_moment)]
Starts = Annotated[list[Moment], Field(max_length=MOST)]
Bounds = Annotated[dict[str, Any], Field(max_length=MOST), AfterValidator(_bounds)]


class Sessions(Schema):
    """When the app came to the front, and when it left it again."""

    starts: Starts | None = Field(None, alias="sessionStarts")
    bounds: Bounds | None = Field(None, alias="sessionBounds")

    def told(self) -> list[Told]:
        ended = cast("dict[datetime, datetime]", self.bounds or {})
        running = [start for start in self.starts or () if start not in ended]
        return [
            *(Told(kind=Event.Kind.SESSION, at=start) for start in running),
            *(
                Told(
                    kind=Event.Kind.SESSION,
                    at=start,
                    properties={"seconds": max(0, round((end - start).total_seconds()))},
                )
                for start, end in ended.items()
            ),
        ]


class CustomEvent(Schema):
    """Something that the app calls by a name of its own."""

    name: Annotated[Text255, AfterValidator(_not_empty), Documented(minLength=1)] = Field(
        alias="definitionId"
    )
    date: Moment | None = None
    properties: StoredObject | None = None


class CustomEvents(Schema):
    events: Annotated[list[CustomEvent], Field(max_length=MOST)]

    def told(self) -> list[Told]:
        now = timezone.now()
        return [
            Told(
                kind=Event.Kind.CUSTOM,
                name=each.name,
                at=each.date or now,
                properties=each.properties or {},
            )
            for each in self.events
        ]


@reading(Sessions, FAMILY, may_be_empty=True)
def session(request: ApiRequest, body: Sessions, public_id: str) -> Json:
    """POST …/user/events/session: also what the system says of the device by now."""
    refresh(request, public_id)
    events.take(registering.find_key(request.application, path_id(public_id)), body.told())
    return {}


@reading(CustomEvents, FAMILY)
def custom(request: ApiRequest, body: CustomEvents, public_id: str) -> Json:
    """POST …/user/events/custom: nobody has to define an event first, so any name is valid."""
    try:
        registration = registering.find(request.application, path_id(public_id))
        caller = caller_of(request)
        if caller not in {None, registration.address.public_id}:
            assert caller is not None
            check_same_person(registration, caller)
    except DeviceError as error:
        raise refused(error) from error
    events.take(registration.pk, body.told())
    return {}


sessions = endpoint(FAMILY, POST=session)
custom_events = endpoint(FAMILY, POST=custom)
