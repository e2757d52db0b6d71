"""Create, rename, delete a list; put single members on it and take them off."""

from django.db import IntegrityError, transaction

from campaigns import membership, usage
from campaigns.errors import ListError, ListInUseError, NameTakenError
from campaigns.membership import KEYS, Members
from campaigns.models import ListMember, StaticList
from devices import audit
from devices.audit import Author
from devices.models import Application, ImportRun


def create(application: Application, author: Author, name: str) -> StaticList:
    """Raises NameTakenError for a second of a name."""
    with transaction.atomic():
        made = _saved(StaticList(application=application, name=name))
        audit.note(author, "create list", made, after={"name": name})
    return made


def rename(renamed: StaticList, author: Author, name: str) -> StaticList:
    """Raises NameTakenError for a second of a name, ListError if it is gone."""
    with transaction.atomic():
        rows = StaticList.objects.select_for_update()
        stored = rows.filter(pk=renamed.pk, application=renamed.application).first()
        if stored is None:
            raise ListError("This list was deleted meanwhile.")
        if stored.name == name:
            return stored
        before, stored.name = stored.name, name
        _saved(stored)
        audit.note(author, "rename list", stored, before={"name": before}, after={"name": name})
    return stored


def _saved(static: StaticList) -> StaticList:
    try:
        with transaction.atomic():
            static.save()
    except IntegrityError as error:
        raise NameTakenError(
            f"There is a list “{static.name}” already. Choose another name."
        ) from error
    return static


def delete(deleted: StaticList, author: Author) -> None:
    """Delete it with the files that were put on it; ListInUseError while anything names it."""
    with transaction.atomic():
        rows = StaticList.objects.select_for_update().filter(application=deleted.application)
        stored = rows.filter(pk=deleted.pk).first()
        if stored is None:
            return
        if stored.do_not_contact:
            raise ListInUseError(
                "Nobody on it gets anything. Send to them again first; nothing was deleted."
            )
        if found := usage.of_lists(deleted.application).get(deleted.pk):
            raise ListInUseError(f"It is in use by {usage.said(found)}. Nothing was deleted.")
        audit.note(author, "delete list", stored, before={"name": stored.name})
        ImportRun.objects.filter(list_upload__list=stored).delete()
        stored.delete()


def refuse_contact(static: StaticList, author: Author, *, refused: bool) -> bool:
    """Let nobody on it get anything, or send to them again; False if it is so already.

    Raises ListError where the application has another such list.
    """
    try:
        with transaction.atomic():
            rows = StaticList.objects.filter(pk=static.pk).exclude(do_not_contact=refused)
            if not rows.update(do_not_contact=refused):
                return False
            action = "make do-not-contact list" if refused else "release do-not-contact list"
            audit.note(
                author, action, static,
                before={"do not contact": not refused}, after={"do not contact": refused},
            )  # fmt: skip
    except IntegrityError as error:
        other = StaticList.objects.get(application=static.application, do_not_contact=True)
        raise ListError(
            f"“{other}” is this application's do-not-contact list. Add these members to it."
        ) from error
    static.do_not_contact = refused
    return True


def add_one(to: StaticList, author: Author, *, key: str, text: str) -> bool:
    """Put on a list whom a name means; False if they were on it. Raises ListError."""
    members = _one(to.application, key, text)
    with transaction.atomic():
        added = membership.add(to, members)
        if added:
            audit.note(author, "add to list", to, after=_facts(members))
    return bool(added)


def take_off(off: StaticList, author: Author, member: ListMember) -> bool:
    """Take a member off a list; False if somebody else was faster."""
    members = Members(
        frozenset({member.person_id} if member.person_id else ()),
        frozenset({member.registration_id} if member.registration_id else ()),
    )
    with transaction.atomic():
        removed = membership.remove(off, members)
        if removed:
            audit.note(author, "remove from list", off, before=_facts(members))
    return bool(removed)


def add_many(to: StaticList, author: Author, members: Members) -> int:
    """Put many on a list at once, and return how many were not on it."""
    with transaction.atomic():
        added = membership.add(to, members)
        if added:
            audit.note(author, "add to list", to, after={"members": added})
    return added


def remove_many(off: StaticList, author: Author, members: Members) -> int:
    """Take many off a list at once, and return how many were on it."""
    with transaction.atomic():
        removed = membership.remove(off, members)
        if removed:
            audit.note(author, "remove from list", off, before={"members": removed})
    return removed


def _one(application: Application, key: str, text: str) -> Members:
    try:
        found = membership.meant(application, {key: [text]})
    except ListError as fault:
        raise ListError(str(fault).partition(": ")[2]) from fault
    if not found.members:
        who = "No device of this application has" if key == membership.REGISTRATION else (
            "Nobody is known by"
        )  # fmt: skip
        raise ListError(f"{who} this {KEYS[key].lower()}.")
    return found.members


def _facts(members: Members) -> dict[str, list[int]]:
    """By their numbers: the trail outlives the people."""
    return {
        kind: sorted(keys)
        for kind, keys in (("people", members.people), ("devices", members.devices))
        if keys
    }
