"""What is sent to /omni/1/advanced and /omni/1/text (contract/omni.md 2, 3)."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from api.endpoint import NOT_BLANK, Schema, StoredObject, Text, Text100, Text255, Text256, Text4000
from api.infobip.push_schemas import HIGHEST_BADGE, SendTime, Topic, Url, fault

MOST_DESTINATIONS = 1000
LONGEST_VALIDITY = 48 * 3600  # seconds
SHORTEST_VALIDITY = 30
IN_A_SECOND = {"NANOSECONDS": 10**9, "MICROSECONDS": 10**6, "MILLISECONDS": 10**3, "SECONDS": 1}
SECONDS = {"MINUTES": 60, "HOURS": 3600, "DAYS": 86_400}
Unit = Literal["NANOSECONDS", "MICROSECONDS", "MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"]


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Words = Annotated[Text, AfterValidator(_not_blank), NOT_BLANK]
Words2000 = Annotated[Words, Field(max_length=2000)]
Words4000 = Annotated[Words, Field(max_length=4000)]
Names = Annotated[list[Text255], Field(max_length=50)]


class To(Schema):
    phone: Text100 | None = Field(None, alias="phoneNumber")
    email: Text256 | None = Field(None, alias="emailAddress")
    registration: Text100 | None = Field(None, alias="pushRegistrationId")

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.given():
            raise ValueError("must have a phoneNumber, an emailAddress or a pushRegistrationId")
        return self

    def given(self) -> dict[str, str]:
        """The members that say something, as they were given."""
        told = {
            "phoneNumber": self.phone,
            "emailAddress": self.email,
            "pushRegistrationId": self.registration,
        }
        return {name: value for name, value in told.items() if value and value.strip()}


class Destination(Schema):
    to: To
    message_id: Text100 | None = Field(None, alias="messageId")


class Timed(Schema):
    """How long a step may take."""

    validity: Annotated[int, Field(ge=0, le=10**18)] | None = Field(None, alias="validityPeriod")
    unit: Unit | None = Field(None, alias="validityPeriodTimeUnit")

    @property
    def seconds(self) -> int | None:
        """None is not given; 48 hours at most."""
        if self.validity is None:
            return None
        unit = self.unit or "MINUTES"
        if unit in SECONDS:
            return min(self.validity * SECONDS[unit], LONGEST_VALIDITY)
        return min(self.validity // IN_A_SECOND[unit], LONGEST_VALIDITY)

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.seconds is not None and self.seconds < SHORTEST_VALIDITY:
            raise fault("validityPeriod", f"must be at least {SHORTEST_VALIDITY} seconds")
        return self


class Options(Schema):
    vibrate: bool | None = Field(None, alias="vibrationEnabled")
    sound: bool | None = Field(None, alias="soundEnabled")
    sound_name: Text255 | None = Field(None, alias="soundName")
    badge: Annotated[int, Field(ge=0, le=HIGHEST_BADGE)] | None = None
    image_url: Url | None = Field(None, alias="contentUrl")
    category: Text255 | None = None
    in_app_style: Literal["MODAL", "BANNER"] | None = Field(None, alias="inAppStyle")
    silent: bool | None = Field(None, alias="isSilent")
    title: Text255 | None = None
    web_view_url: Url | None = Field(None, alias="webViewUrl")
    inbox_topic: Topic | None = Field(None, alias="inboxTopic")


class Push(Timed):
    text: Words2000
    custom_payload: StoredObject | None = Field(None, alias="customPayload")
    options: Options | None = Field(None, alias="notificationOptions")
    primary_only: bool | None = Field(None, alias="targetOnlyPrimaryDevices")
    notifications_off_too: bool | None = Field(None, alias="includeNotificationsDisabledDevices")
    person_subscriptions: Names | None = Field(None, alias="personSubscriptions")
    device_subscriptions: Names | None = Field(None, alias="deviceSubscriptions")

    def notification(self) -> dict[str, Any]:
        """Fields of PushNotification that say something; the rest has its defaults."""
        options = self.options or Options.model_validate({})
        said = {
            "text": self.text,
            "title": options.title,
            "image_url": options.image_url,
            "sound": "" if options.sound is False else options.sound_name,
            "vibrate": options.vibrate,
            "badge": options.badge,
            "category": options.category,
            "in_app_style": options.in_app_style,
            "silent": options.silent,
            "web_view_url": options.web_view_url,
            "inbox_topic": options.inbox_topic,
            "custom_payload": self.custom_payload,
        }
        return {name: value for name, value in said.items() if value is not None}

    def conditions(self) -> dict[str, Any]:
        """Which devices of somebody are meant, as campaigns.boarding reads it."""
        return {
            "notifications_off_too": bool(self.notifications_off_too),
            "person_subscriptions": list(self.person_subscriptions or ()),
            "device_subscriptions": list(self.device_subscriptions or ()),
        }


class Sms(Timed):
    text: Words4000


class Sent(Schema):
    """What both calls share."""

    scenario_key: Text100 | None = Field(None, alias="scenarioKey")
    bulk_id: Text100 | None = Field(None, alias="bulkId")
    destinations: Annotated[list[Destination], Field(min_length=1, max_length=MOST_DESTINATIONS)]


class Advanced(Sent):
    push: Push | None = None
    sms: Sms | None = None
    notify: bool | None = None
    intermediate: bool | None = Field(None, alias="intermediateReport")
    notify_url: Url | None = Field(None, alias="notifyUrl")
    callback_data: Text4000 | None = Field(None, alias="callbackData")
    send_at: SendTime | None = Field(None, alias="sendAt")


class OneText(Sent):
    text: Words2000

    def advanced(self) -> Advanced:
        """The same, with the text for each channel."""
        return Advanced.model_validate(
            {
                "scenarioKey": self.scenario_key,
                "bulkId": self.bulk_id,
                "destinations": self.destinations,
                "push": {"text": self.text},
                "sms": {"text": self.text},
            }
        )
