"""Ask every cloud whether it takes our credentials."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns import channels
from devices.models import Provider, ProviderCredential


class Command(BaseCommand):
    help = (
        "Test every credential the way *Test credential* does, and say of each in one sentence"
        " whether it works. The exit code is 1 when one does not."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        credentials = (
            ProviderCredential.objects.defer("data")  # one that cannot be read is told as such
            .select_related("application", "breaker")
            .order_by("application__name", "provider", "environment")
        )
        if not credentials:
            self.stdout.write(
                "There are no credentials yet: add them under Settings, Applications."
            )
            return
        failed = 0
        for credential in credentials:
            if not credential.enabled:
                self.stdout.write(f"{_named(credential)} is switched off and was not tested.")
                continue
            channels.test(credential)
            failed += not credential.test_ok
            self.stdout.write(_sentence(credential))
            self.stdout.flush()
        if failed:
            raise CommandError(f"{failed} of {len(credentials)} do not work.", returncode=1)


def _sentence(credential: ProviderCredential) -> str:
    named, answer = _named(credential), credential.test_answer.rstrip(".")
    if not credential.test_ok:
        return f"{named} does not work: {answer or 'no answer'}."
    still = ""
    if credential.paused_at is not None:
        still = ", but sending waits until somebody decides about its dead devices"
    return f"{named} works (answer: {answer or 'OK'}){still}."


def _named(credential: ProviderCredential) -> str:
    named = f"{credential.application}, {credential.get_provider_display()}"
    if credential.provider == Provider.APNS:
        named += f" ({credential.get_environment_display().lower()})"
    return named
