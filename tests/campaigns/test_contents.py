"""campaigns.contents: a draft in several languages and variants."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import checking, composing, contents, counting, dispatch, drafting, fanout, variants
from campaigns.errors import (
    CampaignError,
    ContentTooLargeError,
    IncompleteContentError,
    StaleDraftError,
    WrongStateError,
)
from campaigns.models import Bulk, Campaign, Message
from devices.models import Application, ProviderCredential, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture
def shop() -> Application:
    application = make_application()
    for language in ("de", "de_AT", "fr"):
        make_registrations(application, 20, language=language)
    return application


def grid(campaign: Campaign) -> list[tuple[str, int, str]]:
    return list(campaign.contents.values_list("language", "variant", "text"))


def translated(campaign: Campaign, language: str, text: str) -> None:
    campaign.refresh_from_db()
    contents.add_language(campaign, language, version=campaign.version)
    campaign.contents.filter(language=language).update(text=text)
    campaign.refresh_from_db()


def launched(campaign: Campaign) -> Bulk:
    bulk = composing.launch(campaign, make_user(Role.MARKETER, campaign.application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def test_a_language_takes_over_everything_but_the_words(shop: Application) -> None:
    campaign = make_campaign(shop, on_tap="deep_link", target="shop://sale", title="Sale")

    assert contents.add_language(campaign, "pt_br", version=1) == "pt-BR"

    added = campaign.contents.get(language="pt-BR")
    assert (added.title, added.text, added.target) == ("", "", "shop://sale")
    with pytest.raises(IncompleteContentError) as refused:
        checking.check_content(campaign)
    assert (refused.value.field, refused.value.content) == ("text", added.pk)


def test_languages_and_variants_make_a_grid(shop: Application) -> None:
    campaign = make_campaign(shop, text="A")
    contents.add_variant(campaign, version=1)
    translated(campaign, "de", "DE")
    contents.add_variant(campaign, version=campaign.version)

    assert grid(campaign) == [
        ("", 0, "A"), ("", 1, "A"), ("", 2, "A"), ("de", 0, "DE"), ("de", 1, "DE"), ("de", 2, "DE"),
    ]  # fmt: skip
    campaign.refresh_from_db()
    assert variants.split_of(campaign.split).shares == (34, 33, 33)


def test_what_is_behind_a_removed_variant_moves_up(shop: Application) -> None:
    campaign = make_campaign(shop, text="A")
    for version, text in ((1, "B"), (2, "C")):
        campaign.refresh_from_db()
        contents.add_variant(campaign, version=version)
        campaign.contents.filter(variant=version).update(text=text)

    contents.remove_variant(campaign, 1, version=3)

    campaign.refresh_from_db()
    assert grid(campaign) == [("", 0, "A"), ("", 1, "C")]
    assert variants.split_of(campaign.split).shares == (50, 50)
    contents.remove_variant(campaign, 0, version=4)
    campaign.refresh_from_db()
    assert (grid(campaign), campaign.split) == ([("", 0, "C")], {})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda one: contents.add_language(one, "no tag!", version=1),
        lambda one: contents.remove_language(one, "", version=1),
        lambda one: contents.remove_variant(one, 0, version=1),
        lambda one: contents.add_variant(one, version=9),
    ],
)
def test_a_refusal_changes_nothing(shop: Application, wrong: Callable[[Campaign], Any]) -> None:
    campaign = make_campaign(shop)

    with pytest.raises(CampaignError):
        wrong(campaign)

    campaign.refresh_from_db()
    assert (grid(campaign), campaign.version) == ([("", 0, "Today only")], 1)


def test_a_ninth_variant_and_a_language_twice_are_refused(shop: Application) -> None:
    campaign = make_campaign(shop)
    for version in range(1, 8):
        contents.add_variant(campaign, version=version)
    with pytest.raises(WrongStateError, match="at most 8"):
        contents.add_variant(campaign, version=8)
    contents.add_language(campaign, "de", version=8)
    with pytest.raises(WrongStateError, match="German already"):
        contents.add_language(campaign, "DE", version=9)


def test_somebody_elses_change_is_not_overwritten(shop: Application) -> None:
    campaign = make_campaign(shop)
    contents.add_language(campaign, "de", version=1)

    with pytest.raises(StaleDraftError):
        contents.remove_language(campaign, "de", version=1)


def test_shares_that_do_not_make_100_are_not_launched(shop: Application) -> None:
    make_credential(shop)
    campaign = make_campaign(shop)
    contents.add_variant(campaign, version=1)
    campaign.refresh_from_db()
    drafting.save_draft(
        campaign, version=2, draft={"split": {"shares": [50, 40], "holdout": 0}}, content={}
    )

    with pytest.raises(IncompleteContentError, match="90 %") as refused:
        composing.launch(campaign, make_user(Role.MARKETER, shop))

    assert refused.value.field == "share_0"


def test_devices_are_counted_by_the_content_they_get(shop: Application) -> None:
    campaign = make_campaign(shop)
    translated(campaign, "de", "Nur heute")
    translated(campaign, "de-AT", "Nur heut")
    reported = counting.by_language(shop, {"all": []}, primary_only=False)

    assert reported == {"de": 20, "de_AT": 20, "fr": 20}
    assert contents.by_content(contents.spoken(campaign), reported) == {
        "": 20,
        "de": 20,
        "de-AT": 20,
    }


def test_every_device_gets_its_language_and_its_variant(
    shop: Application, cloud_for: CloudFor
) -> None:
    cloud = cloud_for(make_credential(shop))
    campaign = make_campaign(shop, text="A")
    translated(campaign, "de", "DE A")
    contents.add_variant(campaign, version=campaign.version)
    campaign.contents.filter(variant=1, language="").update(text="B")
    campaign.contents.filter(variant=1, language="de").update(text="DE B")
    campaign.refresh_from_db()
    split = variants.Split((40, 40), holdout=20)
    drafting.save_draft(
        campaign, version=campaign.version, draft={"split": split.as_json()}, content={}
    )
    bulk = launched(campaign)

    dispatch.work(seconds=60)

    said = {one.token: one.payload.notification.text for one in cloud.taken}
    assert {len(said), bulk.audience} == {len(cloud.taken)}
    for device in shop.registrations.select_related("address"):
        variant = variants.variant_of(split, seed=campaign.pk, registration=device.pk)
        if variant is None:
            assert device.address.token not in said
            continue
        name = "AB"[variant]
        wanted = f"DE {name}" if device.language.startswith("de") else name
        assert said[device.address.token] == wanted
        assert Message.objects.get(registration=device).variant == variant
    assert bulk.audience + bulk.left_out == 60


def test_a_content_is_compiled_once_however_many_languages_devices_report(
    shop: Application, cloud_for: CloudFor
) -> None:
    cloud = cloud_for(make_credential(shop))
    campaign = make_campaign(shop)
    translated(campaign, "de", "Nur heute")
    launched(campaign)

    dispatch.work(seconds=60)

    assert len(cloud.taken) == 60
    assert len({id(one.payload) for one in cloud.taken}) == 2


def test_a_duplicate_has_every_content_and_the_split(shop: Application) -> None:
    campaign = make_campaign(shop)
    contents.add_variant(campaign, version=1)
    translated(campaign, "de", "Nur heute")

    copy = drafting.duplicate(campaign, make_user(Role.MARKETER, shop))

    assert (grid(copy), copy.split) == (grid(campaign), campaign.split)


def test_a_content_that_is_too_large_is_named(shop: Application) -> None:
    make_credential(shop)
    campaign = make_campaign(shop)
    translated(campaign, "de", "ü" * 4000)

    with pytest.raises(ContentTooLargeError) as refused:
        composing.launch(campaign, make_user(Role.MARKETER, shop))

    assert refused.value.content == campaign.contents.get(language="de").pk
