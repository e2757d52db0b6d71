"""campaigns.variant_figures: what is said of variants is what their messages say."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from campaigns import composing, contents, dispatch, fanout, folding, reports, variant_figures
from campaigns.models import Bulk, Message
from campaigns.reports import Receipt
from campaigns.variant_figures import VariantFigures, chance_of, verdicts
from devices.models import ProviderCredential, Role
from providers.base import Cause, Outcome, Verdict
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
    signed_in,
)

CloudFor = Callable[[ProviderCredential], Any]


@pytest.mark.parametrize(
    ("hits", "total", "other_hits", "other_total", "chance"),
    [
        # z = 2.0339, 0 and 2.8868 by hand; too few expected in the last
        (120, 1000, 92, 1000, 0.0420),
        (50, 1000, 50, 1000, 1.0),
        (30, 200, 30, 400, 0.0039),
        (3, 1000, 1, 1000, None),
    ],
)
def test_the_chance_is_that_of_the_two_proportion_test(
    hits: int, total: int, other_hits: int, other_total: int, chance: float | None
) -> None:
    found = chance_of(hits, total, other_hits, other_total)

    assert found == (None if chance is None else pytest.approx(chance, abs=0.0002))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(500, 2000), st.integers(500, 2000))
def test_the_test_does_not_care_which_variant_comes_first(a: int, b: int, m: int, n: int) -> None:
    chance = chance_of(a, m, b, n)

    assert chance == pytest.approx(chance_of(b, n, a, m)) or chance is None
    assert chance is None or 0 <= chance <= 1


def made(*clicked: int, accepted: int = 1000) -> list[VariantFigures]:
    return [
        VariantFigures(number, 10, accepted=accepted, seen=accepted // 2, clicked=each)
        for number, each in enumerate(clicked)
    ]


def test_a_clear_difference_is_sure_and_a_small_one_may_be_chance() -> None:
    clear, seen = verdicts(made(40, 100))
    assert (clear.best.name, clear.other.name, clear.is_sure) == ("B", "A", True)
    assert not seen.is_sure
    assert not verdicts(made(50, 55))[0].is_sure


def test_many_variants_make_a_lucky_one_more_likely() -> None:
    """92 against 120 is sure of two, and not when the pair is the best of twenty-eight."""
    assert verdicts(made(92, 120))[0].is_sure
    assert not verdicts(made(92, 120, *[90] * 6))[0].is_sure


def test_what_nobody_got_is_not_compared() -> None:
    assert verdicts(made(0, 0, accepted=0)) == []
    assert verdicts(made(1, 2, accepted=20))[0].chance is None


@pytest.fixture
def sent(cloud_for: CloudFor) -> Bulk:
    """Two variants in two languages to 80 devices, of which some failed and some tapped."""
    application = make_application()
    make_registrations(application, 50, language="de-AT")
    make_registrations(application, 30, language="fr")
    cloud = cloud_for(make_credential(application))
    answers = iter(range(1000))

    def answer(_: object) -> Outcome:
        if next(answers) % 10 == 0:
            return Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
        return Outcome(verdict=Verdict.ACCEPTED, provider_id="p")

    cloud.answer = answer
    campaign = make_campaign(application)
    contents.add_language(campaign, "de", version=1)
    campaign.contents.filter(language="de").update(text="Nur heute")
    contents.add_variant(campaign, version=2)
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    accepted = Message.objects.of_bulk(bulk).filter(state=Message.State.ACCEPTED)
    for message in accepted.order_by("pk")[:20]:
        receipt = Receipt(message.pk, Message.State.CLICKED, timezone.now())
        folding.fold([reports.packed_call(application.pk, message.registration_id, [receipt])])
    return bulk


@pytest.mark.django_db
def test_figures_of_variants_are_those_of_their_messages(sent: Bulk) -> None:
    figures = variant_figures.figures(sent)

    assert [each.name for each in figures] == ["A", "B"]
    for each in figures:
        own = Message.objects.of_bulk(sent).filter(variant=each.variant)
        assert each.sent == own.count() > 0
        assert each.failed == own.filter(state=Message.State.FAILED).count()
        assert each.clicked == own.filter(state=Message.State.CLICKED).count()
        assert each.accepted == each.sent - each.failed
    assert sum(each.clicked for each in figures) == 20


@pytest.mark.django_db
def test_figures_of_languages_add_up_and_say_what_was_read(sent: Bulk) -> None:
    found = variant_figures.languages(sent)

    assert found is not None
    assert [(each.value, each.read, each.sent) for each in found] == [
        ("de-AT", "German", 50),
        ("fr", "Default", 30),
    ]
    assert sum(each.clicked for each in found) == 20
    assert all(each.sent == each.accepted + each.failed for each in found)


@pytest.mark.django_db
def test_the_campaign_page_compares_variants_and_tells_of_languages(sent: Bulk) -> None:
    application = sent.application
    client = signed_in(application, Role.ANALYST)

    page = client.get(reverse("campaigns:detail", args=[application.pk, sent.campaign_id]))
    assert "Variant B" in page.content.decode()
    assert 'id="verdicts"' in page.content.decode()
    address = reverse("campaigns:languages", args=[application.pk, sent.campaign_id])
    languages = client.get(address, {"bulk": sent.pk}).content.decode()
    assert "They read" in languages
    assert "German" in languages
    for wrong in ("", "x", "0", "9" * 30):
        assert client.get(address, {"bulk": wrong}).status_code == 404


@pytest.mark.django_db
def test_figures_of_app_versions_are_those_of_their_messages(sent: Bulk) -> None:
    found = variant_figures.app_versions(sent)

    assert found is not None
    assert [(each.name, each.sent, each.clicked) for each in found] == [("None reported", 80, 20)]
    assert found[0].sent == found[0].accepted + found[0].failed
    client = signed_in(sent.application, Role.ANALYST)
    address = reverse("campaigns:app-versions", args=[sent.application_id, sent.campaign_id])
    assert client.get(f"{address}?bulk={sent.pk}").content.decode().count("<tr>") == 2
    assert client.get(f"{address}?bulk=0").status_code == 404
