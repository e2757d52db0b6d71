"""Delivery reports that SMS gateways post to us. Source: contract/providers.md 6.3, 6.4.

Each credential has an address of its own, /callbacks/sms/APPLICATION/TOKEN, that nobody can
guess and an administrator can renew. Twilio's has our message id as a last part, and every
request to it is signed.
"""

import hmac
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, cast
from urllib.parse import parse_qsl
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from pydantic import Field

from api.endpoint import (
    ApiRequest,
    Family,
    Json,
    Refusal,
    Schema,
    body_of,
    elsewhere,
    endpoint,
    reading,
)
from campaigns import reports
from campaigns.models import Message, Reason
from campaigns.outcomes import CLOSED_NUMBER_OF_CAUSE, REASON_OF_CAUSE
from campaigns.reports import Receipt
from devices import numbers
from devices.models import Application, Provider, ProviderCredential
from devices.numbers import DeadNumber
from providers.base import Cause
from providers.sms import Report, State, infobip, twilio

MOST_RESULTS = 1000  # of one request; Infobip sends 100
MOST_FIELDS = 100  # of a form; Twilio's have about 15
OLDEST = timedelta(days=7)  # no operator reports later; a time before that is a wrong clock's

STATES = {
    State.SENT: Message.State.ACCEPTED,
    State.DELIVERED: Message.State.DELIVERED,
    State.FAILED: Message.State.FAILED,
    State.EXPIRED: Message.State.EXPIRED,
}


class GatewayRequest(ApiRequest):
    """A request of a gateway whose address is right."""

    credential: ProviderCredential


def by_address(request: HttpRequest) -> Application:
    """The application whose gateway was told this address."""
    assert request.resolver_match is not None
    told = request.resolver_match.kwargs
    shapes = {"twilio"} if "message_id" in told else {"infobip", "infobip_v2"}
    credential = (
        ProviderCredential.objects.filter(application=told["application"], provider=Provider.SMS)
        .select_related("application")
        .first()
    )
    known = str(credential.data.get("callback", "")) if credential is not None else ""
    given = f"{told['application']}/{told['token']}"
    right = hmac.compare_digest(known.encode(), given.encode("utf-8", "replace"))
    if credential is None or not right or credential.data.get("shape") not in shapes:
        raise Refusal(404, "NOT_FOUND", "There is nothing at this path")
    cast("GatewayRequest", request).credential = credential
    return credential.application


def _error(refusal: Refusal) -> Json:
    return {"requestError": {"serviceException": {"messageId": refusal.code, "text": refusal.text}}}


FAMILY = Family(
    authorize=by_address,
    error=_error,
    bad_format="BAD_REQUEST",
    not_found="NOT_FOUND",
    fault="GENERAL_ERROR",
    headers=dict,
)


class Results(Schema):
    """Delivery reports of Infobip, of either version; each is read by itself."""

    results: Annotated[list[Any], Field(max_length=MOST_RESULTS)]


@reading(Results, FAMILY)
def _infobip(request: ApiRequest, body: Results, /, **_: object) -> Json:
    _take(request.application, infobip.reports(body.results))
    return {}


def _twilio(request: ApiRequest, *, message_id: UUID, **_: object) -> Json:
    form = _form(body_of(request, FAMILY))
    token = str(cast("GatewayRequest", request).credential.data["auth_token"])
    url = settings.PUBLIC_BASE_URL + request.get_full_path()
    signed = request.headers.get("X-Twilio-Signature", "")
    if not twilio.is_signed(token, url, form, signed):
        raise Refusal(403, "FORBIDDEN", "X-Twilio-Signature does not fit this request")
    told = twilio.report(str(message_id), dict(form))
    _take(request.application, [told] if told is not None else [])
    return {}


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise Refusal(400, FAMILY.bad_format, "Request body should be a form in UTF-8") from error


def _take(application: Application, told: Iterable[Report]) -> None:
    """Hand reports on, and close the numbers that they call dead."""
    now = timezone.now()
    receipts: list[Receipt] = []
    dead: dict[UUID, DeadNumber] = {}
    for report in told:
        try:
            identifier = UUID(report.message_id)
        except ValueError:
            continue  # no id of ours
        at = max(min(report.at or now, now), now - OLDEST)
        reason = REASON_OF_CAUSE[report.cause] if report.cause is not Cause.NONE else Reason.NONE
        receipts.append(Receipt(identifier, STATES[report.state], at, reason, report.answer))
        if report.closes:
            why = CLOSED_NUMBER_OF_CAUSE[report.cause]
            dead[identifier] = DeadNumber(report.closes, why, report.answer)
    if dead:
        made_here = reports.made_here(application.pk, dead)
        numbers.close(dead[identifier] for identifier in made_here)
    reports.take(application.pk, None, receipts)


infobip_reports = endpoint(FAMILY, POST=_infobip)
twilio_report = endpoint(FAMILY, POST=_twilio)
nothing = elsewhere(FAMILY)
