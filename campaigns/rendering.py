"""Content of a bulk → payload of a device."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from campaigns import channels
from campaigns.languages import Contents
from campaigns.models import Bulk, RepeatPolicy
from campaigns.outcomes import Recipient
from devices.models import Application, Environment, Platform, Provider, ProviderCredential
from providers.base import CarouselItem, Payload, PushNotification

PROVIDER_OF: dict[int, Provider] = {
    Platform.ANDROID: Provider.FCM,
    Platform.IOS: Provider.APNS,
    Platform.HUAWEI: Provider.HMS,
    Platform.WEB: Provider.WEBPUSH,
}


def read(content: dict[str, Any]) -> PushNotification:
    """A stored content in the providers' words, before anything of its bulk is known."""
    said = {key: value for key, value in content.items() if key not in ("language", "variant")}
    items = tuple(CarouselItem(**item) for item in said.pop("carousel", ()))
    return PushNotification(**said, carousel=items)


def notification(
    content: dict[str, Any],
    application: Application,
    *,
    bulk_id: str,
    sent_at_ms: int,
    ttl: int,
    place: int = 0,
    replace_twin: bool = False,
) -> PushNotification:
    """What a bulk sends to whoever gets this content, the `place`-th of the bulk's.

    What is also shown inside the app stays there while the message is valid, unless the
    content says for how long (contract/push.md 2.1).
    """
    said = read(content)
    expires = ttl if said.in_app_style else None
    return replace(
        said,
        application_name=application.name,
        bulk_id=bulk_id,
        sent_at_ms=sent_at_ms,
        display="system" if application.android_display == Application.Display.SYSTEM else "sdk",
        dialect="infobip" if application.sdk == Application.Sdk.INFOBIP else "own",
        tracked=application.android_display == Application.Display.SDK,
        mutable_content=not said.silent,
        replace_twin=replace_twin,
        in_app_expires_in=expires if said.in_app_expires_in is None else said.in_app_expires_in,
        carousel_url=_carousel_url(application.pk, bulk_id, place) if said.carousel else "",
    )


def _carousel_url(application_id: int, bulk_id: str, place: int) -> str:
    """Where apps fetch the items of a carousel; "" where no app would: phones want https."""
    if not settings.PUBLIC_BASE_URL.startswith("https://"):
        return ""
    key = carousel_key(application_id, bulk_id)
    return f"{settings.PUBLIC_BASE_URL}/sdk/1/carousels/{key}/{place}/"


def carousel_key(application_id: int, bulk_id: str) -> str:
    """What makes the address of a bulk's carousels one that nobody guesses."""
    return salted_hmac("campaigns.carousel", f"{application_id} {bulk_id}").hexdigest()[:20]


class Renderer:
    """Compiles each content of a bulk once per provider; a device only fills in the gaps."""

    def __init__(self, bulk: Bulk) -> None:
        self.bulk = bulk
        self.credentials: dict[tuple[str, str], ProviderCredential] = {}
        self._contents = Contents(bulk.content)
        self._compiled: dict[tuple[int, int, int], Payload] = {}

    def payload(
        self, platform: int, variant: int, device: Recipient
    ) -> tuple[ProviderCredential | None, Payload | None]:
        """What a device gets, and by which credential; (None, None) without a credential.

        Raises PayloadTooLarge, NotPossible, and CredentialError for a credential that cannot be
        used.
        """
        provider = device.provider or PROVIDER_OF[platform]
        environment = device.environment if provider == Provider.APNS else Environment.PRODUCTION
        credential = self.credentials.get((provider, environment))
        if credential is None:
            return None, None
        place = self._contents.place(device.language, variant)
        key = (credential.pk, credential.version, place)
        compiled = self._compiled.get(key)
        if compiled is None:
            said = notification(
                self.bulk.content[place],
                self.bulk.application,
                bulk_id=self.bulk.bulk_id,
                sent_at_ms=int(self.bulk.starts_at.timestamp() * 1000),
                ttl=self.bulk.ttl,
                place=place,
                replace_twin=self.bulk.repeat_policy == RepeatPolicy.WHEN_UNSURE,
            )
            compiled = channels.channel(credential).provider.compile(said)
            self._compiled[key] = compiled
        return credential, compiled
