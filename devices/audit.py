"""Write down who changed what."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.http import HttpRequest

from devices.models import Application, AuditEntry, Person


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change: a member of the team, a key of another system, an app."""

    name: str
    user_id: int | None = None
    address: str | None = None  # of the network
    source: Person.Source = Person.Source.PORTAL


def author_of(
    actor: AbstractBaseUser | AnonymousUser | None, request: HttpRequest | None = None
) -> Author:
    """The signed-in member, or the system where nobody is."""
    address = request.META.get("REMOTE_ADDR") or None if request else None
    if actor is None or actor.pk is None:
        return Author("system", address=address)
    return Author(actor.get_username(), actor.pk, address)


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
    return note(
        author_of(actor, request),
        action,
        changed,
        before=before,
        after=after,
        application=application,
    )


def note(
    author: Author,
    action: str,
    changed: models.Model,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    application: Application | None = None,
) -> AuditEntry:
    """Append one entry, as `record` does, for an author who need not be signed in."""
    return AuditEntry.objects.create(
        actor_id=author.user_id,
        actor_name=author.name[:150],
        action=action,
        application=application or getattr(changed, "application", None),
        object_type=changed._meta.model_name or "",
        object_id=str(changed.pk),
        object_name=str(changed)[:250],
        before=before,
        after=after,
        address=author.address,
    )
