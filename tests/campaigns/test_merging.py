"""campaigns.merging: what is written is read with somebody's own values, or not at all."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from campaigns import (
    checking,
    composing,
    dispatch,
    fanout,
    lacking,
    merging,
    previewing,
    pulling,
    statistics,
)
from campaigns.errors import ContentTooLargeError, IncompleteContentError
from campaigns.merging import NOBODY, MissingValueError, Variable
from campaigns.models import Bulk, Message, Reason
from devices.models import Platform, ProviderCredential, Role
from providers import credentials
from providers.base import Outcome, Verdict
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_registrations,
    make_user,
)

CloudFor = Callable[[ProviderCredential], Any]
ANA = {
    "first_name": "Ana",
    "birthday": date(1990, 3, 4),
    "person": {"tier": "gold"},
    "device": {"loyalty points": 7},
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi {{ first_name }}", "Hi Ana"),
        ('Hi {{ first_name | default: "there" | upcase }}', "Hi ANA"),
        ('{{ last_name | default: "there" }}', "there"),
        ("{% if last_name %}{{ last_name }}{% else %}you{% endif %}", "you"),
        ("{{ person.tier }} {{ device['loyalty points'] }}", "gold 7"),
        ('{{ birthday | date: "%-d %B" }}', "4 March"),
        ("no tags { here }", "no tags { here }"),
    ],
)
def test_a_text_is_read_with_the_persons_values(text: str, said: str) -> None:
    assert merging.mistake(text) is None
    assert merging.rendered(text, ANA) == said


@pytest.mark.parametrize(
    "text", ["{{ last_name }}", "{{ person.size_of_shoe }}", "{{ last_name | upcase }}"]
)
def test_a_value_that_nobody_knows_is_never_said(text: str) -> None:
    assert merging.mistake(text) is None
    with pytest.raises(MissingValueError):
        merging.rendered(text, ANA)


@pytest.mark.parametrize(
    ("text", "problem", "line", "column"),
    [
        ("Hi {{ frist_name }}", "Nobody has a frist_name", 1, 7),
        ("Hi\n {{ first_name", "A {{ has no }} that ends it", 2, 2),
        ("{{ first_name | shout }}", "There is no filter shout", 1, 17),
        ("{{ person }}", "Say which attribute", 1, 4),
        ("{% for x in person %}{% endfor %}", "Unexpected tag 'for'", 1, 4),
        ("{% include 'settings' %}", "Unexpected tag 'include'", 1, 4),
        ("{{ 'a' | replace: 'a', 'aaaa' }}", "There is no filter replace", 1, 10),
        ("{% if first_name %}", "A {% endif %} is missing", 1, 1),
        ("Hi {{ first_name", "A {{ has no }} that ends it", 1, 4),
        ("Hi { first_name }}", "A }} has no {{ before it", 1, 17),
        ("{{ first_name }} }}", "A }} has no {{ before it", 1, 18),
        ("{{ first name }}", "There is a word too many", 1, 10),
        ("{{ first_name | }}", "Something has to follow the |", 1, 1),
        ("{{ first_name | default }}", "Say what stands instead", 1, 15),
        ("{{ first_name | default: | upcase }}", "Say what stands instead", 1, 15),
        ("{{ first_name | default: “you” }}", "Type straight quotes", 1, 26),
        ("{{ first_name | default: 'you }}", "A quote is opened and not closed", 1, 26),
        ("{{ }}", "Nothing is asked for here", 1, 1),
    ],
)
def test_a_mistake_has_its_place(text: str, problem: str, line: int, column: int) -> None:
    found = merging.mistake(text)

    assert found is not None
    assert found.problem.startswith(problem)
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    "bomb",
    [
        "{% assign a = 'aaaaaaaaaaaaaaaa' %}"
        + "{% assign a = a | append: a | append: a | append: a %}" * 30
        + "{{ a }}",
        '{{ birthday | date: "%999999999d" }}',
        "{% if true %}" * 50 + "{% endif %}" * 50,
        "{{ 9 | times: 'x' }}{{ 1 | divided_by: 0 }}",
    ],
)
def test_nothing_that_is_written_takes_long_or_grows(bomb: str) -> None:
    with pytest.raises(MissingValueError):
        merging.rendered(bomb, ANA)


@given(st.text(alphabet="{}%| .'\"abdefilnr_tsm:0\n", max_size=80))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    wrong = merging.mistake(text)
    try:
        said = merging.rendered(text, NOBODY)
    except MissingValueError:
        return
    assert wrong is not None or isinstance(said, str)
    assert merging.has_tags(text) or said == text


def test_only_what_has_no_fallback_is_needed() -> None:
    text = 'Hi {{ first_name | default: "you" }} from {{ city }}'
    first, city = Variable(("first_name",)), Variable(("city",))

    assert merging.variables(text) == [city, first]
    assert [merging.needs(text, each) for each in (first, city)] == [False, True]


def launched(text: str, cloud_for: CloudFor, **given: Any) -> tuple[Bulk, Any]:
    """A campaign to Ana, to Bo without a name, and to a device of nobody; and its cloud."""
    application = make_application()
    cloud = cloud_for(make_credential(application))
    ana = make_person(first_name="Ana", attributes={"tier": "gold"})
    make_registration(application, person=ana, token="ana", attributes={"points": 7})
    make_registration(application, person=make_person(), token="bo")
    make_registration(application, token="nobody")
    campaign = make_campaign(application, text=text, **given)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk, cloud


@pytest.mark.django_db
def test_every_device_reads_its_own_and_a_missing_value_fails_with_its_reason(
    cloud_for: CloudFor,
) -> None:
    bulk, cloud = launched(
        "Hi {{ first_name }}, {{ person.tier }} with {{ device.points }}",
        cloud_for,
        on_tap="deep_link",
        target="shop://for/{{ first_name | url_encode }}",
    )

    dispatch.work(seconds=60)

    said = {one.token: one.payload.notification for one in cloud.taken}
    assert {token: one.text for token, one in said.items()} == {"ana": "Hi Ana, gold with 7"}
    assert said["ana"].deep_link == "shop://for/Ana"
    assert [(each.reason, each.count) for each in statistics.reasons(bulk)] == [
        (Reason.NO_VALUE, 2)
    ]
    assert statistics.funnel(bulk) == statistics.recount(bulk)


@pytest.mark.django_db
def test_a_fallback_reaches_everybody_and_equal_texts_are_compiled_once(
    cloud_for: CloudFor,
) -> None:
    _, cloud = launched('Hi {{ first_name | default: "you" }}', cloud_for)

    dispatch.work(seconds=60)

    said = {one.token: one.payload.notification.text for one in cloud.taken}
    assert said == {"ana": "Hi Ana", "bo": "Hi you", "nobody": "Hi you"}
    assert len({id(one.payload) for one in cloud.taken}) == 2


@pytest.mark.django_db
def test_braces_of_other_systems_are_braces(cloud_for: CloudFor) -> None:
    application = make_application()
    cloud = cloud_for(make_credential(application))
    make_registrations(application, 1)
    fanout.freeze(make_bulk(application, content=[{"text": "{{ first_name }}"}]))

    dispatch.work(seconds=60)

    assert [one.payload.notification.text for one in cloud.taken] == ["{{ first_name }}"]


@pytest.mark.django_db
def test_an_app_that_asks_for_its_messages_reads_them_filled_in(cloud_for: CloudFor) -> None:
    bulk, cloud = launched('Hi {{ first_name | default: "you" }}', cloud_for)
    cloud.answer = lambda _: Outcome(verdict=Verdict.ACCEPTED)
    dispatch.work(seconds=60)

    texts = {
        each.notification.text
        for message in Message.objects.of_bulk(bulk)
        for each in pulling.waiting(bulk.application, message.registration_id)
    }

    assert texts == {"Hi Ana", "Hi you"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("text", {"text": "{{ frist_name }}"}),
        ("title", {"title": "{{ first_name"}),
        ("target", {"on_tap": "deep_link", "target": "shop://{% x %}"}),
    ],
)
def test_a_mistake_is_refused_beside_its_field(field: str, given: dict[str, str]) -> None:
    with pytest.raises(IncompleteContentError, match="line 1, column") as refused:
        checking.check_content(make_campaign(make_application(), **given))

    assert refused.value.field == field


@pytest.mark.django_db
def test_the_size_is_that_of_the_longest_real_recipient() -> None:
    application = make_application()
    make_credential(application)
    make_registrations(application, 30)
    make_registration(application, person=make_person(first_name="Ö" * 200))
    campaign = make_campaign(application, text='Hi {{ first_name | default: "you" }}')
    platforms = {Platform.ANDROID}

    people = previewing.worst(campaign, {"all": []})

    plain = checking.check_size(campaign, platforms)
    [worst] = checking.check_size(campaign, platforms, people).values()
    assert worst > plain[Platform.ANDROID] + 300
    long = make_campaign(application, text="{{ first_name }}" * 12)
    with pytest.raises(ContentTooLargeError):
        composing.launch(long, make_user(Role.MARKETER, application))


@pytest.mark.django_db
def test_private_keys_are_read_once_for_all_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes long: a draft with merge tags would keep a web server busy with each save."""
    read: list[bytes] = []

    def load(data: bytes, password: None) -> object:
        read.append(data)
        return load_pem_private_key(data, password)

    monkeypatch.setattr(credentials, "load_pem_private_key", load)
    application = make_application()
    make_credential(application)
    campaign = make_campaign(application, text="Hi {{ first_name }}")
    people: list[merging.Values] = [{"first_name": f"Ana {number}"} for number in range(20)]

    checking.check_size(campaign, {Platform.ANDROID}, [])
    alone = len(read)
    checking.check_size(campaign, {Platform.ANDROID}, people)

    assert alone > 0
    assert len(read) == 2 * alone


@pytest.mark.django_db
def test_who_lacks_a_value_is_counted() -> None:
    application = make_application()
    make_registrations(application, 4, attributes={"plan": ""})
    make_registration(
        application,
        person=make_person(first_name="Ana", attributes={"tier": "gold"}),
        attributes={"plan": "pro"},
        language="de",
    )
    text = "{{ first_name }}{{ person.tier }}{{ device.plan }}{{ language }}{{ birthday }}"
    campaign = make_campaign(application, text=text)

    found = lacking.of(campaign, {"all": []}, primary_only=False)

    assert {each.variable.path: each.devices for each in found.lacks} == {
        ("first_name",): 4,
        ("person", "tier"): 4,
        ("device", "plan"): 4,
        ("language",): 4,
        ("birthday",): 5,
    }
    assert found.unreached == {Reason.NO_VALUE: {Platform.ANDROID: 5}}
