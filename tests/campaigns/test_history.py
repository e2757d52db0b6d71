"""Versions of a draft: kept, told apart field by field, restored."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns import changes, contents, drafting, history
from campaigns.errors import StaleDraftError, WrongStateError
from campaigns.models import Campaign, CampaignVersion, Segment
from devices.models import AuditEntry, Role
from tests.factories import client_of, make_application, make_campaign, make_user, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    return make_campaign(make_application(), name="Sale", text="First")


def save(campaign: Campaign, user: Any, **said: Any) -> None:
    campaign.refresh_from_db()
    draft = {name: said.pop(name) for name in [*said] if name in history.DRAFT_FIELDS}
    drafting.save_draft(campaign, version=campaign.version, draft=draft, content=said, user=user)
    campaign.refresh_from_db()


def later(campaign: Campaign, gap: timedelta) -> None:
    """Let the newest version be of a while ago."""
    newest = campaign.versions.first()
    assert newest is not None
    CampaignVersion.objects.filter(pk=newest.pk).update(
        saved_at=newest.saved_at - gap, began_at=newest.began_at - gap
    )


def texts(campaign: Campaign) -> list[str]:
    """Of the kept versions, the newest first."""
    return [each.draft["contents"][0]["text"] for each in campaign.versions.all()]


def test_what_was_there_before_the_first_change_is_a_version(campaign: Campaign) -> None:
    save(campaign, make_user(Role.MARKETER, campaign.application), text="Second")

    assert texts(campaign) == ["Second", "First"]
    assert [each.number for each in campaign.versions.all()] == [2, 1]


def test_what_somebody_types_in_one_go_is_one_version(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    for text in ("S", "Se", "Sec"):
        save(campaign, ana, text=text)
    assert texts(campaign) == ["Sec", "First"]

    later(campaign, history.PAUSE)
    save(campaign, ana, text="After a pause")
    save(campaign, make_user(Role.MARKETER, campaign.application), text="Somebody else")

    assert texts(campaign) == ["Somebody else", "After a pause", "Sec", "First"]


def test_a_version_takes_in_ten_minutes_at_most(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    save(campaign, ana, text="Second")
    campaign.versions.filter(number=2).update(began_at=timezone.now() - history.LONGEST)

    save(campaign, ana, text="Third")

    assert texts(campaign) == ["Third", "Second", "First"]


def test_a_save_that_changes_nothing_is_no_version(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    save(campaign, ana, text="Second")
    later(campaign, history.PAUSE)

    save(campaign, ana, text="Second")

    assert texts(campaign) == ["Second", "First"]


def test_only_the_last_versions_are_kept(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    for number in range(5):
        save(campaign, make_user(Role.MARKETER, campaign.application), text=f"Text {number}")

    assert texts(campaign) == ["Text 4", "Text 3", "Text 2"]


def test_a_version_is_restored_with_all_its_contents(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    contents.add_language(campaign, "de", version=1, user=ana)
    campaign.contents.filter(language="de").update(text="Erster")
    save(campaign, ana, ttl=3600, title="Hi")
    later(campaign, history.PAUSE)
    good = campaign.versions.first()
    assert good is not None
    contents.remove_language(campaign, "de", version=campaign.version, user=ana)
    save(campaign, ana, text="Worse", ttl=7200)

    drafting.restore(campaign, ana, old=good, version=campaign.version)

    campaign.refresh_from_db()
    assert campaign.ttl == 3600
    assert list(campaign.contents.values_list("language", "text")) == [
        ("", "First"),
        ("de", "Erster"),
    ]
    newest = campaign.versions.first()
    assert newest is not None
    assert (newest.number, newest.restored_from) == (campaign.version, good.number)
    assert AuditEntry.objects.filter(action="restore draft", actor=ana).exists()
    save(campaign, ana, text="Typed after it")
    assert campaign.versions.filter(restored_from=good.number).exists()  # it stays as it was


def test_a_version_whose_segment_is_gone_is_not_restored(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    segment = Segment.objects.create(application=campaign.application, name="VIP", rule={"all": []})
    Campaign.objects.filter(pk=campaign.pk).update(segment=segment)
    save(campaign, ana, text="Second")
    old = campaign.versions.get(number=1)
    Campaign.objects.filter(pk=campaign.pk).update(segment=None)
    segment.delete()

    with pytest.raises(WrongStateError, match="segment of version 1 was deleted"):
        drafting.restore(campaign, ana, old=old, version=campaign.version)


def test_a_restore_does_not_overwrite_what_nobody_saw(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    save(campaign, ana, text="Second")
    old = campaign.versions.get(number=1)

    with pytest.raises(StaleDraftError):
        drafting.restore(campaign, ana, old=old, version=campaign.version - 1)


def test_changes_are_told_by_field(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    card = {"id": 1, "headline": "Shoes", "image_url": "https://cdn.example/1.png"}
    save(
        campaign, ana, name="Friday sale", text="First of all", throttle=50, ttl=3600,
        options={"carousel": [card], "carousel_kind": "slider"}, transactional=True,
    )  # fmt: skip
    new, old = campaign.versions.all()

    told = {
        each.label: ("".join(part.text for part in each.before), "".join(
            f"[{part.text}]" if part.changed else part.text for part in each.after
        ))
        for each in changes.changes(old.draft, new.draft)
    }  # fmt: skip

    assert told == {
        "Text": ("First", "First[ of all]"),
        "Cards": ("–", "[1. Shoes · https://cdn.example/1.png]"),
        "Pictures": ("–", "[slider]"),
        "Name": ("Sale", "[Friday sale]"),
        "Keep trying for": ("48 hours", "[1] hours"),
        "Messages a second, at most": ("no limit", "[50]"),
        "Transactional": ("no", "[yes]"),
    }


def test_the_page_compares_and_restores(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    save(campaign, ana, text="Second")
    client = client_of(ana)
    arguments = [campaign.application_id, campaign.pk]

    page = client.get(reverse("campaigns:versions", args=arguments)).content.decode()
    assert "From version 1 to version 2" in page
    assert "removed: </span>First" in page

    said = {"number": "1", "version": str(campaign.version)}
    answer = client.post(reverse("campaigns:restore", args=arguments), said)
    assert answer["Location"] == reverse("campaigns:edit", args=arguments)
    assert campaign.contents.get().text == "First"
    for asked in ("?after=9", "?before=x", "?after=١"):
        assert client.get(reverse("campaigns:versions", args=arguments) + asked).status_code == 404


def test_who_only_reads_does_not_restore(campaign: Campaign) -> None:
    save(campaign, make_user(Role.MARKETER, campaign.application), text="Second")
    client = signed_in(campaign.application, Role.ANALYST)
    arguments = [campaign.application_id, campaign.pk]

    page = client.get(reverse("campaigns:versions", args=arguments)).content.decode()
    answer = client.post(reverse("campaigns:restore", args=arguments), {"number": "1"})

    assert "Restore" not in page
    assert answer.status_code == 403
