"""Each row of contract/people.md 5.1, asked over both APIs, with the whole answer of each."""

from dataclasses import dataclass
from typing import Any

import pytest

from devices.models import Person, Registration
from tests.api.apps import INSTANCES, App
from tests.api.systems import System, make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

FORCE = "?forceDepersonalize=true"
PROHIBITED = "Installation is not depersonalized. Personalization is prohibited"
SEVERAL = "Several users satisfy supplied user identity"
TAKEN = "User update violates unique key constraint"
PEOPLE_ERRORS = {PROHIBITED: 48020, SEVERAL: 48021, TAKEN: 48026}
MOBILE_ERRORS = {
    PROHIBITED: "PERSONALIZATION_IMPOSSIBLE",
    SEVERAL: "AMBIGUOUS_PERSONALIZE_CANDIDATES",
    TAKEN: "USER_MERGE_INTERRUPTED",
}


@dataclass(frozen=True)
class Row:
    """A row: who is known, whose the device is, what is asked, and what comes of it."""

    name: str
    known: dict[str, str] | None = None  # by what the one who is found is known; they are Pat
    second: dict[str, str] | None = None  # somebody else who is found
    owner: str = ""  # of the device: "nobody", "anonymous", "found" or "boris"
    identity: tuple[str, str, str] = ("pat", "79810000000", "")  # external id, phone, e-mail
    query: str = ""
    refusal: str = ""
    people: int = 1  # that there are afterwards
    tags: tuple[str, ...] = ()  # of whoever it belongs to afterwards
    found: bool = False  # it belongs to who was found


ROWS = [
    Row("nobody is known, of nobody", owner="nobody"),
    Row("nobody is known, anonymous", owner="anonymous", tags=("left",)),
    Row("nobody is known, personalized", owner="boris", refusal=PROHIBITED),
    Row("nobody is known, personalized, by force", owner="boris", query=FORCE, people=2),
    Row("one, anonymous", known={"external_id": "pat"}, owner="anonymous", found=True,
        tags=("left", "vip")),
    Row("one by phone, anonymous, gets what is missing", known={"phone": "79810000000"},
        owner="anonymous", found=True, tags=("left", "vip")),
    Row("one, already on them, gets what is missing", known={"external_id": "pat"}, owner="found",
        found=True, tags=("vip",)),
    Row("one, already on them, by force", known={"external_id": "pat"}, owner="found", query=FORCE,
        found=True, tags=("vip",)),
    Row("one, of another person", known={"external_id": "pat"}, owner="boris", refusal=PROHIBITED,
        people=2),
    Row("one, of another person, by force", known={"external_id": "pat"}, owner="boris",
        query=FORCE, found=True, people=2, tags=("vip",)),
    Row("two", known={"external_id": "pat"}, second={"phone": "79810000000"}, owner="nobody",
        refusal=SEVERAL, people=2),
    Row("two, by force", known={"external_id": "pat"}, second={"phone": "79810000000"},
        owner="boris", query=FORCE, refusal=SEVERAL, people=3),
    Row("one by phone who has another external id", known={"phone": "79810000000",
        "external_id": "other"}, owner="nobody", refusal=TAKEN),
    Row("one by e-mail in another case", known={"email": "pat@example.com"}, owner="nobody",
        identity=("pat", "", "Pat@Example.COM"), found=True, tags=("vip",)),
]  # fmt: skip


@dataclass
class Scene:
    """What a row begins with."""

    device: Registration
    found: Person | None

    @classmethod
    def of(cls, row: Row) -> "Scene":
        found = make_person(first_name="Pat", tags=["vip"], **row.known) if row.known else None
        if row.second:
            make_person(**row.second)
        owner = {"nobody": None, "found": found}.get(row.owner)
        if row.owner == "anonymous":
            owner = make_person(tags=["left"])
        elif row.owner == "boris":
            owner = make_person(external_id="boris")
        tags = owner.tags if owner else []
        device = make_registration(make_application(), person=owner, person_tags=tags)
        return cls(device, found)

    def check(self, row: Row, before: tuple[list[Any], ...]) -> None:
        assert Person.objects.count() == row.people
        if row.refusal:
            assert everything() == before
            return
        self.device.refresh_from_db()
        assert self.device.person_tags == list(row.tags)
        if row.found:
            assert self.device.person == self.found


def everything() -> tuple[list[Any], ...]:
    people = Person.objects.order_by("pk")
    known = people.values_list("pk", "identities__kind", "identities__value")
    devices = Registration.objects.order_by("pk").values()
    return list(people.values()), list(known.order_by("identities__pk")), list(devices)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_people_api_answers_each_row(row: Row) -> None:
    make_key()
    scene = Scene.of(row)
    external_id, phone, email = row.identity
    identity = {"externalId": external_id, "phoneNumber": phone, "email": email}
    before = everything()

    answer = System(scene.device.application).post(
        f"/people/2/contactInformation/push/{scene.device.address.public_id}/personalize{row.query}",
        {"identity": {name: value for name, value in identity.items() if value}},
    )

    if row.refusal:
        expected: Any = {"errorCode": PEOPLE_ERRORS[row.refusal], "errorMessage": row.refusal}
    else:
        contacts: dict[str, Any] = {}
        if phone:
            contacts["phones"] = [{"number": phone}]
        if email:
            contacts["emails"] = [{"address": email.lower()}]
        expected = {
            "externalId": external_id,
            **({"firstName": "Pat"} if row.found else {}),
            **({"tags": list(row.tags)} if row.tags else {}),
            "contactInformation": contacts,
        }
    assert (answer.status_code, answer.json()) == (400 if row.refusal else 200, expected)
    scene.check(row, before)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_mobile_api_answers_each_row(row: Row) -> None:
    scene = Scene.of(row)
    external_id, phone, email = row.identity
    identity: dict[str, Any] = {"externalUserId": external_id}
    if phone:
        identity["phones"] = [{"number": phone}]
    if email:
        identity["emails"] = [{"address": email}]
    before = everything()

    answer = App(scene.device.application).post(
        f"{INSTANCES}/{scene.device.address.public_id}/personalize{row.query}",
        {"userIdentity": identity},
    )

    if row.refusal:
        fault = {"messageId": MOBILE_ERRORS[row.refusal], "text": row.refusal}
        expected: Any = {"requestError": {"serviceException": fault}}
    else:
        expected = {
            "externalUserId": external_id,
            "type": "CUSTOMER",
            **({"firstName": "Pat"} if row.found else {}),
            **({"tags": list(row.tags)} if row.tags else {}),
            **({"phones": [{"number": phone, "preferred": False}]} if phone else {}),
            **({"emails": [{"address": email.lower(), "preferred": False}]} if email else {}),
        }
    assert (answer.status_code, answer.json()) == (400 if row.refusal else 200, expected)
    scene.check(row, before)
