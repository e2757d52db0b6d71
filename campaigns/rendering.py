"""Content of a bulk → payload of a device."""

from typing import Any

from campaigns import channels
from campaigns.models import Bulk
from campaigns.outcomes import Recipient
from devices.models import Application, Environment, Platform, Provider, ProviderCredential
from providers.base import Payload, PushNotification

PROVIDER_OF = {
    Platform.ANDROID: Provider.FCM,
    Platform.IOS: Provider.APNS,
    Platform.HUAWEI: Provider.HMS,
    Platform.WEB: Provider.WEBPUSH,
}


def notification(
    content: dict[str, Any], application: Application, *, bulk_id: str, sent_at_ms: int
) -> PushNotification:
    """A stored content in the providers' words."""
    said = {key: value for key, value in content.items() if key not in ("language", "variant")}
    return PushNotification(
        **said,
        application_name=application.name,
        bulk_id=bulk_id,
        sent_at_ms=sent_at_ms,
        display="system" if application.android_display == Application.Display.SYSTEM else "sdk",
        dialect="infobip" if application.sdk == Application.Sdk.INFOBIP else "own",
        mutable_content=not content.get("silent", False),
    )


def choose(contents: list[dict[str, Any]], language: str, variant: int) -> dict[str, Any]:
    """The content for a device: its language, that language's root, else the default one."""
    of_variant = [each for each in contents if each.get("variant", 0) == variant] or contents
    by_language = {each.get("language", ""): each for each in of_variant}
    root = language.replace("_", "-").split("-")[0]
    return (
        by_language.get(language) or by_language.get(root) or by_language.get("") or of_variant[0]
    )


class Renderer:
    """Compiles each content of a bulk once per provider; a device only fills in the gaps."""

    def __init__(self, bulk: Bulk) -> None:
        self.bulk = bulk
        self.credentials: dict[tuple[str, str], ProviderCredential] = {}
        self._compiled: dict[tuple[int, int, str, int], Payload] = {}

    def payload(
        self, platform: int, variant: int, device: Recipient
    ) -> tuple[ProviderCredential | None, Payload | None]:
        """What a device gets, and by which credential; (None, None) without a credential.

        Raises PayloadTooLarge, and CredentialError for a credential that cannot be used.
        """
        provider = device.provider or PROVIDER_OF[Platform(platform)]
        environment = device.environment if provider == Provider.APNS else Environment.PRODUCTION
        credential = self.credentials.get((provider, environment))
        if credential is None:
            return None, None
        key = (credential.pk, credential.version, device.language, variant)
        compiled = self._compiled.get(key)
        if compiled is None:
            content = choose(self.bulk.content, device.language, variant)
            said = notification(
                content,
                self.bulk.application,
                bulk_id=self.bulk.bulk_id,
                sent_at_ms=int(self.bulk.starts_at.timestamp() * 1000),
            )
            compiled = channels.channel(credential).provider.compile(said)
            self._compiled[key] = compiled
        return credential, compiled
