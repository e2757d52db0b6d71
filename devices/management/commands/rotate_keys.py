"""Re-encrypt what is encrypted with the first of FIELD_KEYS."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from devices import rotating
from devices.fields import cipher


class Command(BaseCommand):
    help = (
        "Re-encrypt every credential with the first key of FIELD_KEYS, so that the others can be"
        " taken out. May run while everything works, and may be interrupted and repeated."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cipher()
        except ImproperlyConfigured as problem:
            raise CommandError(str(problem)) from None
        unreadable = 0
        for model, name in rotating.encrypted_fields():
            rotation = rotating.rotate_field(model, name)
            self.stdout.write(
                f"{rotation.name}: {rotation.values:,} values, {rotation.renewed:,} re-encrypted,"
                f" {rotation.current:,} were under the first key already."
            )
            if rotation.unreadable:
                numbers = ", ".join(map(str, rotation.unreadable[:20]))
                self.stderr.write(f"{rotation.name}: no key opens the rows {numbers}.")
            unreadable += len(rotation.unreadable)
        if unreadable:
            raise CommandError(
                f"{unreadable:,} values stay as they are: put the key they were saved with at the"
                " end of FIELD_KEYS and repeat this, or enter them anew.",
                returncode=1,
            )
