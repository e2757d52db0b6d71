"""Snippets of an application: written, changed, deleted. A field takes a copy of their text."""

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from campaigns.errors import NameTakenError, SnippetError
from campaigns.models import Snippet
from devices import audit
from devices.models import Application


def create(application: Application, user: User, *, name: str, text: str) -> Snippet:
    """Raises NameTakenError for a second of a name."""
    with transaction.atomic():
        made = Snippet(application=application, name=name, text=text, changed_by=user)
        _save(made)
        audit.record(user, "create snippet", made, after={"name": name, "text": text})
    return made


def change(snippet: Snippet, user: User, *, name: str, text: str) -> Snippet:
    """Raises NameTakenError for a second of a name, SnippetError if it is gone."""
    with transaction.atomic():
        stored = _locked(snippet)
        if stored is None:
            raise SnippetError("This snippet was deleted meanwhile.")
        before, after = {"name": stored.name, "text": stored.text}, {"name": name, "text": text}
        if before == after:
            return stored
        stored.name, stored.text, stored.changed_by = name, text, user
        _save(stored)
        audit.record(user, "change snippet", stored, before=before, after=after)
    return stored


def delete(snippet: Snippet, user: User) -> None:
    """What it was put into keeps its words."""
    with transaction.atomic():
        if (stored := _locked(snippet)) is not None:
            before = {"name": stored.name, "text": stored.text}
            audit.record(user, "delete snippet", stored, before=before)
            stored.delete()


def _locked(snippet: Snippet) -> Snippet | None:
    rows = Snippet.objects.select_for_update(of=("self",)).select_related("application")
    return rows.filter(pk=snippet.pk, application=snippet.application).first()


def _save(snippet: Snippet) -> None:
    try:
        with transaction.atomic():
            snippet.save()
    except IntegrityError as error:
        raise NameTakenError(
            f"There is a snippet “{snippet.name}” already. Choose another name."
        ) from error
