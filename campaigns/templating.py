"""Templates of an application: kept from what a draft says, given to other drafts."""

from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from campaigns import drafting, history
from campaigns.errors import NameTakenError, TemplateError
from campaigns.models import Campaign, ContentTemplate
from devices import audit
from devices.models import Application

DELETED = "This template was deleted meanwhile."


def used(application: Application) -> QuerySet[ContentTemplate]:
    """The templates of an application, each with how many campaigns were made from it (`uses`)."""
    there = Q(campaigns__archived_at=None)
    templates = ContentTemplate.objects.filter(application=application)
    return templates.annotate(uses=Count("campaigns", filter=there))


def keep(campaign: Campaign, user: User, *, name: str, replace: bool = False) -> ContentTemplate:
    """Keep all that a campaign says, in every language and variant, under a name.

    Raises NameTakenError for a second of a name, unless it shall be replaced, and TemplateError
    where nothing is said.
    """
    contents = history.snapshot(campaign)["contents"]
    if not any(map(_says_something, contents)):
        raise TemplateError("There is nothing to keep yet. Write a title or a text first.")
    said = {"name": name, "contents": contents}
    with transaction.atomic():
        stored = _locked(campaign.application, name=name)
        if stored is not None:
            if not replace:
                raise _taken(name)
            before, stored.contents, stored.changed_by = stored.contents, contents, user
            stored.save(update_fields=["contents", "changed_by", "changed_at"])
            audit.record(
                user, "replace template", stored,
                before={"contents": before}, after={"contents": contents},
            )  # fmt: skip
            return stored
        made = ContentTemplate(
            application=campaign.application, created_by=user, changed_by=user, **said
        )
        _save(made)
        audit.record(user, "create template", made, after=said)
    return made


def rename(template: ContentTemplate, user: User, name: str) -> ContentTemplate:
    """Raises NameTakenError for a second of a name, TemplateError if it is gone."""
    with transaction.atomic():
        stored = _locked(template.application, pk=template.pk)
        if stored is None:
            raise TemplateError(DELETED)
        if stored.name == name:
            return stored
        before, stored.name, stored.changed_by = stored.name, name, user
        _save(stored)
        audit.record(user, "rename template", stored, before={"name": before}, after={"name": name})
    return stored


def delete(template: ContentTemplate, user: User) -> None:
    """Campaigns that were made from it keep what they say."""
    with transaction.atomic():
        stored = _locked(template.application, pk=template.pk)
        if stored is None:
            return
        before = {"name": stored.name, "contents": stored.contents}
        audit.record(user, "delete template", stored, before=before)
        stored.delete()


def start(template: ContentTemplate, user: User) -> Campaign:
    """A draft of the template's name that says what it does; TemplateError if it is gone."""
    with transaction.atomic():
        stored = _locked(template.application, pk=template.pk)
        if stored is None:
            raise TemplateError(DELETED)
        return drafting.create(stored.application, user, name=stored.name, template=stored)


def apply(template: ContentTemplate, campaign: Campaign, user: User, *, version: int) -> Campaign:
    """Let a draft say what a template does, instead of what it says; a version of its own.

    Its name, audience and delivery stay. Raises StaleDraftError when another save came in
    between, TemplateError if the template is gone.
    """
    with transaction.atomic():
        draft = drafting.changeable(campaign, version)
        stored = _locked(template.application, pk=template.pk)
        if stored is None:
            raise TemplateError(DELETED)
        drafting.write_contents(draft, stored.contents)
        draft.template = stored
        draft.save(update_fields=["template"])
        history.keep(draft, user, template=stored.name)
        audit.record(user, "apply template", draft, after={"template": stored.name})
    return draft


def _locked(application: Application, **given: Any) -> ContentTemplate | None:
    rows = ContentTemplate.objects.select_for_update(of=("self",)).select_related("application")
    return rows.filter(application=application, **given).first()


def _save(template: ContentTemplate) -> None:
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError as error:
        raise _taken(template.name) from error


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"There is a template “{name}” already. Choose another name.")


def _says_something(content: dict[str, Any]) -> bool:
    said = (content[name].strip() for name in ("title", "text", "image_url"))
    return any(said) or bool(content["options"])
