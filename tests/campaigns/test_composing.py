from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import composing, drafting, fanout
from campaigns.errors import (
    ContentTooLargeError,
    EmptyAudienceError,
    IncompleteContentError,
    NoCredentialError,
    StaleDraftError,
    WrongStateError,
)
from campaigns.models import Bulk, Campaign, Chunk
from devices.models import Application, AuditEntry, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def ready() -> Application:
    """An application that can send to one device."""
    application = make_application()
    make_registration(application)
    make_credential(application)
    return application


def test_a_launch_freezes_content_and_rule_and_holds_them(
    ready: Application, settings: Any
) -> None:
    settings.LAUNCH_HOLD_SECONDS = 10
    user = make_user(Role.MARKETER, ready)
    campaign = make_campaign(ready, title="Sale", on_tap="deep_link", target="shop://sale")

    bulk = composing.launch(campaign, user)

    assert bulk.status == Bulk.Status.PENDING
    assert timedelta(seconds=8) < bulk.starts_at - timezone.now() <= timedelta(seconds=10)
    assert bulk.content[0]["deep_link"] == "shop://sale"
    assert fanout.freeze(bulk) == 0  # held
    campaign.refresh_from_db()
    assert (campaign.is_draft, campaign.launched_by) == (False, user)
    assert AuditEntry.objects.filter(action="launch campaign", actor=user).exists()
    with pytest.raises(WrongStateError, match="launched already"):
        composing.launch(campaign, user)


def test_an_undone_launch_is_a_draft_again(ready: Application) -> None:
    user = make_user(Role.MARKETER, ready)
    campaign = make_campaign(ready)
    composing.launch(campaign, user)

    composing.undo(campaign, user)

    campaign.refresh_from_db()
    assert campaign.is_draft
    assert not Bulk.objects.filter(campaign=campaign).exists()
    assert composing.launch(campaign, user).status == Bulk.Status.PENDING


def test_nothing_is_undone_once_sending_began(ready: Application, settings: Any) -> None:
    settings.LAUNCH_HOLD_SECONDS = 0
    user = make_user(Role.MARKETER, ready)
    campaign = make_campaign(ready)
    fanout.freeze(composing.launch(campaign, user))

    with pytest.raises(WrongStateError, match="Too late to undo"):
        composing.undo(campaign, user)


def test_refusals_name_the_field_and_change_nothing(ready: Application) -> None:
    user = make_user(Role.MARKETER, ready)
    for given, field in (
        ({"text": "  "}, "text"),
        ({"on_tap": "browser"}, "target"),
        ({"image_url": "http://example.com/x.png"}, "image_url"),
    ):
        campaign = make_campaign(ready, **given)
        with pytest.raises(IncompleteContentError) as refusal:
            composing.launch(campaign, user)
        assert refusal.value.field == field
        campaign.refresh_from_db()
        assert campaign.is_draft
    assert not Bulk.objects.exists()


def test_an_empty_audience_is_refused(ready: Application) -> None:
    campaign = make_campaign(ready, rule={"field": "language", "op": "is", "value": "xx"})
    with pytest.raises(EmptyAudienceError, match="Widen it"):
        composing.launch(campaign, make_user(Role.MARKETER, ready))


def test_a_launch_without_any_credential_is_refused() -> None:
    application = make_application()
    make_registration(application)
    with pytest.raises(NoCredentialError, match="no credential for Android"):
        composing.launch(make_campaign(application), make_user(Role.MARKETER, application))


def test_two_people_cannot_overwrite_each_other(ready: Application) -> None:
    campaign = make_campaign(ready)
    drafting.save_draft(campaign, version=1, draft={"name": "First"}, content={"text": "One"})

    with pytest.raises(StaleDraftError):
        drafting.save_draft(campaign, version=1, draft={"name": "Second"}, content={"text": "Two"})

    stored = Campaign.objects.get(pk=campaign.pk)
    assert (stored.name, stored.version, stored.contents.get().text) == ("First", 2, "One")


def test_a_duplicate_is_a_draft_with_everything_in_it(ready: Application) -> None:
    user = make_user(Role.MARKETER, ready)
    campaign = make_campaign(ready, title="Sale", rule={"all": []}, ttl=3600)
    composing.launch(campaign, user)

    copy = drafting.duplicate(campaign, user)

    assert copy.is_draft
    assert (copy.ttl, copy.contents.get().title) == (3600, "Sale")


def test_pause_resume_and_cancel_move_only_from_fitting_states(
    ready: Application, settings: Any
) -> None:
    settings.LAUNCH_HOLD_SECONDS = 0
    user = make_user(Role.MARKETER, ready)
    campaign = make_campaign(ready)
    bulk = composing.launch(campaign, user)
    with pytest.raises(WrongStateError):
        composing.pause(campaign, user)
    fanout.freeze(bulk)

    assert composing.pause(campaign, user).status == Bulk.Status.PAUSED
    with pytest.raises(WrongStateError):
        composing.pause(campaign, user)
    assert composing.resume(campaign, user).status == Bulk.Status.SENDING
    assert composing.unsent(bulk) == 1
    assert composing.cancel(campaign, user).status == Bulk.Status.CANCELLED
    assert Chunk.objects.get(bulk=bulk).status == Chunk.Status.CANCELLED
    with pytest.raises(WrongStateError):
        composing.cancel(campaign, user)


def test_a_content_no_cloud_would_take_is_refused_with_the_figures(ready: Application) -> None:
    campaign = make_campaign(ready, text="я" * 3900)
    with pytest.raises(ContentTooLargeError, match=r"at most [\d,]+ bytes"):
        composing.launch(campaign, make_user(Role.MARKETER, ready))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"custom_payload": {"google.x": 1}}, "custom_payload"),
        ({"badge": -1}, "badge"),
        ({"carousel": [{"id": 1, "headline": "A", "image_url": "http://x/"}]},
         "carousel[0].image_url"),
        ({"carousel": [{"id": n, "headline": "A", "image_url": "https://x/"} for n in range(21)]},
         "carousel"),
        ({"colour": "red"}, "options"),
    ],
)  # fmt: skip
def test_what_a_cloud_would_refuse_is_refused_before_the_launch(
    ready: Application, options: dict[str, Any], field: str
) -> None:
    campaign = make_campaign(ready, options=options)

    with pytest.raises(IncompleteContentError) as refusal:
        composing.launch(campaign, make_user(Role.MARKETER, ready))

    assert refusal.value.field == field
    campaign.refresh_from_db()
    assert campaign.is_draft


def test_only_the_clouds_of_the_audience_decide_what_is_refused(ready: Application) -> None:
    campaign = make_campaign(ready, options={"custom_payload": {"aps": 1}})  # no iPhone there

    assert composing.launch(campaign, make_user(Role.MARKETER, ready))


def test_a_silent_push_needs_no_text(ready: Application) -> None:
    campaign = make_campaign(ready, text="", options={"silent": True})

    assert composing.launch(campaign, make_user(Role.MARKETER, ready))


def test_a_custom_payload_over_the_limit_is_refused_with_the_figures(ready: Application) -> None:
    campaign = make_campaign(ready, options={"custom_payload": {"x": "y" * 5000}})

    with pytest.raises(ContentTooLargeError, match=r"at most 4,000 bytes.*has 5,") as refusal:
        composing.launch(campaign, make_user(Role.MARKETER, ready))

    assert refusal.value.field == "custom_payload"
