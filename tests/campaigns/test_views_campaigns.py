"""Pages of campaigns: who opens what, drafts, reviews, launches, the list."""

import re

import pytest
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from campaigns import composing, tasks
from campaigns.models import Bulk, Campaign, Counter
from devices.models import Application, AuditEntry, Role
from devices.permissions import RIGHTS, Right
from tests.campaigns.campaign_pages import HTMX, sent, shop, url
from tests.campaigns.composer import TYPED
from tests.factories import make_application, make_campaign, make_user, signed_in

__all__ = ["shop"]  # a fixture
pytestmark = pytest.mark.django_db

QUERIES_OF_LIST = 10  # session, user, frame 5, campaigns, bulks, funnels

PAGES = [
    ("overview", "get", Right.SEE_REPORTS),
    ("list", "get", Right.SEE_CAMPAIGNS),
    ("palette", "get", Right.SEE_CAMPAIGNS),
    ("detail", "get", Right.SEE_CAMPAIGNS),
    ("chart", "get", Right.SEE_CAMPAIGNS),
    ("messages", "get", Right.SEE_CAMPAIGNS),
    ("edit", "get", Right.EDIT_CAMPAIGNS),
    ("new", "post", Right.EDIT_CAMPAIGNS),
    ("audience-size", "post", Right.EDIT_CAMPAIGNS),
    ("duplicate", "post", Right.EDIT_CAMPAIGNS),
    ("launch", "post", Right.LAUNCH_CAMPAIGNS),
    ("pause", "post", Right.LAUNCH_CAMPAIGNS),
    ("resume", "post", Right.LAUNCH_CAMPAIGNS),
    ("pace", "post", Right.LAUNCH_CAMPAIGNS),
    ("cancel", "post", Right.LAUNCH_CAMPAIGNS),
    ("undo", "post", Right.LAUNCH_CAMPAIGNS),
]


@pytest.mark.parametrize("role", [*Role, None])
def test_a_role_opens_what_its_rights_allow(shop: Application, role: Role | None) -> None:
    campaign = sent(shop)
    client = signed_in(shop, role) if role else signed_in(make_application(), Role.ADMINISTRATOR)
    for name, method, right in PAGES:
        one = name not in ("overview", "list", "palette", "new")
        address = url(name, shop, campaign.pk) if one else url(name, shop)
        status = getattr(client, method)(address).status_code
        if role is None:
            assert status == 404, name
        elif right in RIGHTS[role]:
            assert status in (200, 302), (name, status)
        else:
            assert status == 403, (name, status)


def test_a_draft_is_saved_while_typing_and_counts_its_audience(shop: Application) -> None:
    client = signed_in(shop)
    campaign = make_campaign(shop)
    typed = TYPED | {"version": "", "languages": "de", "platforms": ["Android"]}

    counted = client.post(url("audience-size", shop, campaign.pk), typed)
    assert b"<strong>3</strong>" in counted.content

    saved = client.post(url("edit", shop, campaign.pk), typed | {"draft_version": "1"})
    campaign.refresh_from_db()
    assert campaign.name == "Friday sale"
    assert b"Some fields need a change" not in saved.content


def test_the_version_field_of_the_audience_is_not_the_drafts(shop: Application) -> None:
    """Two inputs may not share a name: an app version is no version of the draft."""
    client = signed_in(shop)
    campaign = make_campaign(shop)
    page = client.get(url("edit", shop, campaign.pk)).content.decode()
    assert page.count('name="version"') == 1


def test_a_fault_stands_beside_its_field_and_nothing_is_saved(shop: Application) -> None:
    client = signed_in(shop)
    campaign = make_campaign(shop, name="Before")
    wrong = TYPED | {"draft_version": "1", "version_op": "lt", "version": "new"}

    answer = client.post(url("edit", shop, campaign.pk), wrong)

    assert "Type a version such as 4.10." in answer.content.decode()
    campaign.refresh_from_db()
    assert campaign.name == "Before"


def test_a_draft_that_somebody_else_saved_is_not_overwritten(shop: Application) -> None:
    """Not by the next save of the one who heard of it either, unless they say so."""
    campaign = make_campaign(shop)
    ana, ben = signed_in(shop), signed_in(shop)
    address = url("edit", shop, campaign.pk)
    ana.post(address, TYPED | {"draft_version": "1", "text": "Ana's"})

    for _ in range(2):
        answer = ben.post(address, TYPED | {"draft_version": "1", "text": "Ben's"})
        page = answer.content.decode()
        assert "Somebody else changed this draft." in page
        assert 'name="draft_version" id="draft-version" value="1"' in page
        assert campaign.contents.get().text == "Ana's"

    ben.post(address, TYPED | {"draft_version": "2", "text": "Ben's"})
    assert campaign.contents.get().text == "Ben's"


