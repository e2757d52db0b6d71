"""Application → the provider serving it."""

import logging
import os
from concurrent.futures import TimeoutError as Timeout
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from campaigns.outcomes import told
from devices.fields import InvalidToken
from devices.models import Environment, Provider, ProviderCredential
from providers import loop
from providers.apns import ApnsProvider
from providers.base import Cause, CredentialError, Network, Outcome, PushProvider, Verdict
from providers.fcm import FcmProvider
from providers.huawei import HuaweiProvider
from providers.sms import SmsProvider
from providers.webpush import RATE, WebPushProvider

log = logging.getLogger(__name__)

TEST_SECONDS = 60.0  # for the whole test of a credential

# What stands in a credential for APNs, besides the topic, for either way to log in.
APNS_KEY = ("key_id", "team_id", "key_pem")
APNS_CERTIFICATE = ("certificate_pem",)


@dataclass(slots=True)
class Channel:
    """One credential and the warm connections that use it."""

    credential_id: int
    version: int
    provider: PushProvider


_open: dict[int, Channel] = {}
_pid = 0


def network() -> Network:
    """Where connections really go: the clouds, or GATEWAYS; straight, or through a proxy."""
    return Network(
        gateways=settings.GATEWAYS,
        ca_file=settings.GATEWAYS_CA_FILE or None,
        proxy=settings.PROXY_URL or None,
    )


def build(credential: ProviderCredential) -> PushProvider:
    """A provider for a credential. Raises CredentialError for data that cannot be one."""
    try:
        return _build(credential.provider, credential.environment, credential.data)
    except KeyError as missing:
        raise CredentialError(
            str(missing.args[0]), "is missing; enter the credential anew."
        ) from None
    except InvalidToken:
        raise CredentialError(
            "FIELD_KEYS",
            "none of its keys opens this credential; put the former key back at the end of the"
            " list, or enter the credential anew.",
        ) from None


def _build(provider: str, environment: str, data: dict[str, Any]) -> PushProvider:
    match provider:
        case Provider.FCM:
            return FcmProvider(data["service_account"], network=network())
        case Provider.APNS:
            login = APNS_CERTIFICATE if "certificate_pem" in data else APNS_KEY
            return ApnsProvider(
                **{name: data[name] for name in login},
                topic=data["topic"],
                environment="sandbox" if environment == Environment.SANDBOX else "production",
                network=network(),
            )
        case Provider.HMS:
            return HuaweiProvider(data, network=network())
        case Provider.SMS:
            report_url = f"{settings.PUBLIC_BASE_URL}/callbacks/sms/{data['callback']}"
            return SmsProvider(data, report_url=report_url, network=network())
        case Provider.WEBPUSH:
            return WebPushProvider(
                data,
                network=network(),
                extra_hosts=settings.WEBPUSH_EXTRA_HOSTS,
                rate=RATE / settings.DISPATCH_WORKERS,  # of each process that sends
            )
    raise CredentialError("provider", f"{Provider(provider).label} is not built in.")


def credentials_of(application_id: int) -> dict[tuple[str, str], ProviderCredential]:
    """The enabled credentials of an application by provider and environment."""
    enabled = ProviderCredential.objects.filter(application_id=application_id, enabled=True)
    return {(each.provider, each.environment): each for each in enabled}


def channel(credential: ProviderCredential) -> Channel:
    """The open channel of a credential in this process; a changed one is opened anew.

    Whoever still knows an older version gets the newer one: it is not closed for that.
    """
    global _pid
    if _pid != os.getpid():
        _open.clear()  # connections do not survive a fork
        _pid = os.getpid()
    known = _open.get(credential.pk)
    if known is not None and known.version >= credential.version:
        return known
    if known is not None:
        loop.submit(known.provider.close())
    _open[credential.pk] = fresh = Channel(credential.pk, credential.version, build(credential))
    return fresh


def close_all() -> None:
    """Hang up politely: before the process ends."""
    if _pid == os.getpid():
        closing = [loop.submit(each.provider.close()) for each in _open.values()]
        for future in closing:
            future.result(timeout=10)
        _open.clear()
    loop.stop()


def test(credential: ProviderCredential) -> Outcome:
    """Ask the cloud whether a credential works, and write down its answer.

    A credential that works again lets its application send on.
    """
    try:
        provider = build(credential)
    except CredentialError as problem:
        outcome = Outcome(verdict=Verdict.MISCONFIGURED, reason=str(problem))
    else:
        asked = loop.submit(_test_and_close(provider))
        try:
            outcome = asked.result(timeout=TEST_SECONDS)
        except Timeout:
            asked.cancel()
            said = f"it did not answer within {TEST_SECONDS:.0f} seconds"
            outcome = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER, reason=said)
    was_paused_at = credential.paused_at
    credential.tested_at = timezone.now()
    credential.test_ok = outcome.verdict is Verdict.ACCEPTED
    credential.test_answer = (told(outcome) if outcome.remedy else outcome.reason)[:500]
    if not credential.waits_for_a_decision:
        if credential.test_ok:
            credential.paused_at, credential.pause_reason = None, ""
        elif credential.paused_at is not None and outcome.verdict is Verdict.MISCONFIGURED:
            credential.pause_reason = credential.test_answer  # it may have changed, or say more
    # What was changed or paused while the cloud was asked is not overwritten.
    same = ProviderCredential.objects.filter(pk=credential.pk, version=credential.version)
    same.update(
        tested_at=credential.tested_at,
        test_ok=credential.test_ok,
        test_answer=credential.test_answer,
    )
    same.filter(paused_at=was_paused_at).update(
        paused_at=credential.paused_at, pause_reason=credential.pause_reason
    )
    return outcome


async def _test_and_close(provider: PushProvider) -> Outcome:
    try:
        return await provider.test()
    finally:
        await provider.close()


def pause(credential: ProviderCredential, reason: str) -> None:
    """Stop sending with a credential that the cloud refuses, until a test succeeds."""
    paused = ProviderCredential.objects.filter(
        pk=credential.pk, version=credential.version, paused_at=None
    ).update(paused_at=timezone.now(), pause_reason=reason[:500])
    if paused:
        log.error("credential %s is refused: sending is paused", credential.pk)
