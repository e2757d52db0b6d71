"""Templates: kept from a draft, given to others, and what became of them."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import contents, drafting, history, templating
from campaigns.errors import NameTakenError, StaleDraftError, TemplateError
from campaigns.models import Campaign, CampaignContent, ContentTemplate
from devices.models import Application, AuditEntry, Role
from tests.campaigns import composer
from tests.factories import make_application, make_campaign, make_user, signed_in

pytestmark = pytest.mark.django_db
SAID = {"title": "Sale", "text": "Today only", "image_url": "https://cdn.example/a.png"}


@pytest.fixture
def shop() -> Application:
    return make_application()


@pytest.fixture
def campaign(shop: Application) -> Campaign:
    """In two languages and two variants."""
    draft = make_campaign(shop, options={"badge": 3}, **SAID)
    contents.add_language(draft, "de", version=1)
    draft.refresh_from_db()
    contents.add_variant(draft, version=draft.version)
    draft.refresh_from_db()
    return draft


def said(campaign: Campaign) -> Any:
    """All contents, by language and variant."""
    return history.snapshot(campaign)["contents"]


def actions(thing: Any) -> list[str]:
    entries = AuditEntry.objects.filter(object_type=thing._meta.model_name, object_id=str(thing.pk))
    return list(entries.order_by("pk").values_list("action", flat=True))


def test_a_template_keeps_every_language_variant_and_option(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)

    template = templating.keep(campaign, ana, name="Welcome")

    assert len(template.contents) == 4
    assert template.contents == said(campaign)
    assert template.contents[0]["options"] == {"badge": 3}
    assert template.changed_by == ana
    assert actions(template) == ["create template"]


def test_a_draft_that_says_nothing_is_no_template(shop: Application) -> None:
    empty = make_campaign(shop, text=" ")

    with pytest.raises(TemplateError, match="nothing to keep"):
        templating.keep(empty, make_user(Role.MARKETER, shop), name="Nothing")

    assert not ContentTemplate.objects.exists()


def test_a_second_of_a_name_is_refused_or_replaces_the_first(campaign: Campaign) -> None:
    shop = campaign.application
    ana = make_user(Role.MARKETER, shop)
    first = templating.keep(campaign, ana, name="Welcome")
    other = make_campaign(shop, text="Something else")

    with pytest.raises(NameTakenError, match="“Welcome” already"):
        templating.keep(other, ana, name="Welcome")
    replaced = templating.keep(other, ana, name="Welcome", replace=True)

    assert replaced.pk == first.pk
    assert [each["text"] for each in replaced.contents] == ["Something else"]
    assert actions(first) == ["create template", "replace template"]
    elsewhere = make_campaign(make_application(), text="Mine")
    assert templating.keep(elsewhere, ana, name="Welcome").pk != first.pk


def test_a_campaign_is_started_from_a_template(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    template = templating.keep(campaign, ana, name="Welcome")

    started = templating.start(template, ana)

    assert said(started) == said(campaign)
    assert started.name == "Welcome"
    assert started.split == {"shares": [50, 50], "holdout": 0}
    assert started.template == template
    version = started.versions.get()
    assert (version.number, version.template) == (1, "Welcome")
    assert actions(started) == ["create campaign"]


def test_what_becomes_of_a_template_changes_no_campaign(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    template = templating.keep(campaign, ana, name="Welcome")
    started = templating.start(template, ana)
    before = said(started)
    other = make_campaign(campaign.application, text="Something else")

    templating.keep(other, ana, name="Welcome", replace=True)
    templating.delete(template, ana)

    started.refresh_from_db()
    assert said(started) == before
    assert started.template is None
    assert actions(template)[-1] == "delete template"
    with pytest.raises(TemplateError, match="deleted"):
        templating.start(template, ana)


def test_a_template_takes_the_place_of_contents_alone(campaign: Campaign) -> None:
    shop = campaign.application
    ana = make_user(Role.MARKETER, shop)
    template = templating.keep(campaign, ana, name="Welcome")
    draft = make_campaign(shop, name="Mine", text="Mine", ttl=3600, rule={"all": []})
    kept = draft.contents.get().pk
    CampaignContent.objects.create(campaign=draft, language="fr", text="À moi")

    templating.apply(template, draft, ana, version=draft.version)

    draft.refresh_from_db()
    assert said(draft) == said(campaign)
    assert draft.contents.get(language="", variant=0).pk == kept  # open pages go on to name it
    assert (draft.name, draft.ttl, draft.version) == ("Mine", 3600, 2)
    assert draft.split == {"shares": [50, 50], "holdout": 0}
    assert draft.template == template
    assert actions(draft) == ["apply template"]


def test_a_split_of_as_many_variants_stays(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    template = templating.keep(campaign, ana, name="Welcome")
    campaign.split = {"shares": [70, 20], "holdout": 10}
    campaign.save()

    templating.apply(template, campaign, ana, version=campaign.version)

    campaign.refresh_from_db()
    assert campaign.split == {"shares": [70, 20], "holdout": 10}


def test_taking_over_a_template_is_a_version_of_its_own_that_can_be_undone(
    campaign: Campaign,
) -> None:
    shop = campaign.application
    ana = make_user(Role.MARKETER, shop)
    template = templating.keep(campaign, ana, name="Welcome")
    draft = make_campaign(shop, text="Mine")
    for text in ("Min", "Mine, typed"):
        drafting.save_draft(
            draft, version=draft.version, draft={}, content={"text": text}, user=ana
        )
        draft.refresh_from_db()
    typed = draft.versions.first()
    assert typed is not None
    templating.apply(template, draft, ana, version=draft.version)
    draft.refresh_from_db()
    drafting.save_draft(draft, version=draft.version, draft={"ttl": 60}, content={}, user=ana)
    draft.refresh_from_db()
    assert [each.template for each in draft.versions.all()] == ["", "Welcome", "", ""]

    drafting.restore_contents(draft, ana, old=typed)

    draft.refresh_from_db()
    assert [each["text"] for each in said(draft)] == ["Mine, typed"]
    assert draft.split == {}
    assert draft.ttl == 60  # what was chosen since stays
    newest = draft.versions.first()
    assert newest is not None
    assert newest.restored_from == typed.number


def test_a_template_does_not_overwrite_what_somebody_else_saved(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    template = templating.keep(campaign, ana, name="Welcome")
    draft = make_campaign(campaign.application, text="Mine")

    with pytest.raises(StaleDraftError):
        templating.apply(template, draft, ana, version=draft.version + 1)

    assert [each["text"] for each in said(draft)] == ["Mine"]


def test_a_template_is_renamed_unless_the_name_is_taken(campaign: Campaign) -> None:
    ana = make_user(Role.MARKETER, campaign.application)
    first = templating.keep(campaign, ana, name="Welcome")
    second = templating.keep(campaign, ana, name="Goodbye")

    with pytest.raises(NameTakenError):
        templating.rename(second, ana, "Welcome")
    renamed = templating.rename(second, ana, "See you")

    assert renamed.name == "See you"
    assert actions(second) == ["create template", "rename template"]
    assert actions(first) == ["create template"]


# ------------------------------------------------------------------------------- pages


def post(client: Client, name: str, campaign: Campaign, **typed: Any) -> Any:
    return composer.post(
        client, name, campaign, {"HX-Request": "true"}, **{"text": "Typed", **typed}
    )


def make_template(shop: Application, name: str, **said: Any) -> ContentTemplate:
    user = make_user(Role.MARKETER, shop)
    return templating.keep(make_campaign(shop, **said), user, name=name)


def test_the_list_shows_what_templates_say_and_what_was_made_of_them(
    shop: Application, django_assert_num_queries: Any
) -> None:
    client = signed_in(shop)
    address = reverse("campaigns:templates", args=[shop.pk])
    assert "No template yet" in client.get(address).content.decode()
    templates = [make_template(shop, f"Template {n}", text=f"Text {n}") for n in range(3)]
    templating.start(templates[0], make_user(Role.MARKETER, shop))
    make_template(make_application(), "Not ours")

    with django_assert_num_queries(8):  # of them three for the frame
        page = client.get(address).content.decode()

    assert page.index("Template 2") < page.index("Text 0")
    assert f'?template={templates[0].pk}">1 campaign</a>' in page
    assert page.count("No campaign yet") == 2
    assert "Not ours" not in page
    assert "Template 1" not in client.get(address, {"q": "ate 2"}).content.decode()


def test_the_number_of_campaigns_leads_to_them(shop: Application) -> None:
    client, template = signed_in(shop), make_template(shop, "Welcome")
    templating.start(template, make_user(Role.MARKETER, shop))
    make_campaign(shop, name="Another one")
    address = reverse("campaigns:list", args=[shop.pk])

    page = client.get(address, {"template": template.pk}).content.decode()

    assert "Another one" not in page
    assert "From “Welcome”" in page
    assert ">Welcome</a>" in page
    assert "Another one" in client.get(address, {"template": "nonsense"}).content.decode()


def test_the_page_of_a_template_shows_each_content_and_renames(campaign: Campaign) -> None:
    shop = campaign.application
    client = signed_in(shop)
    template = templating.keep(campaign, make_user(Role.MARKETER, shop), name="Welcome")
    make_template(shop, "Goodbye")
    page = client.get(template.get_absolute_url()).content.decode()
    assert "German, variant B" in page
    assert "https://cdn.example/a.png" in page
    rename = reverse("campaigns:template-rename", args=[shop.pk, template.pk])

    taken = client.post(rename, {"name": "Goodbye"})
    fine = client.post(rename, {"name": "Hello"}, follow=True)

    assert taken.status_code == 422
    assert "“Goodbye” already" in taken.content.decode()
    assert "<h1>Hello</h1>" in fine.content.decode()


def test_a_campaign_is_started_and_a_template_deleted_by_a_button(shop: Application) -> None:
    client, template = signed_in(shop), make_template(shop, "Welcome", text="Hello there")

    started = client.post(
        reverse("campaigns:template-start", args=[shop.pk, template.pk]), follow=True
    )
    gone = client.post(
        reverse("campaigns:template-delete", args=[shop.pk, template.pk]), follow=True
    )

    assert "Hello there" in started.content.decode()
    assert "Welcome is deleted." in gone.content.decode()
    assert client.get(template.get_absolute_url()).status_code == 404


@pytest.mark.parametrize("role", [Role.ANALYST, Role.APPROVER, Role.SUPPORT])
def test_who_may_not_write_campaigns_reads_templates_only(shop: Application, role: Role) -> None:
    client, template = signed_in(shop, role), make_template(shop, "Welcome")

    page = client.get(reverse("campaigns:templates", args=[shop.pk])).content.decode()

    assert "Welcome" in page
    assert "Start campaign" not in page
    for name in ("template-start", "template-rename", "template-delete"):
        address = reverse(f"campaigns:{name}", args=[shop.pk, template.pk])
        assert client.post(address, {"name": "x"}).status_code == 403
    assert ContentTemplate.objects.filter(name="Welcome").exists()


def test_a_template_of_another_application_is_not_there(shop: Application) -> None:
    client, foreign = signed_in(shop), make_template(make_application(), "Welcome")
    draft = make_campaign(shop)

    answer = post(client, "contents", draft, do="apply-template", template=str(foreign.pk))

    assert client.get(reverse("campaigns:template", args=[shop.pk, foreign.pk])).status_code == 404
    assert "deleted meanwhile" in answer.content.decode()
    assert said(draft)[0]["text"] == "Typed"  # what was typed is saved first


def test_the_composer_keeps_what_is_typed_as_a_template(shop: Application) -> None:
    client, draft = signed_in(shop), make_campaign(shop)

    answer = post(client, "draft-keep", draft, template_name="Welcome")

    assert ContentTemplate.objects.get().contents[0]["text"] == "Typed"
    page = answer.content.decode()
    assert "Kept as the template “Welcome”" in page
    assert 'id="draft-version" value="2"' in page
    again = post(client, "draft-keep", draft, template_name="Welcome", text="Newer")
    assert "Replace that template" in again.content.decode()
    post(client, "draft-keep", draft, template_name="Welcome", text="Newer", replace="1")
    assert ContentTemplate.objects.get().contents[0]["text"] == "Newer"


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"template_name": ""}, "Give the template a name."),
        ({"template_name": "Welcome", "image_url": "nothing"}, "marked fields to correct"),
        ({"template_name": "Welcome", "title": "", "text": ""}, "nothing to keep"),
    ],
)
def test_what_cannot_be_kept_is_said_in_the_dialog(
    shop: Application, typed: dict[str, str], problem: str
) -> None:
    answer = post(signed_in(shop), "draft-keep", make_campaign(shop), **typed)

    assert problem in answer.content.decode()
    assert not ContentTemplate.objects.exists()


def test_the_composer_takes_a_template_over_and_offers_to_undo_it(shop: Application) -> None:
    client, template = signed_in(shop), make_template(shop, "Welcome", text="Hello")
    draft = make_campaign(shop)

    answer = post(client, "contents", draft, do="apply-template", template=str(template.pk))

    page = answer.content.decode()
    assert "changed" in answer["HX-Trigger"]  # the dialog closes
    assert said(draft)[0]["text"] == "Hello"
    typed = draft.versions.get(number=2)
    undo = reverse("campaigns:contents-restore", args=[shop.pk, draft.pk, typed.number])
    assert f'hx-post="{undo}"' in page
    versions = client.get(reverse("campaigns:versions", args=[shop.pk, draft.pk]))
    assert "Template “Welcome”" in versions.content.decode()

    undone = client.post(undo, headers={"HX-Request": "true"})

    assert undone["HX-Retarget"] == "#contents"
    assert said(draft)[0]["text"] == "Typed"
    assert 'id="draft-version" value="4"' in undone.content.decode()


def test_a_template_is_not_taken_over_while_what_is_typed_is_wrong(shop: Application) -> None:
    client, template = signed_in(shop), make_template(shop, "Welcome", text="Hello")
    draft = make_campaign(shop)
    asked = {"do": "apply-template", "template": str(template.pk), "image_url": "nothing"}

    answer = post(client, "contents", draft, **asked)

    assert answer["HX-Retarget"] == "#composer-status"
    assert "was not taken over" in answer["HX-Trigger"]
    assert said(draft)[0]["text"] == "Today only"


def test_the_dialog_offers_templates_by_name(
    shop: Application, django_assert_num_queries: Any
) -> None:
    client, draft = signed_in(shop), make_campaign(shop)
    address = reverse("campaigns:draft-templates", args=[shop.pk, draft.pk])
    assert "There is none yet" in client.get(address).content.decode()
    for number in range(3):
        make_template(shop, f"Template {number}")

    with django_assert_num_queries(6):  # session, user, application, role, campaign, templates
        page = client.get(address).content.decode()

    assert page.count("Use the template") == 3
    found = client.get(address, {"template_q": "ate 1"}).content.decode()
    assert found.count("Use the template") == 1
    assert (
        "No template has such a name" in client.get(address, {"template_q": "xyz"}).content.decode()
    )
