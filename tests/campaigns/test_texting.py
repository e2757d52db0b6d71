"""Text messages with merge tags: as a push says it, written once, counted and forgotten."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaigns import (
    boarding,
    channels,
    composing,
    dispatch,
    failover,
    fanout,
    forgetting,
    merging,
    recipients,
    texting,
)
from campaigns.errors import IncompleteContentError
from campaigns.models import (
    Bulk,
    Campaign,
    Chunk,
    Journey,
    Leg,
    Medium,
    Message,
    Reason,
    Scenario,
)
from campaigns.rendering import Renderer
from campaigns.store import store
from devices import personalizing
from devices.audit import Author
from devices.models import Application, Platform, ProviderCredential, Registration, Role
from providers.base import Cause, Outcome, Verdict
from providers.sms import SmsPayload
from tests.campaigns.conftest import Cloud
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db

CloudFor = Callable[[ProviderCredential], Cloud]
EVERYBODY: dict[str, Any] = {"all": []}
DEAD = Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
AWAY = Outcome(verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE, retry_after=1, asked=True)


@pytest.fixture(autouse=True)
def _no_hold(settings: Any) -> None:
    settings.LAUNCH_HOLD_SECONDS = -1800  # before the test's transaction began


@pytest.fixture
def shop() -> Application:
    return make_application()


@pytest.fixture
def marketer(shop: Application) -> User:
    return make_user(Role.MARKETER, shop)


def push_then_sms(shop: Application) -> Scenario:
    key = uuid4().hex.upper()
    steps = [
        {"channel": "PUSH", "sender": shop.code, "validity": 7200},
        {"channel": "SMS", "sender": "Shop", "validity": 7200},
    ]
    return Scenario.objects.create(key=key, name="Both", steps=steps)


def launched(shop: Application, user: User, **given: Any) -> Bulk:
    campaign = make_campaign(shop, scenario=push_then_sms(shop), **given)
    bulk = composing.launch(campaign, user)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def somebody(shop: Application, number: str = "41791000001", **known: Any) -> Registration:
    device = {name: known.pop(name) for name in ("language", "model", "primary") if name in known}
    return make_registration(shop, person=make_person(phone=number, **known), **device)


def go() -> None:
    while dispatch.work(seconds=5) or failover.advance():
        pass


def texts_of(bulk: Bulk) -> Bulk:
    return Bulk.objects.get(flow=bulk.flow, step=1)


def said(cloud: Cloud) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in cloud.taken:
        found[one.token] = one.payload.notification.text  # type: ignore[attr-defined]
    return found


# ------------------------------------------------------------------- who reads what


def test_each_person_reads_their_own_and_who_lacks_a_value_gets_none(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    texted = cloud_for(make_gateway(shop))
    somebody(shop, "41791000001", first_name="Ana", attributes={"tier": "gold"}, model="Pixel 9")
    somebody(shop, "41791000002", attributes={"tier": "blue"})
    somebody(shop, "41791000003", first_name="Cleo")

    bulk = launched(
        shop, marketer, text='Hi {{ first_name | default: "you" | upcase }}, {{ person.tier }}'
    )
    go()

    assert said(texted) == {"41791000001": "Hi ANA, gold", "41791000002": "Hi YOU, blue"}
    assert {one.payload.notification.sender for one in texted.taken} == {"Shop"}  # type: ignore[attr-defined]
    states = Journey.objects.filter(flow=bulk.flow, step=1).values_list("state", "reason")
    assert sorted(states) == [
        (Journey.State.RUNNING, Reason.NONE),
        (Journey.State.RUNNING, Reason.NONE),
        (Journey.State.FAILED, Reason.NO_VALUE),
    ]
    assert not Leg.objects.filter(bulk=bulk).exclude(text="").exists()  # of pushes


def test_of_several_devices_the_primary_one_speaks_for_its_person(shop: Application) -> None:
    ana = make_person(first_name="Ana")
    make_registration(shop, person=ana, language="de", model="Old", primary=True)
    make_registration(shop, person=ana, language="fr", model="New")
    make_registration(make_application(), person=ana, language="it")
    nobody = make_person()

    values = merging.values_of_people(shop.pk, [ana.pk, nobody.pk])

    assert values[ana.pk]["language"] == "de"
    assert values[ana.pk]["model"] == "Old"
    assert values[ana.pk]["platform"] == "Android"
    assert set(values[nobody.pk]) <= {"person", "device", "gender"}


WORDS = st.text(alphabet="abÄß€Ωă 😀{}%|", max_size=12)
ATTRIBUTE = st.one_of(WORDS, st.integers(-9, 99), st.booleans())
PEOPLE = st.fixed_dictionaries(
    {},
    optional={
        "first_name": WORDS,
        "city": WORDS,
        "birthday": st.dates(date(1930, 1, 1), date(2020, 1, 1)),
        "attributes": st.dictionaries(st.sampled_from(["tier", "points"]), ATTRIBUTE, max_size=2),
    },
)
PIECES = st.sampled_from(
    [
        "{{ first_name }}", '{{ first_name | default: "you" }}', "{{ city | upcase }}",
        '{{ birthday | date: "%-d %B" | default: "soon" }}', "{{ person.tier | truncate: 5 }}",
        '{{ person.points | default: 0 | plus: 1 }}', "{{ platform }}", "{{ device.plan }}",
        '{{ language | default: "en" }}',
        "{% if person.tier %}{{ person.tier }}{% else %}-{% endif %}",
        "Hi ", "50 % € off ", "\n", "{ braces } ",
    ]
)  # fmt: skip


@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(PIECES, min_size=1, max_size=5), people=st.lists(PEOPLE, max_size=6))
def test_a_text_message_says_what_the_push_says(
    cloud_for: CloudFor, pieces: list[str], people: list[dict[str, Any]]
) -> None:
    shop = make_application()
    pushed, texted = cloud_for(make_credential(shop)), cloud_for(make_gateway(shop))
    pushed.answer = lambda one: DEAD
    numbers = {}
    for place, known in enumerate([*people, {"first_name": "Ana"}]):
        device = somebody(shop, f"4179{uuid4().int % 10**7:07}{place}", **known, language="de")
        numbers[device.address.token] = device.person.identities.get().value  # type: ignore[union-attr]
    text = "".join(pieces)
    text = text if text.strip() else "Hi"

    bulk = launched(shop, make_user(Role.MARKETER, shop), text=text)
    go()

    read = {numbers[token]: words for token, words in said(pushed).items()}
    assert said(texted) == read
    unsaid = Message.objects.of_bulk(bulk).filter(reason=Reason.NO_VALUE).count()
    assert len(read) + unsaid == len(numbers)
    ended = Journey.objects.filter(flow=bulk.flow, step=1, reason=Reason.NO_VALUE)
    assert ended.count() == unsaid


# ------------------------------------------------------------------- written once


def test_a_repeat_says_the_same_although_the_person_changed(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    texted = cloud_for(make_gateway(shop))
    texted.answer = lambda one: AWAY
    ana = somebody(shop, first_name="Ana").person
    assert ana is not None
    bulk = launched(shop, marketer, text="Hi {{ first_name }}")
    go()
    assert said(texted) == {"41791000001": "Hi Ana"}

    ana.first_name = "Anastasia"
    ana.save()
    texts_of(bulk).chunks.update(not_before=timezone.now() - timedelta(hours=1))
    texted.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED, status=200)
    go()

    assert len(texted.taken) == 2
    assert said(texted) == {"41791000001": "Hi Ana"}


def test_merge_tags_take_one_statement_more_for_a_batch_of_journeys_and_none_for_a_window(
    shop: Application, marketer: User, django_assert_num_queries: Any
) -> None:
    make_credential(shop)
    make_gateway(shop)
    counts = []
    for text, people in (("Hi you", 4), ("Hi {{ first_name }}", 4), ("Dear {{ first_name }}", 8)):
        Registration.objects.filter(application=shop).delete()
        for place in range(people):
            somebody(shop, f"4179{uuid4().int % 10**7:07}{place}", first_name=f"Ana {place}")
        bulk = texts_of(launched(shop, marketer, text=text))
        assert bulk.flow is not None
        journeys = list(bulk.flow.journeys.all())
        with CaptureQueriesContext(connection) as asked:
            assert boarding.board([bulk], journeys, bulk.flow.steps[1]) == {}
        counts.append(len(asked))
    plain, few, many = counts
    assert few == many == plain + 1

    renderer = Renderer(bulk)
    renderer.credentials = channels.credentials_of(shop.pk)
    standings = failover.standings(bulk, [journey.pk for journey in journeys])
    with django_assert_num_queries(0):
        renderer.told({pk: standing.text for pk, standing in standings.items()})
        words = set()
        for pk, standing in standings.items():
            _, payload = renderer.payload(Medium.SMS, 0, recipients.phone(pk, standing.number))
            assert isinstance(payload, SmsPayload)
            words.add(payload.text)
    assert words == {f"Dear Ana {place}" for place in range(8)}


def test_what_others_submit_is_verbatim(shop: Application) -> None:
    somebody(shop, first_name="Ana")
    bulk = Bulk(application=shop, content=[{"text": "{{ first_name }}"}], starts_at=timezone.now())
    journey = Journey(pk=1, person_id=1)

    assert boarding._texts(bulk, [journey]) == {1: "{{ first_name }}"}


# ------------------------------------------------------------------- how long, and who lacks what


def test_the_length_is_that_of_the_longest_real_recipient(shop: Application) -> None:
    for place in range(25):
        somebody(shop, f"417910000{place:02}", first_name="Bo")
    text = "x" * 150 + " {{ first_name }}"
    assert texting.length(text, shop, EVERYBODY) == texting.Length(1, 1, unusual=False)

    somebody(shop, "41791000051", first_name="A" * 30)
    assert texting.length(text, shop, EVERYBODY) == texting.Length(1, 2, unusual=False)

    somebody(shop, "41791000052", first_name="Ană")  # shorter, and no letter of GSM-7
    assert texting.length(text, shop, EVERYBODY) == texting.Length(1, 3, unusual=True)

    make_registration(shop, person=make_person(first_name="Ă" * 100))  # has no number
    assert texting.length(text, shop, EVERYBODY).most == 3


def test_a_text_without_merge_tags_is_measured_without_a_query(
    shop: Application, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert texting.length("x" * 161, shop, EVERYBODY) == texting.Length(2, 2, unusual=False)
        assert texting.lacks("x" * 161, shop, EVERYBODY) == []


def test_people_with_a_number_who_lack_a_value_are_counted(shop: Application) -> None:
    ana = somebody(shop, "41791000001", first_name="Ana", language="de").person
    make_registration(shop, person=ana, platform=Platform.IOS)  # seen as long ago, and newer
    somebody(shop, "41791000002", language="fr")
    somebody(shop, "41791000003", attributes={"tier": "gold"}, language="it")
    make_registration(shop, person=make_person())
    text = '{{ first_name | default: "you" }} {{ person.tier }} {{ language }}'

    found = {each.variable.name: (each.devices, each.stops) for each in texting.lacks(
        text, shop, EVERYBODY
    )}  # fmt: skip

    assert found == {"first name": (2, False), "tier": (2, True), "language": (1, True)}


def test_a_text_that_is_too_long_for_somebody_is_refused_beside_its_field(
    shop: Application, marketer: User
) -> None:
    make_credential(shop)
    make_gateway(shop)
    somebody(shop, first_name="Bo")
    text = "x" * 1500 + " {{ first_name }}"
    composing.launch(make_campaign(shop, text=text, scenario=push_then_sms(shop)), marketer)
    somebody(shop, "41791000002", first_name="A" * 60)

    with pytest.raises(IncompleteContentError, match="11 SMS for the longest") as refused:
        composing.launch(make_campaign(shop, text=text, scenario=push_then_sms(shop)), marketer)

    assert refused.value.field == "text"


def test_each_pays_for_the_parts_of_their_own_text(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    cloud_for(make_gateway(shop))
    somebody(shop, "41791000001", first_name="Bo")
    somebody(shop, "41791000002", first_name="B" * 60)

    bulk = launched(shop, marketer, text="x" * 120 + " {{ first_name }}")
    go()

    journeys = Journey.objects.filter(flow=bulk.flow).order_by("number")
    assert [journey.parts for journey in journeys] == [1, 2]


# ------------------------------------------------------------------- pages


TYPED = {
    "name": "Sale", "on_tap": "app", "hours": "48", "repeat_policy": "when_refused",
}  # fmt: skip


def composed(client: Client, campaign: Campaign, **typed: Any) -> str:
    address = reverse("campaigns:edit", args=[campaign.application_id, campaign.pk])
    campaign.refresh_from_db()
    data = TYPED | {"draft_version": campaign.version} | typed
    return client.post(address, data).content.decode()


def test_the_composer_shows_parts_cost_and_who_gets_no_text(
    shop: Application, marketer: User, client: Client
) -> None:
    make_credential(shop)
    make_gateway(shop)
    somebody(shop, "41791000001", first_name="Bo")
    somebody(shop, "41791000002", first_name="B" * 60)
    somebody(shop, "41791000003")
    client.force_login(marketer)
    campaign, scenario = make_campaign(shop), push_then_sms(shop)
    typed = {"scenario": scenario.pk, "text": "x" * 120 + " {{ first_name }}"}

    page = composed(client, campaign, **typed)
    choice = client.post(
        reverse("campaigns:scenario-choice", args=[shop.pk, campaign.pk]), TYPED | typed
    ).content.decode()
    wrong = composed(client, campaign, scenario=scenario.pk, text="Hi {{ frist_name }}")

    assert "SMS for each</dt><dd>1 to 2, by whom it names</dd>" in page
    assert "0.27 EUR" in page  # 3 people, 2 parts at most
    assert 'data-lack-text="first name"' in page
    assert "1 person with a number has no first name" in page
    assert "The text takes 1 to 2 SMS" in choice
    (fault,) = [line for line in wrong.split("<li") if 'data-fault="id_text"' in line]
    assert "Nobody has a frist_name" in fault


def test_a_text_that_is_too_long_is_said_while_somebody_writes(
    shop: Application, marketer: User, client: Client
) -> None:
    make_credential(shop)
    make_gateway(shop)
    somebody(shop)
    client.force_login(marketer)

    page = composed(client, make_campaign(shop), scenario=push_then_sms(shop).pk, text="x" * 1600)

    (fault,) = [line for line in page.split("<li") if 'data-fault="id_text"' in line]
    assert "11 SMS; at most 10" in fault


def test_pages_show_a_text_as_it_was_sent_until_its_person_is_erased(
    shop: Application, marketer: User, cloud_for: CloudFor, client: Client
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    cloud_for(make_gateway(shop))
    ana = somebody(shop, first_name="Ana").person
    bo = somebody(shop, "41791000002", first_name="Bo").person
    assert ana is not None
    assert bo is not None
    launched(shop, marketer, text="Hi {{ first_name }}")
    go()
    client.force_login(make_user(Role.ADMINISTRATOR, shop))

    address = reverse("campaigns:person-timeline", args=[shop.pk, ana.pk])
    export = reverse("campaigns:person-export", args=[shop.pk, ana.pk])
    assert "“Hi Ana”" in client.get(address).content.decode()
    taken = client.get(export)
    document = b"".join(taken.streaming_content)  # type: ignore[attr-defined]
    assert b'"text": "Hi Ana"' in document

    personalizing.erase(ana.pk, Author("system"))
    assert [leg.text for leg in Leg.objects.exclude(text="")] == ["Hi Bo"]


@pytest.mark.parametrize("text", ["Hi {{ first_name }}", "Hi"])
def test_whoever_is_erased_gets_no_text_message_that_waited(
    shop: Application, marketer: User, cloud_for: CloudFor, text: str
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    gateway = cloud_for(make_gateway(shop))
    gateway.answer = lambda one: AWAY
    ana = somebody(shop, first_name="Ana").person
    assert ana is not None
    bulk = launched(shop, marketer, text=text)
    go()
    assert said(gateway) == {"41791000001": text.replace("{{ first_name }}", "Ana")}
    gateway.taken.clear()

    personalizing.erase(ana.pk, Author("system"))
    store().flushdb()
    Chunk.objects.update(not_before=timezone.now() - timedelta(days=1))
    go()

    assert gateway.taken == []
    ended = Message.objects.of_bulk(texts_of(bulk)).values_list("state", "reason")
    assert list(ended) == [(Message.State.FAILED, Reason.NO_NUMBER)]
    assert not Journey.objects.exclude(number="").exists()


def test_no_number_is_kept_of_what_was_cancelled(
    shop: Application, marketer: User, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    cloud_for(make_gateway(shop)).answer = lambda one: AWAY
    somebody(shop)
    bulk = launched(shop, marketer)
    go()
    assert Journey.objects.exclude(number="").exists()
    assert bulk.campaign is not None

    composing.cancel(bulk.campaign, marketer)

    assert not Journey.objects.exclude(number="").exists()


def test_words_are_forgotten_with_the_messages(
    shop: Application, marketer: User, cloud_for: CloudFor, settings: Any
) -> None:
    cloud_for(make_credential(shop)).answer = lambda one: DEAD
    cloud_for(make_gateway(shop))
    somebody(shop, first_name="Ana")
    launched(shop, marketer, text="Hi {{ first_name }}")
    go()
    assert forgetting.drop_submitted(seconds=5) == 0

    settings.MESSAGE_RETENTION_DAYS = 0
    assert forgetting.drop_submitted(seconds=5) == 1

    assert not Leg.objects.exclude(text="").exists()
    assert Leg.objects.exists()
