"""Write down who changed what."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.http import HttpRequest

from devices.models import Application, AuditEntry


def record(
    actor: AbstractBaseUser | AnonymousUser | None,
    action: str,
    changed: models.Model,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    application: Application | None = None,
    request: HttpRequest | None = None,
) -> AuditEntry:
    """Append one entry. `before` and `after` hold only what changed, and never a secret.

    Call it inside the transaction of the change, so that neither stands without the other.
    """
    known = actor is not None and actor.pk is not None
    return AuditEntry.objects.create(
        actor_id=actor.pk if known and actor is not None else None,
        actor_name=actor.get_username() if known and actor is not None else "system",
        action=action,
        application=application or getattr(changed, "application", None),
        object_type=changed._meta.model_name or "",
        object_id=str(changed.pk),
        object_name=str(changed)[:250],
        before=before,
        after=after,
        address=request.META.get("REMOTE_ADDR") or None if request else None,
    )
