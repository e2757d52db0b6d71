"""An installation with something to show on every page."""

import io
import os
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle

from django.contrib.auth.models import User
from django.utils import timezone

from campaigns import (
    channels,
    composing,
    deliveries,
    dispatch,
    fanout,
    listing,
    listing_files,
    segmenting,
    signing,
    snippets,
    templating,
)
from campaigns.deliveries import Draft
from campaigns.models import (
    Bulk,
    Campaign,
    RecordedCall,
    Scenario,
    StaticList,
    WebhookEvent,
)
from campaigns.store import store
from devices import attributes, importing
from devices.audit import Author
from devices.models import (
    Application,
    AttributeDefinition,
    ImportRun,
    Invitation,
    Membership,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
    Role,
)
from providers.base import Cause, Outcome, Verdict
from providers.posting import Posted
from tests.api.systems import make_api_user, make_key
from tests.campaigns import push_api
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
    make_user,
    make_webhook,
)

DEVICES = 12
# As long as a name may be: pages have to bear it.
LONG = ("Back in stock for customers of the Donaudampfschifffahrtsgesellschaft " * 2)[:100].strip()
FILE = f"platform,token,external_id\niOS,{'ab' * 32},p0\nPalm,{'cd' * 32},boris\n".encode()
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
TAKEN = Outcome(
    verdict=Verdict.ACCEPTED, provider_id="projects/shop/messages/0:1760003600000000", status=200
)


@dataclass(frozen=True, slots=True)
class Installation:
    """`rows`: what an address may name, by the word before it in the address."""

    administrator: User
    shop: Application
    empty: Application  # made a moment ago: nothing was imported, written or set up
    rows: dict[str, list[object]]


def make_installation() -> Installation:
    """A shop after its first days, and an application without anything."""
    store().flushdb()
    shop = make_application(name="Shop", default_zone="Europe/Berlin")
    boss = make_user(Role.ADMINISTRATOR, shop, is_superuser=True, email="boss@shop.example")
    credential = make_credential(shop)
    devices = make_devices(shop)
    launched = sent(shop, boss, [credential, make_credential(shop, Provider.APNS)])
    make_gateway(shop)
    recurring = repeated(shop, boss)
    draft = make_campaign(shop, name=LONG, title="Here again")
    campaigns = [launched, draft, recurring]
    push_api.every_state(shop, push_api.make_campaign())
    static = listing.create(shop, Author("boss"), LONG)
    member = static.members.create(person=devices[0].person)
    webhook, delivery = told(shop, boss)
    analyst = Membership.objects.get(user=make_user(Role.ANALYST, shop))
    person = devices[0].person
    assert person is not None
    phone = person.identities.order_by("pk").last()
    assert phone is not None
    rows: dict[str, list[object]] = {
        "apps": [shop.pk],
        "applications": [shop.pk],
        "go": [shop.pk],
        "campaigns": [each.pk for each in campaigns],
        "runs": [
            Bulk.objects.filter(campaign=each).latest("pk").pk for each in (launched, recurring)
        ],
        "push-api": [7],
        "segments": [segmented(shop, boss)],
        "templates": [templated(draft, boss)],
        "snippets": [snippets.create(shop, boss, name="Greeting", text="Hello,").pk],
        "attributes": [AttributeDefinition.objects.latest("pk").pk],
        "lists": [static.pk],
        "members": [member.pk],
        "files": [uploaded(static, boss)],
        "devices": [devices[0].pk],
        "numbers": [phone.pk],
        "people": [person.pk],
        "scenarios": [make_scenario(shop)],
        "calls": [called(shop)],
        "webhooks": [webhook],
        "log": [delivery],
        "credentials": [credential.pk],
        "new": ["fcm", "apns", "hms", "webpush", "sms"],
        "imports": [imported(shop, boss)],
        "invitations": [invited(shop, boss)],
        "team": [analyst.pk],
        "keys": [make_key().pk],
        "users": [make_api_user().pk],
        "reference": ["PushPostPush3Messages"],
        "export": ["devices"],
    }
    return Installation(boss, shop, make_application(name="Wholesale"), rows)