def test_a_save_that_cannot_be_read_does_not_take_over_their_version(shop: Application) -> None:
    campaign = make_campaign(shop)
    client = signed_in(shop)
    address = url("edit", shop, campaign.pk)
    client.post(address, TYPED | {"draft_version": "1"})

    page = client.post(address, TYPED | {"draft_version": "1", "name": ""}).content.decode()

    assert 'data-fault="id_name" data-text="Give the campaign a name."' in page
    assert 'id="draft-version" value="1"' in page


def test_the_audience_is_counted_while_another_field_is_wrong(shop: Application) -> None:
    client = signed_in(shop)
    address = url("audience-size", shop, make_campaign(shop).pk)

    counted = client.post(address, TYPED | {"name": ""}).content.decode()
    wrong = client.post(address, TYPED | {"version_op": "lt", "version": "new"}).content.decode()

    assert "<strong>5</strong> devices" in counted
    assert "left out: notifications are switched off (1)" in counted
    assert '<li data-fault="id_version">Type a version such as 4.10.' in wrong


def test_the_review_says_what_is_missing_too_large_or_without_credential(
    shop: Application,
) -> None:
    client = signed_in(shop)
    address = url("edit", shop, make_campaign(shop).pk)

    empty = client.post(address, TYPED | {"draft_version": "1", "text": ""}).content.decode()
    large = client.post(address, TYPED | {"draft_version": "2", "text": "я" * 3900})

    assert "Write what the notification says." in empty
    assert "2 iOS devices will fail" in empty
    assert 'data-fault="id_text" data-text="Android takes at most' in large.content.decode()
    assert "over 4,096 B" in large.content.decode()


def test_who_may_not_edit_reads_a_draft_and_an_approver_launches_it(shop: Application) -> None:
    campaign = make_campaign(shop, name="<i>Sale</i>", text="<script>alert(1)</script>")
    address = url("detail", shop, campaign.pk)

    read = signed_in(shop, Role.SUPPORT).get(address).content.decode()
    assert "&lt;script&gt;alert" in read
    assert "<script>alert" not in read
    assert "Send to 5 devices" not in read

    approver = signed_in(shop, Role.APPROVER)
    assert "Send to 5 devices" in approver.get(address).content.decode()
    stale = approver.post(url("launch", shop, campaign.pk), {"draft_version": "9"})
    assert "Somebody else changed this draft." in stale.content.decode()
    assert not Bulk.objects.exists()
    launched = approver.post(url("launch", shop, campaign.pk), {"draft_version": "1"})
    assert launched["HX-Redirect"] == address
    assert Bulk.objects.get().content[0]["text"] == "<script>alert(1)</script>"


def test_launching_holds_and_undo_makes_it_a_draft_again(shop: Application) -> None:
    client = signed_in(shop)
    campaign = make_campaign(shop)

    launched = client.post(url("launch", shop, campaign.pk), TYPED | {"draft_version": "1"})
    assert launched["HX-Redirect"] == url("detail", shop, campaign.pk)
    page = client.get(launched["HX-Redirect"]).content.decode()
    assert "Undo launch" in page

    undone = client.post(url("undo", shop, campaign.pk), headers=HTMX)
    assert undone["HX-Redirect"] == url("edit", shop, campaign.pk)
    assert not Bulk.objects.exists()


def test_a_launch_is_undone_where_no_scripts_run(shop: Application) -> None:
    client = signed_in(shop)
    client.handler.enforce_csrf_checks = True
    campaign = make_campaign(shop)
    composing.launch(campaign, make_user(Role.MARKETER, shop))
    page = client.get(url("detail", shop, campaign.pk)).content.decode()
    (form,) = re.findall(r"<form[^>]*>(?:(?!</form>).)*Undo launch</button></form>", page)
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    action = re.findall(r' action="([^"]+)"', form)
    assert ' method="post"' in form
    assert 'type="submit"' in form

    undone = client.post(action[0], {"csrfmiddlewaretoken": token[0]}, follow=True)

    assert undone.redirect_chain == [(url("edit", shop, campaign.pk), 302)]
    assert "The launch is undone: it is a draft again." in undone.content.decode()
    assert not Bulk.objects.exists()


def test_pace_and_repeat_policy_go_with_the_launch_and_the_pace_can_be_changed(
    shop: Application,
) -> None:
    client = signed_in(shop)
    campaign = make_campaign(shop)
    typed = TYPED | {"draft_version": "1", "throttle": "50", "repeat_policy": "when_unsure"}

    client.post(url("launch", shop, campaign.pk), typed)
    bulk = Bulk.objects.get()
    assert (bulk.throttle, bulk.repeat_policy) == (50, "when_unsure")

    client.post(url("pace", shop, campaign.pk), {"throttle": "7"})
    assert Bulk.objects.get().throttle == 7
    change = AuditEntry.objects.get(action="change pace")
    assert (change.before, change.after) == ({"throttle": 50}, {"throttle": 7})

    wrong = client.post(url("pace", shop, campaign.pk), {"throttle": "0"})
    assert "The pace was not changed: Type 1 or more." in wrong.content.decode()
    client.post(url("pace", shop, campaign.pk), {"throttle": ""})
    assert Bulk.objects.get().throttle is None

    composing.cancel(campaign, make_user(Role.MARKETER, shop))
    late = client.post(url("pace", shop, campaign.pk), {"throttle": "7"})
    assert "This campaign has ended already." in late.content.decode()


