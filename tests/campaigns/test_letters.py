"""Mails to members: each thing once, and one bad address holds up nobody."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import approving, composing, letters
from campaigns.models import Bulk, Counter, Letter, ReportOrder
from campaigns.periods import Period
from devices.models import Application, AuditEntry, Membership, Platform, Role
from tests.factories import make_application, make_bulk, make_campaign, make_user

pytestmark = pytest.mark.django_db
MORNING = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)  # a Tuesday
Every = ReportOrder.Every
State = Letter.State


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


@pytest.fixture
def ana(shop: Application) -> User:
    return make_user(Role.MARKETER, shop, email="ana@shop.example")


def ordered(shop: Application, user: User, every: str = Every.DAY) -> ReportOrder:
    made = letters.order(shop, user, every)
    ReportOrder.objects.filter(pk=made.pk).update(created_at=MORNING - timedelta(days=60))
    return made


def refusing(monkeypatch: pytest.MonkeyPatch, problems: dict[str, Exception]) -> None:
    """A mail server that has these problems with these addresses."""
    send = EmailMessage.send

    def sent(self: EmailMessage, fail_silently: bool = False) -> int:
        if (problem := problems.get(self.to[0])) is not None:
            raise problem
        return send(self, fail_silently)

    monkeypatch.setattr(EmailMessage, "send", sent)


def states() -> dict[str, int]:
    return dict(Letter.objects.values_list("user__email", "state"))


@pytest.mark.parametrize(
    ("every", "today", "first", "last"),
    [
        (Every.DAY, date(2026, 3, 1), date(2026, 2, 28), date(2026, 2, 28)),
        (Every.WEEK, date(2026, 11, 24), date(2026, 11, 16), date(2026, 11, 22)),
        (Every.WEEK, date(2026, 11, 23), date(2026, 11, 16), date(2026, 11, 22)),
        (Every.MONTH, date(2026, 1, 31), date(2025, 12, 1), date(2025, 12, 31)),
        (Every.MONTH, date(2028, 3, 1), date(2028, 2, 1), date(2028, 2, 29)),
    ],
)
def test_a_report_is_of_the_whole_period_before(
    every: str, today: date, first: date, last: date
) -> None:
    assert letters.period_before(every, today) == Period(first, last)


def test_a_report_is_mailed_once_with_each_day_as_a_file(shop: Application, ana: User) -> None:
    bulk = make_bulk(shop, starts_at=MORNING - timedelta(days=7), status=Bulk.Status.DONE)
    at = datetime(2026, 11, 18, 12, tzinfo=UTC)
    Counter.objects.create(
        bulk=bulk, minute=at, platform=Platform.ANDROID, sent=1_200, accepted=1_190, failed=10
    )
    ordered(shop, ana, Every.WEEK)

    assert letters.write_due(MORNING.replace(hour=5)) == 0
    assert letters.write_due(MORNING) == 1
    assert letters.write_due(MORNING) == 0
    assert letters.mail(seconds=30) == 1
    assert letters.mail(seconds=30) == 0

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ana@shop.example"], "Weekly report of Shop")
    assert "Mon 16 Nov 2026 to Sun 22 Nov 2026 (UTC)" in sent.body
    assert "Sent 1,200, accepted 1,190, delivered 0" in sent.body
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    name, file, kind = sent.attachments[0]
    assert (name, kind) == ("report-2026-11-16-2026-11-22.csv", "text/csv")
    rows = list(csv.DictReader(io.StringIO(str(file))))
    assert [row["sent"] for row in rows] == ["0", "0", "1200", "0", "0", "0", "0"]
    assert rows[2]["day"] == "2026-11-18"
    assert letters.write_due(MORNING + timedelta(days=7)) == 1


def test_nothing_is_reported_of_before_it_was_ordered(shop: Application, ana: User) -> None:
    made = letters.order(shop, ana, Every.DAY)
    ReportOrder.objects.filter(pk=made.pk).update(created_at=MORNING)
    assert letters.write_due(MORNING) == 0
    assert letters.write_due(MORNING + timedelta(days=1)) == 1


def test_an_address_that_is_refused_stops_nobody_else(
    shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [f"{name}@shop.example" for name in ("a", "b", "c")]
    for address in addresses:
        ordered(shop, make_user(Role.ANALYST, shop, email=address))
    refusing(
        monkeypatch,
        {
            addresses[0]: SMTPRecipientsRefused({addresses[0]: (550, b"no such user")}),
            addresses[1]: SMTPServerDisconnected("gone"),
        },
    )
    letters.write_due(MORNING)

    assert letters.mail(seconds=30) == 1

    assert states() == dict(
        zip(addresses, (State.GIVEN_UP, State.WAITING, State.SENT), strict=True)
    )
    assert [each.to for each in mail.outbox] == [[addresses[2]]]
    problem = Letter.objects.get(user__email=addresses[0]).problem
    assert problem == "the address was refused (550)"
    assert letters.mail(seconds=30) == 0  # not before its time


def test_what_the_mail_server_does_not_take_is_tried_again_and_given_up_at_last(
    shop: Application, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, {ana.email: SMTPServerDisconnected("gone")})
    ordered(shop, ana)
    letters.write_due(MORNING)
    waits = []
    while Letter.objects.filter(state=State.WAITING).exists():
        before = timezone.now()
        Letter.objects.update(due_at=before)
        letters.mail(seconds=30)
        waits.append(round((Letter.objects.get().due_at - before).total_seconds() / 60))
    assert waits == [5, 10, 20, 40, 80, 0]


def test_a_worker_that_dies_while_it_mails_leaves_it_to_another(
    shop: Application, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered(shop, ana)
    letters.write_due(MORNING)
    with monkeypatch.context() as patched:
        patched.setattr(EmailMessage, "send", dies)
        with pytest.raises(KeyboardInterrupt):
            letters.mail(seconds=30)
    assert letters.mail(seconds=30) == 0  # it may still be at it
    Letter.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert letters.mail(seconds=30) == 1


def dies(*args: object, **kwargs: object) -> int:
    raise KeyboardInterrupt


def test_who_left_the_team_gets_no_report(shop: Application, ana: User) -> None:
    ordered(shop, ana)
    Membership.objects.filter(user=ana).delete()
    assert letters.write_due(MORNING) == 0
    assert not ReportOrder.objects.exists()


def test_who_left_before_it_was_mailed_gets_none_either(shop: Application, ana: User) -> None:
    ordered(shop, ana)
    letters.write_due(MORNING)
    User.objects.filter(pk=ana.pk).update(is_active=False)
    assert letters.mail(seconds=30) == 0
    assert mail.outbox == []


def test_whoever_may_approve_is_told_that_a_campaign_waits(shop: Application, ana: User) -> None:
    Application.objects.filter(pk=shop.pk).update(needs_approval=True)
    shop.refresh_from_db()
    bo = make_user(Role.APPROVER, shop, email="bo@shop.example")
    make_user(Role.ANALYST, shop, email="analyst@shop.example")
    make_user(Role.APPROVER, make_application(), email="elsewhere@shop.example")
    make_user(Role.APPROVER, shop)  # has no address
    campaign = make_campaign(shop, name="Friday\nsale")

    approving.ask(campaign, composing.rule_now(campaign), ana)
    letters.mail(seconds=30)

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == ([bo.email], "Waits for approval: Friday sale")
    assert f"{ana.get_username()} asks for approval" in sent.body
    assert reverse("campaigns:edit", args=[shop.pk, campaign.pk]) in sent.body


# ------------------------------------------------------------------- pages


def page_of(shop: Application) -> str:
    return reverse("campaigns:reports", args=[shop.pk])


def ask(client: Client, shop: Application, user: User, every: str = "week") -> Any:
    address = reverse("campaigns:report-mail", args=[shop.pk])
    return client.post(address, {"user": user.pk, "every": every}, follow=True)


def test_a_member_orders_the_report_and_ends_it(
    shop: Application, ana: User, client: Client
) -> None:
    client.force_login(ana)
    shown = ask(client, shop, ana).content.decode()
    assert f"{ana.get_username()} is mailed it weekly." in shown
    ask(client, shop, ana, "day")
    made = ReportOrder.objects.get()
    assert (made.user, made.every) == (ana, "day")
    client.post(reverse("campaigns:report-mail-end", args=[shop.pk, made.pk]))
    assert not ReportOrder.objects.exists()
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["mail report", "mail report", "end report mails"]


def test_only_administrators_decide_for_others(
    shop: Application, ana: User, client: Client
) -> None:
    bo = make_user(Role.ANALYST, shop, email="bo@shop.example")
    client.force_login(bo)
    assert "Choose a member" in ask(client, shop, ana).content.decode()
    made = letters.order(shop, ana, "day")
    end = reverse("campaigns:report-mail-end", args=[shop.pk, made.pk])
    assert client.post(end).status_code == 403
    assert ana.get_username() not in client.get(page_of(shop)).content.decode()

    client.force_login(make_user(Role.ADMINISTRATOR, shop))
    ask(client, shop, bo)
    assert ReportOrder.objects.count() == 2
    client.post(end)
    assert ReportOrder.objects.get().user == bo


def test_nobody_else_can_be_chosen(shop: Application, client: Client) -> None:
    client.force_login(make_user(Role.ADMINISTRATOR, shop))
    stranger = make_user(Role.MARKETER, make_application(), email="else@shop.example")
    for user, every in ((stranger, "day"), (make_user(Role.MARKETER, shop), "day")):
        assert "Choose a member" in ask(client, shop, user, every).content.decode()
    assert not ReportOrder.objects.exists()


def test_the_link_of_a_mail_stops_the_mails_when_it_is_posted(
    shop: Application, ana: User, client: Client
) -> None:
    ordered(shop, ana)
    letters.write_due(MORNING)
    letters.mail(seconds=30)
    (link,) = re.findall(r"http\S+/reports/stop/\S+", str(mail.outbox[0].body))
    address = link[link.index("/reports/stop/") :]
    assert "Stop the mails" in client.get(address).content.decode()
    assert ReportOrder.objects.exists()
    strict = Client(enforce_csrf_checks=True)  # a mail program, with one click
    answer = strict.post(address, {"List-Unsubscribe": "One-Click"})
    assert "You get no more of them" in answer.content.decode()
    assert not ReportOrder.objects.exists()
    assert "Nothing to stop" in client.get(address).content.decode()
    assert "Nothing to stop" in client.get(address[:-3] + "/").content.decode()
