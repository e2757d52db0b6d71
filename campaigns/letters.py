"""Mails to members of a team: reports that they ordered, campaigns that wait for their approval.

What is to be mailed is written down first, once for each thing it tells; then it is mailed, one
member after the other, so that an address that is refused keeps none of the others waiting. A
worker that dies between the mail server's yes and its own note mails it again, with the same
Message-ID.
"""

import csv
import io
import logging
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from smtplib import SMTPException, SMTPRecipientsRefused
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from campaigns import periods
from campaigns.models import Approval, Letter, ReportOrder
from campaigns.periods import NAMES, Figures, Period
from devices.models import Application, Membership
from devices.permissions import RIGHTS, Right, rights_of

log = logging.getLogger(__name__)

Every = ReportOrder.Every
AT = clock(6, 0, tzinfo=UTC)  # reports of the day before: most receipts of its evening are in
TRIES = 6
FIRST_WAIT = timedelta(minutes=5)  # doubled with each try
LEASE = timedelta(minutes=5)
KEPT = timedelta(days=30)
SALT = "campaigns.letters.stop"
WORDS = {Every.DAY: "Daily", Every.WEEK: "Weekly", Every.MONTH: "Monthly"}


# ------------------------------------------------------------------- orders


def order(application: Application, user: User, every: str) -> ReportOrder:
    """Mail a member the report from the next whole period on."""
    made, _ = ReportOrder.objects.update_or_create(
        application=application, user=user, defaults={"every": Every(every)}
    )
    return made


def may_get(application: Application) -> list[User]:
    """Members who may see reports and have an address."""
    return _members(application, Right.SEE_REPORTS)


def _members(application: Application, right: Right) -> list[User]:
    roles = [role for role, rights in RIGHTS.items() if right in rights]
    members = Membership.objects.filter(application=application, role__in=roles)
    users = User.objects.filter(pk__in=members.values("user"), is_active=True)
    return list(users.exclude(email="").order_by("username"))


def stop_link(made: ReportOrder) -> str:
    token = signing.dumps(made.pk, salt=SALT)
    return settings.PUBLIC_BASE_URL + reverse("campaigns:report-stop", args=[token])


def order_of(token: str) -> ReportOrder | None:
    """Whose mails a link stops; None for a link that is none, or was used."""
    try:
        pk = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return ReportOrder.objects.select_related("application", "user").filter(pk=pk).first()


# ------------------------------------------------------------------- writing


def period_before(every: str, today: date) -> Period:
    """The last whole period before a day: the day, the week from Monday, the month before it."""
    if every == Every.DAY:
        return Period(today - timedelta(1), today - timedelta(1))
    if every == Every.WEEK:
        monday = today - timedelta(today.weekday())
        return Period(monday - timedelta(7), monday - timedelta(1))
    last = today.replace(day=1) - timedelta(1)
    return Period(last.replace(day=1), last)


def write_due(now: datetime | None = None) -> int:
    """Write the reports that are due; how many. Periods that nobody wrote in time are left out."""
    moment = (now or timezone.now()).astimezone(UTC)
    if moment.timetz() < AT:
        return 0
    count = 0
    for every in Every:
        period = period_before(every, moment.date())
        due = ReportOrder.objects.filter(
            Q(told_until=None) | Q(told_until__lt=period.last),
            every=every,
            created_at__lt=period.ends,
        )
        count += sum(_write(pk, period) for pk in due.values_list("pk", flat=True))
    Letter.objects.filter(created_at__lt=moment - KEPT).exclude(state=Letter.State.WAITING).delete()
    return count


def _write(pk: int, period: Period) -> bool:
    with transaction.atomic():
        rows = ReportOrder.objects.select_for_update(skip_locked=True, of=("self",))
        made = rows.select_related("application", "user").filter(pk=pk).first()
        if made is None or (made.told_until is not None and made.told_until >= period.last):
            return False
        if Right.SEE_REPORTS not in (rights_of(made.user, made.application) or ()):
            made.delete()  # no member any longer
            return False
        days = periods.by_day([made.application], period)[made.application]
        name = " ".join(made.application.name.split())
        Letter.objects.create(
            key=f"report:{made.pk}:{period.last}",
            application=made.application,
            user=made.user,
            order=made,
            subject=f"{WORDS[Every(made.every)]} report of {name}"[:200],
            body=_report(name, period, Figures.sum(days), made),
            file_name=f"report-{period.first}-{period.last}.csv",
            file=_csv(period, days),
        )
        made.told_until = period.last
        made.save(update_fields=["told_until"])
    return True


