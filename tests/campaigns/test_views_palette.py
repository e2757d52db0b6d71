"""What the command palette offers and finds: nothing that its reader may not do or see."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from campaigns import composing, fanout, listing
from campaigns.models import Bulk, Campaign, Scenario, Segment
from devices.audit import Author
from devices.models import Application, Registration, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db


def make_shop() -> Application:
    """With one of each thing that is called after Friday, and a person."""
    shop = make_application(name="Shop")
    make_credential(shop)
    make_campaign(shop, name="Friday sale")
    Segment.objects.create(application=shop, name="Friday buyers", rule={"all": []})
    listing.create(shop, Author("boss"), "Friday guests")
    step = {"channel": "PUSH", "sender": shop.code, "validity": 3600}
    Scenario.objects.create(key="F" * 32, name="Friday, then SMS", steps=[step])
    ana = make_person(external_id="p1", phone="41790000001", email="ana@shop.example",
                      first_name="Ana", last_name="Friday")  # fmt: skip
    make_registration(shop, person=ana, model="Galaxy S24")
    return shop


def sending(application: Application, name: str) -> Campaign:
    campaign = make_campaign(application, name=name)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    campaign.refresh_from_db()
    return campaign


def found(client: Client, application: Application, typed: str) -> str:
    answer = client.get(reverse("campaigns:palette", args=[application.pk]), {"q": typed})
    assert answer.status_code == 200
    return answer.content.decode()


def groups(page: str) -> list[str]:
    return re.findall(r'class="palette-group"[^>]*>([^<]+)<', page)


def offered(client: Client, application: Application) -> str:
    """What stands in the palette of a page before anything is asked."""
    page = client.get(reverse("campaigns:overview", args=[application.pk])).content.decode()
    return page.partition('<template id="palette-template">')[2].partition("</template>")[0]


def test_everything_of_a_name_is_found() -> None:
    shop = make_shop()

    page = found(signed_in(shop, Role.MARKETER), shop, "friday")

    assert groups(page) == ["Campaigns", "Segments", "Lists", "Scenarios", "People"]
    for name in ("Friday sale", "Friday buyers", "Friday guests", "Friday, then SMS", "Ana Friday"):
        assert name in page


@pytest.mark.parametrize("typed", ["Ana", "ana@shop", "+41 79 000", "p1"])
def test_a_person_is_found_by_what_they_are_known_by(typed: str) -> None:
    shop = make_shop()
    person = Registration.objects.get().person_id

    page = found(signed_in(shop, Role.SUPPORT), shop, typed)

    assert reverse("devices:person", args=[shop.pk, person]) in page


def test_a_device_is_found_by_its_id_and_by_the_end_of_its_token() -> None:
    shop = make_shop()
    device = Registration.objects.select_related("address").get()
    client = signed_in(shop, Role.SUPPORT)

    for typed in (str(device.address.public_id), f"…{device.address.token[-8:]}"):
        page = found(client, shop, typed)
        assert reverse("devices:detail", args=[shop.pk, device.pk]) in page


def test_who_may_not_see_people_finds_none() -> None:
    shop = make_shop()

    page = found(signed_in(shop, Role.ANALYST), shop, "friday")

    assert "Campaigns" in groups(page)
    assert not {"People", "Devices"} & set(groups(page))
    assert "Ana" not in page


def test_other_applications_are_not_searched() -> None:
    shop, other = make_shop(), make_application()
    client = signed_in(other, Role.ADMINISTRATOR)

    assert "Friday sale" not in found(client, other, "friday")
    assert client.get(reverse("campaigns:palette", args=[shop.pk])).status_code == 404


@pytest.mark.parametrize("typed", ["", "f", " f ", "\x00", "nothing of this name"])
def test_too_little_and_what_names_nothing_find_nothing(typed: str) -> None:
    shop = make_shop()

    assert groups(found(signed_in(shop, Role.ADMINISTRATOR), shop, typed)) == []


def test_what_is_running_can_be_paused_from_wherever_somebody_is() -> None:
    shop = make_shop()
    campaign = sending(shop, "Summer <b>teaser</b>")
    client = signed_in(shop, Role.MARKETER)
    act = reverse("campaigns:pause", args=[shop.pk, campaign.pk])

    for typed in ("pause", "Pause summer", "summer"):
        page = found(client, shop, typed)
        assert f'formaction="{act}"' in page, typed
        assert "Pause Summer &lt;b&gt;teaser&lt;/b&gt; 1 device waiting" in words(page)
    assert act not in found(client, shop, "pause friday")
    assert groups(found(client, shop, "pause"))[0] == "Running campaigns"
    assert groups(found(client, shop, "summer"))[0] == "Campaigns"  # Enter opens it
    answer = client.post(act, follow=True)

    assert answer.redirect_chain == [(campaign.get_absolute_url(), 302)]
    assert "The campaign is paused" in answer.content.decode()
    assert "Resume Summer" in found(client, shop, "resume summer")


def test_a_refused_act_says_why_on_the_page_of_the_campaign() -> None:
    shop = make_shop()
    campaign = sending(shop, "Summer teaser")

    client = signed_in(shop, Role.MARKETER)
    answer = client.post(reverse("campaigns:resume", args=[shop.pk, campaign.pk]), follow=True)

    assert "Only a paused campaign can be resumed." in answer.content.decode()


def test_who_may_not_launch_may_not_pause() -> None:
    shop = make_shop()
    sending(shop, "Summer teaser")

    page = found(signed_in(shop, Role.ANALYST), shop, "summer")

    assert groups(page) == ["Campaigns"]
    assert "formaction" not in page


def words(page: str) -> str:
    return " ".join(strip_tags(page.replace("<span", " <span")).split())


@pytest.mark.parametrize("role", list(Role))
def test_a_role_is_offered_what_it_may_open_and_make(role: Role) -> None:
    shop = make_application()
    client = signed_in(shop, role)
    page = offered(client, shop)
    links = re.findall(r'role="option"[^>]* href="([^"]+)"', page)

    assert len(links) > 4
    for link in links:
        assert client.get(link).status_code in (200, 302), (role, link)
    writes = role in {Role.ADMINISTRATOR, Role.MARKETER}
    assert (reverse("campaigns:new", args=[shop.pk]) in page) == writes
    assert (reverse("campaigns:segment-new", args=[shop.pk]) in page) == writes


def test_other_applications_of_the_reader_are_offered() -> None:
    shop, wholesale = make_application(name="Shop"), make_application(name="Wholesale")
    make_application(name="Somebody's else")
    client = signed_in(shop, Role.ANALYST)
    user = make_user(Role.ANALYST, shop)
    user.memberships.create(application=wholesale, role=Role.ANALYST)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    page = offered(client, shop)

    assert reverse("devices:application-home", args=[wholesale.pk]) in page
    assert reverse("devices:application-home", args=[shop.pk]) not in page
    assert "Somebody" not in page


def test_finding_costs_the_same_however_much_there_is() -> None:
    shop = make_shop()
    sending(shop, "Summer teaser")
    client = signed_in(shop, Role.ADMINISTRATOR)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            found(client, shop, "summer")
        return len(queries)

    little = asked()
    for number in range(4):
        sending(shop, f"Summer teaser {number}")
        Segment.objects.create(application=shop, name=f"Summer {number}", rule={"all": []})
        make_registration(shop, person=make_person(first_name="Summer", external_id=f"s{number}"))
    many = asked()

    # People found have their identities fetched: one more, for all of them.
    assert little <= many <= little + 2
    assert many < 25
