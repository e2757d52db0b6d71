"""The composer's contents: what is typed is saved, in each language and variant."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from devices.models import Application
from tests.campaigns.composer import post
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    make_registrations,
    signed_in,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_registrations(application, 3, language="de-AT")
    make_registrations(application, 2, language="en")
    return application


@pytest.fixture
def client(shop: Application) -> Client:
    return signed_in(shop)


def test_adding_a_language_saves_what_was_typed(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)

    answer = post(client, "contents", campaign, do="add-language", language="de", text="New")

    page = answer.content.decode()
    added = campaign.contents.get(language="de")
    assert 'id="launch"' in page  # it can be launched as before
    assert campaign.contents.get(language="").text == "New"
    assert f'name="content-{added.pk}-text"' in page
    assert 'id="draft-version" value="3"' in page
    assert '<dd data-devices-of="de">3</dd>' in page
    assert '<dd data-devices-of="">2</dd>' in page


def test_every_content_is_saved_with_the_draft(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-language", add_language="de")
    added = campaign.contents.get(language="de")
    said = {"title": "Aus", "text": "Nur heute", "on_tap": "deep_link", "target": "shop://sale"}

    post(client, "edit", campaign, **{f"content-{added.pk}-{key}": said[key] for key in said})

    added.refresh_from_db()
    assert {key: getattr(added, key) for key in said} == said
    page = client.get(reverse("campaigns:edit", args=[shop.pk, campaign.pk])).content.decode()
    assert "Nur heute" in page


def test_a_fault_names_its_content_and_nothing_is_saved(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-language", language="de")
    key = f"content-{campaign.contents.get(language='de').pk}"

    answer = post(
        client, "edit", campaign, text="Lost", **{f"{key}-text": "x", f"{key}-image_url": "no url"}
    )

    page = answer.content.decode()
    assert f'data-fault="id_{key}-image_url"' in page
    assert "German, variant A" in page
    assert campaign.contents.get(language="").text == "Today only"


def test_a_content_that_the_browser_does_not_know_is_not_emptied(
    client: Client, shop: Application
) -> None:
    """Somebody added it meanwhile, and this page keeps what was typed on it."""
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-language", language="de")
    campaign.contents.filter(language="de").update(text="Nur heute")

    post(client, "edit", campaign, text="Kept")

    assert campaign.contents.get(language="de").text == "Nur heute"
    assert campaign.contents.get(language="").text == "Kept"


def test_what_cannot_be_added_is_said_and_the_contents_stay(
    client: Client, shop: Application
) -> None:
    campaign = make_campaign(shop)

    answer = post(client, "contents", campaign, do="add-language", add_language="klingon!")

    assert answer["HX-Retarget"] == "#composer-status"
    assert "No language has the tag klingon!" in answer.content.decode()
    assert campaign.contents.count() == 1


def test_shares_are_typed_in_percent(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-variant")
    other = campaign.contents.get(variant=1)
    said = {f"content-{other.pk}-text": "B", "share_0": "60", "share_1": "30"}

    saved = post(client, "edit", campaign, **said, holdout="5")
    assert "95 % in sum. Make it 100 %." in saved.content.decode()
    saved = post(client, "edit", campaign, **said, holdout="10")
    assert "in sum" not in saved.content.decode()

    campaign.refresh_from_db()
    assert campaign.split == {"shares": [60, 30], "holdout": 10}


def in_front(answer: Any) -> tuple[str, str]:
    """The language and the variant of the only panel that is not hidden."""
    panels = re.findall(r"<div [^>]*data-panel[^>]*>", answer.content.decode())
    (shown,) = [panel for panel in panels if " hidden" not in panel]
    (found,) = re.findall(r'data-language="(.*?)" data-variant="(\d)"', shown)
    language, variant = found
    return language, variant


def test_what_is_in_front_stays_there_where_something_is_added(
    client: Client, shop: Application
) -> None:
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-language", language="de")
    german = {"shown_language": "de", "shown_variant": "0"}

    added = post(client, "contents", campaign, do="add-variant", **german)
    assert in_front(added) == ("de", "1")
    shares = {"share_0": "50", "share_1": "50", "holdout": "0"}
    other = {"shown_language": "de", "shown_variant": "1", **shares}
    added = post(client, "contents", campaign, do="add-language", language="fr", **other)
    assert in_front(added) == ("fr", "1")
    left = post(client, "contents", campaign, do="remove-variant", variant="1", **other)
    assert in_front(left) == ("de", "0")
    gone = {"shown_language": "it", "shown_variant": "x"}
    left = post(client, "contents", campaign, do="remove-language", language="fr", **gone)
    assert in_front(left) == ("", "0")


def test_removing_a_variant_and_a_language_leaves_the_rest(
    client: Client, shop: Application
) -> None:
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-variant")
    shares = {"share_0": "50", "share_1": "50", "holdout": "0"}
    post(client, "contents", campaign, do="add-language", language="de", **shares)
    post(client, "contents", campaign, do="remove-variant", variant="0", **shares)

    post(client, "contents", campaign, do="remove-language", language="de")

    assert list(campaign.contents.values_list("language", "variant")) == [("", 0)]


def test_the_preview_is_what_somebody_reads(client: Client, shop: Application) -> None:
    campaign = make_campaign(shop)
    post(client, "contents", campaign, do="add-language", language="de")
    key = f"content-{campaign.contents.get(language='de').pk}"
    ana = make_registration(shop, language="de-AT", person=make_person(first_name="<Ana>"))
    typed = {"text": "Hi", f"{key}-text": "Servus {{ first_name }}"}

    page = post(client, "preview", campaign, **typed, preview_as=str(ana.pk)).content.decode()
    assert "Servus &lt;Ana&gt;" in page
    other = str(shop.registrations.filter(language="de-AT", person=None)[0].pk)
    page = post(client, "preview", campaign, **typed, preview_as=other).content.decode()
    assert "first_name is not known, and there is no fallback" in page
    stranger = make_registration(make_application(), person=make_person(first_name="Eve"))
    page = post(client, "preview", campaign, **typed, preview_as=str(stranger.pk)).content.decode()
    assert "Eve" not in page


def test_the_panel_says_who_lacks_a_value_and_what_they_get(
    client: Client, shop: Application
) -> None:
    campaign = make_campaign(shop)

    page = post(client, "edit", campaign, text="Hi {{ first_name }}").content.decode()
    assert "5 devices have no first name</strong>, and get nothing" in page
    page = post(
        client, "edit", campaign, text='Hi {{ first_name | default: "you" }}'
    ).content.decode()
    assert "5 devices have no first name</strong>: the fallback stands there" in page


def test_a_mistake_in_a_merge_tag_is_saved_and_said_beside_its_field(
    client: Client, shop: Application
) -> None:
    campaign = make_campaign(shop)

    page = post(client, "edit", campaign, text="Hi {{ frist_name }}").content.decode()

    assert 'data-fault="id_text" data-text="Nobody has a frist_name' in page
    assert "(line 1, column 7)" in page
    assert campaign.contents.get().text == "Hi {{ frist_name }}"