def make_devices(shop: Application) -> list[Registration]:
    people = [
        make_person(external_id=f"p{number}", phone=f"4179000000{number}", first_name="Ana")
        for number in range(DEVICES // 2)
    ]
    given = {"ltv": 10, "plan": "gold"}
    attributes.check(shop, given)
    return [
        make_registration(
            shop,
            platform=(Platform.ANDROID, Platform.IOS)[number % 2],
            person=people[number // 2],
            language=("de", "en", "fr")[number % 3],
            model="Galaxy S24",
            attributes=given,
        )
        for number in range(DEVICES)
    ]


def sent(shop: Application, boss: User, credentials: list[ProviderCredential]) -> Campaign:
    """A campaign in two variants, of which a part failed."""
    answers = cycle([TAKEN, DEAD])
    cloud = Cloud()
    cloud.answer = lambda one: next(answers)
    channels._pid = os.getpid()
    for each in credentials:
        channels._open[each.pk] = channels.Channel(each.pk, each.version, cloud)
    campaign = make_campaign(shop, name="Friday sale", title="Sale")
    bulk = composing.launch(campaign, boss)
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    channels._open.clear()
    return campaign


def repeated(shop: Application, boss: User) -> Campaign:
    """A campaign that goes out every day, from yesterday on."""
    yesterday = timezone.now() - timedelta(days=1)
    timing = {
        "kind": "repeat", "date": f"{yesterday:%Y-%m-%d}", "time": "09:00",
        "zone": "Europe/Berlin", "every": "day", "until": None, "count": None,
    }  # fmt: skip
    campaign = make_campaign(shop, name="Daily digest", timing=timing)
    composing.launch(campaign, boss)
    return campaign


def make_scenario(shop: Application) -> int:
    steps = [
        {"channel": "PUSH", "sender": shop.code, "validity": 3600},
        {"channel": "SMS", "sender": "InfoSMS", "validity": 86_400},
    ]
    made = Scenario.objects.create(key="A" * 32, name="Push, then SMS", steps=steps, default=True)
    return made.pk


def segmented(shop: Application, boss: User) -> int:
    """A segment in its second version."""
    german = {"field": "language", "op": "is", "value": "de"}
    made = segmenting.create(shop, boss, name="Germans", rule={"all": [german]})
    rule = {"any": [german, {"field": "platform", "op": "is", "value": "iOS"}]}
    segmenting.change(made, boss, version=made.version, name="German-speaking", rule=rule)
    return made.pk


def templated(draft: Campaign, boss: User) -> int:
    """A template, and a campaign that was started from it."""
    made = templating.keep(draft, boss, name="Here again")
    templating.start(made, boss)
    return made.pk


def uploaded(static: StaticList, boss: User) -> int:
    """A tried file, of which a row names nobody."""
    upload = listing_files.receive(static, boss, "guests.csv", [b"external_id\np1\nnobody\n"])
    listing_files.run(upload.pk)
    return int(upload.pk)


def imported(shop: Application, boss: User) -> int:
    """An imported file, of which a row was refused."""
    run = importing.receive(shop, boss, "crm.csv", io.BytesIO(FILE))
    importing.run_upload(run.pk)
    assert ImportRun.objects.get(pk=run.pk).refused == 1
    return run.pk


def told(shop: Application, boss: User) -> tuple[int, int]:
    """A webhook, and a delivery that failed."""
    url = "https://crm.example.com/push/events"
    webhook = make_webhook(shop, url, events=WebhookEvent.SEEN)
    signing.make_secret(boss, shop)
    [made] = deliveries.write([Draft(shop.pk, url, WebhookEvent.SEEN, [{"messageId": "7e5c"}])])
    deliveries.record(made, Posted(503, "Service Unavailable", seconds=1.2), timezone.now())
    return webhook.pk, made.pk


def called(shop: Application) -> int:
    call = RecordedCall.objects.create(
        application=shop, at=timezone.now(), caller="CRM", method="POST", path="/push/3/messages",
        status=200, milliseconds=12, body='{"messages":[]}', answer='{"bulkId":"orders"}',
    )  # fmt: skip
    return call.pk


def invited(shop: Application, boss: User) -> int:
    until = timezone.now() + timedelta(days=7)
    made = Invitation.objects.create(
        application=shop, role=Role.ANALYST, digest=b"d" * 32, invited_by=boss, expires_at=until
    )
    return made.pk
