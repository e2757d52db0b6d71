"""More of everything that an installation shows a row of."""

from django.contrib.auth.models import User
from django.utils import timezone

from campaigns import deliveries, ids, listing, segmenting
from campaigns.deliveries import Draft
from campaigns.models import (
    Bulk,
    Campaign,
    Message,
    PushApiCampaign,
    Scenario,
    Segment,
    StaticList,
    WebhookEvent,
)
from devices import attributes
from devices.audit import Author
from devices.models import Application, Identity, Membership, Person, Provider, Registration, Role
from tests.api.systems import make_api_user, make_key
from tests.campaigns import push_api
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_user,
    make_webhook,
)
from tests.pages.installation import (
    Installation,
    called,
    imported,
    repeated,
    sent,
    uploaded,
)


def grow(installation: Installation, turn: int) -> None:
    """One more of each kind, and of what stands on the page of each; `turn` tells them apart."""
    shop, boss = installation.shop, installation.administrator
    person = Person.objects.get(pk=first(installation, "people"))
    people(shop, person, turn)
    campaigns(shop, boss, Campaign.objects.get(pk=first(installation, "campaigns")), turn)
    audiences(installation, turn)
    push_api.every_state(shop, push_api.make_campaign(100 + turn))
    push_api.every_state(shop, PushApiCampaign.objects.get(camp_id=7))
    url = f"https://crm.example.com/push/{turn}"
    make_webhook(shop, url, events=WebhookEvent.SEEN)
    deliveries.write([Draft(shop.pk, url, WebhookEvent.SEEN, [{"messageId": f"{turn}"}])])
    called(shop)
    imported(shop, boss)
    invited_again(shop, turn)
    make_user(Role.ANALYST, shop)
    make_key(f"key-{turn}")
    make_api_user(f"crm-{turn}")
    other = make_application(name=f"Branch {turn}")
    Membership.objects.create(user=boss, application=other, role=Role.ADMINISTRATOR)
    make_credential(other, Provider.APNS)


def first(installation: Installation, kind: str) -> int:
    key = installation.rows[kind][0]
    assert isinstance(key, int)
    return key


def people(shop: Application, person: Person, turn: int) -> None:
    """Strangers, and more devices and numbers of a person that has a page."""
    attributes.check(shop, {f"size{turn}": 10})
    attributes.check(None, {f"town{turn}": "Berlin"})
    for number in range(4):
        someone = make_person(
            external_id=f"g{turn}-{number}", phone=f"4178000{turn}000{number}", first_name="Ana"
        )
        make_registration(shop, person=someone, attributes={f"size{turn}": 10}, language="it")
    make_registration(shop, person=person)
    person.identities.create(kind=Identity.Kind.PHONE, value=f"4177000{turn}0000")
    person.attributes = {**person.attributes, f"town{turn}": "Berlin"}
    person.save()


def campaigns(shop: Application, boss: User, launched: Campaign, turn: int) -> None:
    credentials = list(shop.credentials.exclude(provider=Provider.SMS))
    sent(shop, boss, credentials)
    repeated(shop, boss)
    make_campaign(shop, name=f"Draft {turn}")
    bulk = Bulk.objects.filter(campaign=launched).latest("pk")
    for number, message in enumerate(Message.objects.filter(bulk=bulk)[:4]):
        message.pk = ids.message_id(bulk, 1000 * turn + number)
        message.sent_at = timezone.now()
        message.save(force_insert=True)


def audiences(installation: Installation, turn: int) -> None:
    shop, boss = installation.shop, installation.administrator
    german = {"field": "language", "op": "is", "value": "de"}
    segmenting.create(shop, boss, name=f"Germans {turn}", rule={"all": [german]})
    segment = Segment.objects.get(pk=first(installation, "segments"))
    segmenting.change(
        segment, boss, version=segment.version, name=f"Speakers {turn}", rule=segment.rule
    )
    listing.create(shop, Author("boss"), f"Guests {turn}")
    static = StaticList.objects.get(pk=first(installation, "lists"))
    static.members.create(person=make_person(external_id=f"m{turn}"))
    static.members.create(registration=Registration.objects.latest("pk"))
    uploaded(static, boss)
    steps = [{"channel": "PUSH", "sender": shop.code, "validity": 3600}]
    Scenario.objects.create(key=f"{turn}" * 32, name=f"Push {turn}", steps=steps)


def invited_again(shop: Application, turn: int) -> None:
    """Invitations differ by their digest."""
    invitation = shop.invitations.latest("pk")
    invitation.pk, invitation.digest = None, bytes([turn]) * 32
    invitation.save()
