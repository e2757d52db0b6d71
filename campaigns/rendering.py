"""Content of a bulk → payload of a device."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from campaigns import channels, merging
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


_OURS = ("language", "variant", "merge")  # of a stored content; the rest is the notification's
COMPILED = 2_000  # payloads of merged contents that are kept: first names repeat themselves


def read(content: dict[str, Any]) -> PushNotification:
    """A stored content in the providers' words, before anything of its bulk is known."""
    said = {key: value for key, value in content.items() if key not in _OURS}
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
    content says for how long (contract/push.md 2.1). Apps fetch cards by an address that others
    could guess once they know one, so those with somebody's values travel in the push alone.
    """
    said = read(content)
    fetched = bool(said.carousel) and merging.CARDS not in content.get("merge", ())
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
        carousel_url=_carousel_url(application.pk, bulk_id, place) if fetched else "",
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
    """Compiles each content of a bulk once per provider; a device only fills in the gaps.

    Contents with merge tags are compiled once for each way they read.
    """

    def __init__(self, bulk: Bulk) -> None:
        self.bulk = bulk
        self.credentials: dict[tuple[str, str], ProviderCredential] = {}
        self.merges = any("merge" in content for content in bulk.content)
        self._contents = Contents(bulk.content)
        self._compiled: dict[tuple[int, int, int], Payload] = {}
        self._merged: dict[tuple[int, int, int, tuple[str, ...]], Payload] = {}
        self._values: dict[int, merging.Values] = {}
        self._texts: Mapping[int, str] = {}

    def learn(self, registrations: Collection[int]) -> None:
        """Look up what merge tags say of the devices of a window."""
        if self.merges:
            self._values = merging.values_of(registrations)

    def told(self, texts: Mapping[int, str]) -> None:
        """What the text messages of a window say: they were filled in as their step began."""
        self._texts = texts

    def payload(
        self, platform: int, variant: int, device: Recipient
    ) -> tuple[ProviderCredential | None, Payload | None]:
        """What a device gets, and by which credential; (None, None) without a credential.

        Raises MissingValueError, PayloadTooLarge, NotPossible, and CredentialError for a
        credential that cannot be used.
        """
        provider = device.provider or PROVIDER_OF[platform]
        environment = device.environment if provider == Provider.APNS else Environment.PRODUCTION
        credential = self.credentials.get((provider, environment))
        if credential is None:
            return None, None
        place = self._contents.place(device.language, variant)
        key = (credential.pk, credential.version, place)
        content = self.bulk.content[place]
        if "merge" in content:
            return credential, self._of_one(credential, key, self._said(content, device))
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compile(credential, place, content)
            self._compiled[key] = compiled
        return credential, compiled

    def _said(self, content: dict[str, Any], device: Recipient) -> dict[str, Any]:
        if device.provider == Provider.SMS:
            return {"text": self._texts[device.id]}
        return merging.merged(content, self._values.get(device.id, merging.NOBODY))

    def _of_one(
        self, credential: ProviderCredential, key: tuple[int, int, int], said: dict[str, Any]
    ) -> Payload:
        words = (*key, tuple(map(str, said.values())))
        compiled = self._merged.get(words)
        if compiled is None:
            compiled = self._compile(credential, key[2], {**self.bulk.content[key[2]], **said})
            if len(self._merged) >= COMPILED:
                self._merged.clear()
            self._merged[words] = compiled
        return compiled

    def _compile(
        self, credential: ProviderCredential, place: int, content: dict[str, Any]
    ) -> Payload:
        said = notification(
            content,
            self.bulk.application,
            bulk_id=self.bulk.bulk_id,
            sent_at_ms=int(self.bulk.starts_at.timestamp() * 1000),
            ttl=self.bulk.ttl,
            place=place,
            replace_twin=self.bulk.repeat_policy == RepeatPolicy.WHEN_UNSURE,
        )
        return channels.channel(credential).provider.compile(said)
