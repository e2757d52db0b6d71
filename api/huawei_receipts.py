"""Receipts that Huawei posts to us: POST /callbacks/huawei/{application code}.

Source: contract/providers.md 4.7. Huawei wants its answer within 200 ms, and repeats what
it has no answer to: a receipt may come any number of times.
"""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import redis
from django.http import HttpRequest
from django.utils import timezone

from api.auth import find_application
from api.endpoint import ApiRequest, Family, Json, Refusal, body_of, endpoint
from campaigns import ids, reports
from campaigns.models import Message, Reason
from campaigns.outcomes import REASON_OF_CAUSE
from campaigns.store import store
from devices import closing
from devices.closing import DeadAddress
from devices.models import Address, Application, Provider, ProviderCredential
from providers.base import Cause
from providers.huawei.receipts import PATIENCE, Effect, Receipt, Signature, read
from providers.sms.reports import State

log = logging.getLogger(__name__)

MOST_ENTRIES = 1000  # of one call; newer callers send 100
OLDEST = timedelta(days=15)  # no push lives longer
NONCES = "huawei:nonce"

STATES = {
    State.SENT: Message.State.ACCEPTED,
    State.DELIVERED: Message.State.DELIVERED,
    State.FAILED: Message.State.FAILED,
    State.EXPIRED: Message.State.EXPIRED,
}


class SignedRequest(ApiRequest):
    """A request that Huawei has signed with the key of a credential."""

    credential: ProviderCredential
    signature: Signature


def by_signature(request: HttpRequest) -> Application:
    """The application of the path, if its receipts' key has signed this request just now."""
    assert request.resolver_match is not None
    application = find_application(request.resolver_match.kwargs["code"])
    credential = (
        ProviderCredential.objects.filter(application=application, provider=Provider.HMS).first()
        if application is not None
        else None
    )
    if application is None or credential is None:
        raise Refusal(404, "404", "There is nothing at this path")
    key, user = (str(credential.data.get(name, "")) for name in ("callback_key", "callback_user"))
    signature = Signature.read(request.headers.get("X-HUAWEI-CALLBACK-ID", ""))
    if not key:
        raise Refusal(401, "401", "No key for receipts is set up here")
    if signature is None or not signature.fits(key, user):
        raise Refusal(401, "401", "X-HUAWEI-CALLBACK-ID is not signed with our key")
    if not signature.is_recent(time.time()):
        raise Refusal(401, "401", "X-HUAWEI-CALLBACK-ID is older than five minutes, or ahead")
    signed = cast("SignedRequest", request)
    signed.credential, signed.signature = credential, signature
    return application


def _error(refusal: Refusal) -> Json:
    return {"errno": refusal.status, "errmsg": refusal.text}


FAMILY = Family(
    authorize=by_signature,
    error=_error,
    bad_format="400",
    not_found="404",
    fault="500",
    headers=dict,
)


def _receipts(request: ApiRequest, *, code: str) -> Json:
    signed = cast("SignedRequest", request)
    entries = _entries(body_of(request, FAMILY))
    nonce = _remember(signed.credential.pk, signed.signature.nonce)
    try:
        _take(signed.credential, read(entries))
    except Exception:
        _forget(nonce)  # it will be repeated, perhaps with the same nonce
        raise
    return {"errno": 0, "errmsg": "success"}


def _entries(body: bytes) -> Sequence[object]:
    """The list of the first format, or what the second one sends: entries, one or many."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "400", "Request body should be valid JSON") from error
    if isinstance(told, dict):
        told = told.get("statuses", [told] if "deliveryStatus" in told else None)
    if not isinstance(told, list):
        raise Refusal(400, "400", "statuses should be array")
    if len(told) > MOST_ENTRIES:
        raise Refusal(400, "400", f"statuses should be array of at most {MOST_ENTRIES} members")
    return told


def _remember(credential: int, nonce: str) -> str:
    """Take a nonce down; refuse one that was seen before. Without the store none is known."""
    digest = hashlib.sha256(nonce.encode("utf-8", "replace")).hexdigest()
    key = f"{NONCES}:{credential}:{digest}"
    try:
        new = store().set(key, 1, nx=True, ex=int(2 * PATIENCE))
    except redis.RedisError:
        log.warning("store is away: a receipt's nonce was not compared; repeats change nothing")
        return ""
    if not new:
        raise Refusal(401, "401", "This nonce was seen before")
    return key


def _forget(key: str) -> None:
    if key:
        try:
            store().delete(key)
        except redis.RedisError:
            log.warning("store is away: a nonce stays until it ends by itself")


@dataclass(frozen=True, slots=True)
class _Device:
    registration: int
    digest: bytes
    is_open: bool
    heard_at: datetime  # when its app last spoke to us


def _take(credential: ProviderCredential, told: Sequence[Receipt]) -> None:
    """Hand receipts on, and note what they say of devices."""
    application, now = credential.application_id, timezone.now()
    devices = _devices(application, {one.token for one in told})
    receipts = []
    effects: dict[Effect, dict[int, tuple[_Device, Receipt]]] = {}
    for one in told:
        device = devices.get(one.token)
        at = max(min(one.at or now, now), now - OLDEST)
        if device is not None and at > device.heard_at:  # else the app knows better since then
            effects.setdefault(one.meaning.effect, {})[device.registration] = (device, one)
        if not one.exact and device is None:
            continue  # the token has moved on: nobody knows whose message it was
        message_id = (
            ids.sibling(one.message_id, device.registration)
            if device is not None and not one.exact
            else one.message_id
        )
        cause = one.meaning.cause
        reason = REASON_OF_CAUSE[cause] if cause is not Cause.NONE else Reason.NONE
        answer = one.answer if reason else ""
        receipts.append(reports.Receipt(message_id, STATES[one.meaning.state], at, reason, answer))
    closing.mute(effects.get(Effect.MUTE, ()))
    closing.rest(effects.get(Effect.REST, ()))
    dead = [
        DeadAddress(device.registration, device.digest, Address.Closed.UNINSTALLED, one.answer)
        for device, one in effects.get(Effect.CLOSE, {}).values()
        if device.is_open
    ]
    closing.suspect(credential, dead, answers=len(told))
    reports.take(application, None, receipts)


def _devices(application: int, tokens: set[str]) -> dict[str, _Device]:
    """Who has these tokens now."""
    digests = {hashlib.sha256(token.encode("utf-8", "replace")).digest(): token for token in tokens}
    columns = ("pk", "token_digest", "closed_at", "last_contact_at")
    rows = Address.objects.filter(
        application=application, provider=Provider.HMS, token_digest__in=list(digests)
    )
    return {
        digests[bytes(digest)]: _Device(pk, bytes(digest), closed_at is None, heard_at)
        for pk, digest, closed_at, heard_at in rows.values_list(*columns)
        if digest is not None
    }


receipts = endpoint(FAMILY, POST=_receipts)