def _report(name: str, period: Period, total: Figures, made: ReportOrder) -> str:
    when = _day(period.first)
    if period.last != period.first:
        when += f" to {_day(period.last)}"
    page = reverse("campaigns:reports", args=[made.application_id])
    return (
        f"{name}, {when} (UTC)\n\n"
        f"Sent {total.sent:,}, accepted {total.accepted:,}, delivered {total.delivered:,},"
        f" seen {total.seen:,}, tapped {total.clicked:,}, failed {total.failed:,}.\n"
        "The attached file has each day.\n\n"
        f"The same with charts and campaigns:\n{settings.PUBLIC_BASE_URL}{page}"
        f"?first={period.first}&last={period.last}\n\n"
        f"Get no more of these mails:\n{stop_link(made)}\n"
    )


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


def _csv(period: Period, days: Iterable[Figures]) -> str:
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["day", *("tapped" if name == "clicked" else name for name in NAMES)])
    for day, figures in zip(period.days, days, strict=True):
        rows.writerow([day.isoformat(), *(getattr(figures, name) for name in NAMES)])
    return written.getvalue()


def ask_for_approval(approval: Approval) -> int:
    """Write to whoever may approve a campaign, but not to who asks; to how many.

    In the transaction of the question, so that neither stands without the other.
    """
    campaign = approval.campaign
    name = " ".join(campaign.name.split())
    asker = approval.asked_by.get_username() if approval.asked_by is not None else "Somebody"
    body = (
        f"{asker} asks for approval of the campaign “{name}” of"
        f" {' '.join(campaign.application.name.split())}. It is not sent before somebody else has"
        " read and approved it.\n\n"
        f"Read it:\n{settings.PUBLIC_BASE_URL}{campaign.get_absolute_url()}\n"
    )
    asked = [
        user
        for user in _members(campaign.application, Right.LAUNCH_CAMPAIGNS)
        if user.pk != approval.asked_by_id
    ]
    Letter.objects.bulk_create(
        Letter(
            key=f"approval:{approval.pk}:{user.pk}",
            application=campaign.application,
            user=user,
            subject=f"Waits for approval: {name}"[:200],
            body=body,
        )
        for user in asked
    )
    return len(asked)


# ------------------------------------------------------------------- mailing


def mail(*, seconds: float) -> int:
    """Mail what is due, for some time; how many were taken by the mail server."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until and (letter := _claim()) is not None:
        count += _mail(letter)
    return count


def _claim() -> Letter | None:
    now = timezone.now()
    with transaction.atomic():
        waiting = Letter.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            Q(lease_until=None) | Q(lease_until__lt=now),
            state=Letter.State.WAITING,
            due_at__lte=now,
        )
        found = waiting.select_related("user", "application", "order").order_by("due_at", "pk")
        letter = found.first()
        if letter is not None:
            letter.lease_until, letter.tries = now + LEASE, letter.tries + 1
            letter.save(update_fields=["lease_until", "tries"])
    return letter


def _mail(letter: Letter) -> bool:
    problem, over = "", letter.tries >= TRIES
    if rights_of(letter.user, letter.application) is None or not letter.user.email:
        problem, over = "no member any longer", True
    else:
        try:
            _message(letter).send()
        except SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            problem = f"the address was refused ({codes[0] if codes else 'no code'})"
            over = over or any(code >= 500 for code in codes)
        except (OSError, SMTPException) as trouble:
            problem = type(trouble).__name__
    letter.lease_until, letter.problem = None, problem
    if not problem:
        letter.state = Letter.State.SENT
    elif over:
        letter.state = Letter.State.GIVEN_UP
        log.warning("letter %s was given up: %s", letter.pk, problem)
    else:
        letter.due_at = timezone.now() + FIRST_WAIT * 2 ** (letter.tries - 1)
    letter.save(update_fields=["lease_until", "problem", "state", "due_at"])
    return not problem


def _message(letter: Letter) -> EmailMessage:
    host = urlsplit(settings.PUBLIC_BASE_URL).hostname or "localhost"
    headers = {
        "Message-ID": f"<letter-{letter.pk}.{int(letter.created_at.timestamp())}@{host}>",
        "Auto-Submitted": "auto-generated",
    }
    if letter.order is not None:
        headers["List-Unsubscribe"] = f"<{stop_link(letter.order)}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message = EmailMessage(letter.subject, letter.body, None, [letter.user.email], headers=headers)
    if letter.file_name:
        message.attach(letter.file_name, letter.file, "text/csv")
    return message