def test_possible_doubles_and_doubts_are_said(shop: Application) -> None:
    campaign = sent(shop)
    bulk = Bulk.objects.get()
    quiet = signed_in(shop).get(url("detail", shop, campaign.pk)).content.decode()
    assert "may have arrived twice" not in quiet
    Counter.objects.create(
        bulk=bulk, minute=timezone.now(), platform=1, sent=2000, accepted=1980, unknown=20,
        repeated=12,
    )  # fmt: skip

    page = signed_in(shop).get(url("detail", shop, campaign.pk)).content.decode()

    said = " ".join(strip_tags(page[page.index('id="repeated"') :]).split())
    assert "12 of them may have arrived twice" in said
    assert "The outcome of 20 messages is unknown" in page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"text": ""}, "Write what the notification says."),
        ({"languages": "xx"}, "Nobody would get this"),
        ({"on_tap": "deep_link"}, "Say which address a tap opens."),
        ({"draft_version": "7"}, "Somebody else changed this draft."),
        ({"text": "я" * 3900}, "at most"),
        ({"hours": "900"}, "Select a valid choice"),
    ],
)
def test_a_refused_launch_says_why_and_sends_nothing(
    shop: Application, change: dict[str, str], says: str
) -> None:
    client = signed_in(shop)
    campaign = make_campaign(shop)

    answer = client.post(url("launch", shop, campaign.pk), TYPED | {"draft_version": "1"} | change)

    assert says in answer.content.decode()
    assert not Bulk.objects.exists()


def test_the_list_costs_the_same_at_any_length(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop)
    client.get(url("list", shop))
    for launched in (3, 6):
        for _ in range(launched):
            sent(shop)
        with django_assert_num_queries(QUERIES_OF_LIST):
            assert client.get(url("list", shop)).status_code == 200


def test_pausing_and_cancelling_say_how_many_they_concern(shop: Application) -> None:
    client = signed_in(shop)
    campaign = sent(shop)

    page = client.get(url("detail", shop, campaign.pk)).content.decode()
    assert "Pause 5 devices" in page
    assert '<strong id="cancel-number">5 devices</strong> will not get it' in page

    paused = client.post(url("pause", shop, campaign.pk), headers=HTMX).content.decode()
    assert "Send to 5 more" in paused
    assert "Paused: 5 devices wait" in paused


def test_a_poll_after_an_undo_leads_away_instead_of_showing_a_page_in_a_page(
    shop: Application,
) -> None:
    campaign = make_campaign(shop)
    answer = signed_in(shop).get(url("detail", shop, campaign.pk), headers={"HX-Request": "true"})

    assert answer["HX-Redirect"] == url("edit", shop, campaign.pk)


@pytest.mark.django_db(transaction=True)
def test_a_launch_stands_while_the_broker_is_away(
    shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timetable freezes it: an error page would only hide that it was launched."""

    def refuse(**_: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(tasks.freeze_audience, "apply_async", refuse)
    campaign = make_campaign(shop)

    answer = signed_in(shop).post(url("launch", shop, campaign.pk), TYPED | {"draft_version": "1"})

    assert answer["HX-Redirect"] == url("detail", shop, campaign.pk)
    assert Bulk.objects.get().status == Bulk.Status.PENDING


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("", {"Draft one", "Launched one"}),
        ("draft", {"Draft one"}),
        ("running", {"Launched one"}),
        ("done", set()),
        ("nonsense", {"Draft one", "Launched one"}),
    ],
)
def test_the_list_is_filtered_by_state(shop: Application, state: str, names: set[str]) -> None:
    make_campaign(shop, name="Draft one")
    campaign = sent(shop)
    Campaign.objects.filter(pk=campaign.pk).update(name="Launched one")

    page = signed_in(shop).get(url("list", shop), {"state": state, "q": " one"})

    assert {line["row"].campaign.name for line in page.context["lines"]} == names


def test_an_empty_list_offers_to_compose_to_who_may(shop: Application) -> None:
    offer = "Compose the first campaign"
    assert offer in signed_in(shop).get(url("list", shop)).content.decode()
    assert offer not in signed_in(shop, Role.ANALYST).get(url("list", shop)).content.decode()


def test_only_who_sees_devices_sees_their_messages(shop: Application) -> None:
    device = shop.registrations.first()
    assert device is not None
    address = url("device-timeline", shop, device.pk)
    for role in Role:
        allowed = Right.SEE_DEVICES in RIGHTS[role]
        assert signed_in(shop, role).get(address).status_code == (200 if allowed else 403), role
    assert signed_in(make_application()).get(address).status_code == 404
