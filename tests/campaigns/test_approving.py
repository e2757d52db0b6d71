"""A second person approves a campaign before it goes out."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.html import strip_tags

from campaigns import approving, composing, templating
from campaigns.approving import State
from campaigns.errors import NotApprovedError, WrongStateError
from campaigns.models import Approval, Bulk, Campaign, Segment
from devices.models import Application, AuditEntry, Membership, Role
from tests.campaigns import composer
from tests.factories import (
    client_of,
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
TYPED = composer.TYPED | {"name": "Sale"}


@pytest.fixture
def shop() -> Application:
    application = make_application(needs_approval=True)
    make_registrations(application, 3, language="de")
    make_credential(application)
    return application


@pytest.fixture
def ana(shop: Application) -> User:
    return make_user(Role.MARKETER, shop)


@pytest.fixture
def bo(shop: Application) -> User:
    return make_user(Role.APPROVER, shop)


def ask(campaign: Campaign, user: User) -> Approval:
    return approving.ask(campaign, composing.rule_now(campaign), user)


def decide(campaign: Campaign, user: User, *, approved: bool = True) -> Approval:
    rule = composing.rule_now(campaign)
    return approving.decide(campaign, rule, user, approved=approved, note="Typo")


def state(campaign: Campaign, user: User) -> State:
    return approving.standing(campaign, composing.rule_now(campaign), user).state


def test_nothing_is_launched_that_nobody_else_approved(
    shop: Application, ana: User, bo: User
) -> None:
    campaign = make_campaign(shop)
    with pytest.raises(NotApprovedError, match="second person"):
        composing.launch(campaign, ana)
    ask(campaign, ana)
    with pytest.raises(NotApprovedError, match="second person"):
        composing.launch(campaign, ana)
    decide(campaign, bo)
    assert composing.launch(campaign, ana).status == Bulk.Status.PENDING
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "ask for approval", "approve campaign", "launch campaign",
    ]  # fmt: skip


def test_an_application_that_demands_none_needs_none(ana: User, shop: Application) -> None:
    Application.objects.filter(pk=shop.pk).update(needs_approval=False)
    campaign = make_campaign(Application.objects.get(pk=shop.pk))
    assert state(campaign, ana) == State.FREE
    assert composing.launch(campaign, ana).status == Bulk.Status.PENDING
    with pytest.raises(WrongStateError):
        ask(make_campaign(campaign.application), ana)


def test_nobody_approves_what_they_ask_for_or_launches_what_they_approved(
    shop: Application, ana: User, bo: User
) -> None:
    campaign = make_campaign(shop)
    ask(campaign, ana)
    with pytest.raises(NotApprovedError, match="somebody else approves"):
        decide(campaign, ana)
    decide(campaign, bo)
    with pytest.raises(NotApprovedError, match="somebody else launches"):
        composing.launch(campaign, bo)
    assert not Bulk.objects.exists()


@pytest.mark.parametrize("what", ["text", "ttl", "timing", "rule", "segment", "language"])
def test_whatever_is_changed_voids_an_approval(
    shop: Application, ana: User, bo: User, what: str
) -> None:
    segment = Segment.objects.create(
        application=shop, name="Germans", rule={"field": "language", "op": "is", "value": "de"}
    )
    campaign = make_campaign(shop, segment=segment)
    ask(campaign, ana)
    decide(campaign, bo)
    assert state(campaign, ana) == State.APPROVED
    if what == "text":
        campaign.contents.update(text="Tomorrow only")
    elif what == "language":
        campaign.contents.create(language="de", text="Nur heute")
    elif what == "segment":
        segment.rule = {"not": segment.rule}
        segment.save()
    else:
        changed = {"ttl": 60, "timing": {"kind": "at"}, "rule": {"not": {"all": []}}}[what]
        setattr(campaign, what, changed)
        campaign.save()
    campaign = Campaign.objects.get(pk=campaign.pk)
    assert state(campaign, ana) == State.CHANGED
    with pytest.raises(NotApprovedError, match="changed after it was approved"):
        approving.check(campaign, composing.rule_now(campaign), ana)


def test_a_template_that_is_deleted_voids_nothing(shop: Application, ana: User, bo: User) -> None:
    """The draft has a copy of its words."""
    template = templating.keep(make_campaign(shop), ana, name="Sale")
    campaign = templating.start(template, ana)
    ask(campaign, ana)
    decide(campaign, bo)

    templating.delete(template, ana)

    campaign.refresh_from_db()
    assert campaign.template is None
    assert state(campaign, ana) == State.APPROVED


def test_saving_a_draft_as_it_is_voids_nothing(shop: Application, ana: User, bo: User) -> None:
    client = client_of(ana)
    campaign = make_campaign(shop)
    edit = reverse("campaigns:edit", args=[shop.pk, campaign.pk])
    client.post(edit, TYPED | {"draft_version": "1"})
    campaign = Campaign.objects.get(pk=campaign.pk)
    ask(campaign, ana)
    decide(campaign, bo)
    launch = reverse("campaigns:launch", args=[shop.pk, campaign.pk])
    answer = client.post(launch, TYPED | {"draft_version": str(campaign.version)})
    assert "HX-Redirect" in answer
    assert Bulk.objects.count() == 1


def test_a_save_that_says_the_same_does_not_disturb_who_reads_it(
    shop: Application, ana: User, bo: User
) -> None:
    client = client_of(ana)
    campaign = make_campaign(shop)
    edit = reverse("campaigns:edit", args=[shop.pk, campaign.pk])
    for version in ("1", "2", "2"):
        answer = client.post(edit, TYPED | {"draft_version": version})
        assert b'id="draft-version" value="2"' in answer.content
    assert Campaign.objects.get(pk=campaign.pk).version == 2
    client.post(edit, TYPED | {"draft_version": "2", "text": "Tomorrow only"})
    assert Campaign.objects.get(pk=campaign.pk).version == 3


def test_what_was_changed_meanwhile_is_not_approved(shop: Application, ana: User, bo: User) -> None:
    campaign = make_campaign(shop)
    ask(campaign, ana)
    campaign.contents.update(text="Other words")
    with pytest.raises(WrongStateError, match="Read it again"):
        decide(campaign, bo)
    ask(campaign, ana)
    assert campaign.approvals.count() == 1
    decide(campaign, bo)
    with pytest.raises(WrongStateError, match="Nobody asks"):
        decide(campaign, bo)


def test_what_was_sent_back_can_be_asked_for_again(shop: Application, ana: User, bo: User) -> None:
    campaign = make_campaign(shop)
    ask(campaign, ana)
    decide(campaign, bo, approved=False)
    assert state(campaign, ana) == State.SENT_BACK
    with pytest.raises(NotApprovedError):
        composing.launch(campaign, ana)
    ask(campaign, ana)
    assert state(campaign, ana) == State.ASKED


# ------------------------------------------------------------------- pages


def words(page: bytes) -> str:
    return " ".join(strip_tags(page.decode()).split())


def test_the_pages_lead_two_people_through_it(shop: Application, ana: User, bo: User) -> None:
    campaign = make_campaign(shop)
    writer, reader = client_of(ana), client_of(bo)

    def url(name: str) -> str:
        return reverse(f"campaigns:{name}", args=[shop.pk, campaign.pk])

    composer = writer.get(url("edit")).content
    assert b'id="launch"' not in composer
    assert "Ask for approval" in words(composer)
    asked = words(writer.post(url("approval-ask"), TYPED | {"draft_version": "1"}).content)
    assert "Waits for approval" in asked
    assert "Approve campaign" not in asked

    overview = reader.get(reverse("campaigns:overview", args=[shop.pk])).content
    assert "Sale waits for approval." in words(overview)
    assert "Approve campaign" in words(reader.get(url("detail")).content)
    stale = reader.post(url("approval-decide"), {"draft_version": "1", "decision": "approve"})
    assert "Somebody else changed this draft." in words(stale.content)
    back = {"draft_version": "2", "decision": "return", "note": "<b>Typo</b>"}
    assert "Sent back by" in words(reader.post(url("approval-decide"), back).content)
    assert "&lt;b&gt;Typo&lt;/b&gt;" in writer.get(url("edit")).content.decode()

    again = TYPED | {"draft_version": "2", "text": "Today and tomorrow"}
    writer.post(url("approval-ask"), again)
    reader.post(url("approval-decide"), {"draft_version": "3", "decision": "approve"})
    own = reader.get(url("detail")).content
    assert b'id="launch"' not in own
    assert "You approved it: somebody else launches it." in words(own)
    assert b'id="launch"' in writer.get(url("edit")).content
    changed = writer.post(url("edit"), again | {"draft_version": "3", "text": "Never"})
    assert "It was changed since it was approved" in words(changed.content)
    refused = writer.post(url("launch"), again | {"draft_version": "4", "text": "Never"})
    assert "ask for approval again" in words(refused.content)
    assert not Bulk.objects.exists()


def test_a_page_that_waits_for_approval_hears_what_became_of_it(
    shop: Application, ana: User, bo: User
) -> None:
    campaign, writer = make_campaign(shop), client_of(ana)
    news = reverse("campaigns:approval-news", args=[shop.pk, campaign.pk])
    ask(campaign, ana)
    read = reverse("campaigns:detail", args=[shop.pk, campaign.pk])
    assert f'hx-get="{news}"' in client_of(bo).get(read).content.decode()
    assert writer.get(news, {"draft_version": "1"}).status_code == 204

    decide(campaign, bo, approved=False)
    told = writer.get(news, {"draft_version": "1"}).content
    assert "Sent back by" in words(told)
    assert news not in told.decode()  # there is nothing to wait for

    ask(campaign, ana)
    Campaign.objects.filter(pk=campaign.pk).update(version=2)
    stale = writer.get(news, {"draft_version": "1"}).content
    assert "Somebody else changed this draft." in words(stale)
    assert b'id="draft-version" value="1"' in stale  # so that nothing is overwritten unseen
    assert news not in stale.decode()


def test_who_may_not_launch_approves_nothing(shop: Application, ana: User) -> None:
    campaign = make_campaign(shop)
    ask(campaign, ana)
    address = reverse("campaigns:approval-decide", args=[shop.pk, campaign.pk])
    typed = {"draft_version": "1", "decision": "approve"}
    assert client_of(make_user(Role.ANALYST, shop)).post(address, typed).status_code == 403
    assert client_of(make_user()).post(address, typed).status_code == 404
    assert Membership.objects.filter(application=shop, role=Role.ANALYST).exists()
    assert campaign.approvals.get().approved is None


def test_an_empty_draft_is_not_asked_for(shop: Application, ana: User) -> None:
    campaign = make_campaign(shop)
    address = reverse("campaigns:approval-ask", args=[shop.pk, campaign.pk])
    page = client_of(ana).post(address, TYPED | {"draft_version": "1", "text": ""})
    assert "Write what the notification says." in words(page.content)
    assert not Approval.objects.exists()
