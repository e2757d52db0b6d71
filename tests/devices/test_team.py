"""devices.team and its pages: who joins a team, as what, and who may decide it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from devices import team
from devices.errors import TeamError
from devices.models import Application, AuditEntry, Invitation, Membership, Role
from devices.permissions import RIGHTS, WORDS, Right
from tests.factories import client_of, make_application, make_user

pytestmark = pytest.mark.django_db
OTHERS = [role for role in Role if role != Role.ADMINISTRATOR]
PASSWORD = "a long one 4711"


@pytest.fixture
def application() -> Application:
    return make_application(name="Shop")


@pytest.fixture
def boss(application: Application) -> User:
    return make_user(Role.ADMINISTRATOR, application)


@pytest.fixture
def office(boss: User) -> Client:
    """The administrator's browser."""
    return client_of(boss)


def membership_of(user: User) -> Membership:
    return Membership.objects.get(user=user)


def act(client: Client, what: str, user: User, **given: Any) -> Any:
    membership = membership_of(user)
    return client.post(
        reverse(f"devices:team-{what}", args=[membership.application_id, membership.pk]), given
    )


def invite(client: Client, application: Application, **given: Any) -> Any:
    url = reverse("devices:team-invite", args=[application.pk])
    return client.post(url, {"role": "marketer", **given})


def link_in(page: Any) -> str:
    found = re.search(r'data-copy="http://testserver([^"]+)"', page.content.decode())
    assert found
    return found[1]


def join(link: str, **given: Any) -> tuple[Client, Any]:
    client = Client()
    client.get(link)
    account = {"username": "nora", "email": "nora@example.com", "password": PASSWORD, **given}
    return client, client.post(reverse("devices:join"), account)


def test_an_invited_person_makes_an_account_and_is_in_the_team(
    office: Client, application: Application, boss: User
) -> None:
    link = link_in(invite(office, application))
    client, response = join(link)

    assert response["Location"] == reverse("devices:application-home", args=[application.pk])
    user = User.objects.get(username="nora")
    assert membership_of(user).role == Role.MARKETER
    assert client.get(reverse("campaigns:list", args=[application.pk])).status_code == 200
    assert UserSession.objects.filter(user=user).count() == 1
    entry = AuditEntry.objects.get(action="join team")
    assert (entry.actor_name, entry.application) == ("nora", application)
    assert entry.after == {"role": "marketer", "invited_by": boss.username}


def test_a_link_is_shown_once_and_works_once(office: Client, application: Application) -> None:
    link = link_in(invite(office, application))
    secret = link.partition("=")[2]

    assert secret not in office.get(reverse("devices:team", args=[application.pk])).content.decode()
    assert bytes(Invitation.objects.get().digest) != secret.encode()
    join(link)
    _, second = join(link, username="otto", email="otto@example.com")

    assert second.status_code == 404
    assert not User.objects.filter(username="otto").exists()


def test_the_secret_leaves_the_address_at_once(office: Client, application: Application) -> None:
    link = link_in(invite(office, application))
    client = Client()
    assert client.get(link)["Location"] == reverse("devices:join")
    assert link.partition("=")[2] not in str(dict(client.session))
    assert "Join Shop" in client.get(reverse("devices:join")).content.decode()


def test_somebody_with_an_account_joins_with_it(office: Client, application: Application) -> None:
    stranger = make_user()
    client = client_of(stranger)
    client.get(link_in(invite(office, application, role="support")))
    client.post(reverse("devices:join"))
    assert membership_of(stranger).role == Role.SUPPORT


def test_an_invitation_changes_no_role_that_somebody_has(
    office: Client, application: Application
) -> None:
    analyst = make_user(Role.ANALYST, application)
    client = client_of(analyst)
    client.get(link_in(invite(office, application, role="administrator")))

    response = client.post(reverse("devices:join"))

    assert response.status_code == 422
    assert "already, as analyst" in response.content.decode()
    assert membership_of(analyst).role == Role.ANALYST


@pytest.mark.parametrize("how", ["withdrawn", "expired", "by nobody any more"])
def test_an_invitation_ends(office: Client, application: Application, boss: User, how: str) -> None:
    link = link_in(invite(office, application))
    invitation = Invitation.objects.get()
    if how == "withdrawn":
        office.post(reverse("devices:team-withdraw", args=[application.pk, invitation.pk]))
        assert AuditEntry.objects.filter(action="withdraw invitation").count() == 1
    elif how == "expired":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        Membership.objects.filter(user=boss).update(role=Role.ANALYST)
    assert join(link)[1].status_code == 404
    assert not User.objects.filter(username="nora").exists()


def test_an_invitation_is_mailed_where_there_is_a_mail_server(
    office: Client, application: Application, settings: Any
) -> None:
    invite(office, application, email="nora@example.com")
    assert mail.outbox == []

    settings.EMAIL_HOST = "mail.example.com"
    page = invite(office, application, email="nora@example.com")

    (sent,) = mail.outbox
    assert sent.to == ["nora@example.com"]
    assert link_in(page) in sent.body
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert "did not take" in invite(office, application, email="a@example.com").content.decode()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"username": ""}, "Fill in"),
        ({"username": "a b"}, "valid username"),
        ({"email": "nowhere"}, "valid email"),
        ({"password": "12345678"}, "too common"),
        ({"email": "taken@example.com"}, "sign in with it"),
        ({"username": "Taken"}, "Somebody has this name"),
    ],
)
def test_an_account_that_cannot_be_made_is_explained(
    office: Client, application: Application, given: dict[str, str], says: str
) -> None:
    User.objects.create_user("taken", "Taken@example.com", PASSWORD)
    _, response = join(link_in(invite(office, application)), **given)
    assert response.status_code == 422
    assert says in response.content.decode()
    assert User.objects.filter(username="nora").count() == 0


def test_a_role_is_changed_with_its_entry(office: Client, application: Application) -> None:
    user = make_user(Role.ANALYST, application)
    page = office.get(reverse("devices:team", args=[application.pk]))
    assert user.username in page.content.decode()

    act(office, "role", user, role="support")

    assert membership_of(user).role == Role.SUPPORT
    entry = AuditEntry.objects.get(action="change role")
    assert (entry.before, entry.after) == ({"role": "analyst"}, {"role": "support"})
    assert act(office, "role", user, role="king").status_code == 422
    assert membership_of(user).role == Role.SUPPORT


def test_the_last_administrator_stays(office: Client, application: Application, boss: User) -> None:
    make_user(Role.ADMINISTRATOR, application, is_active=False)  # cannot sign in: does not count
    make_user(Role.ADMINISTRATOR)  # of another application

    for response in (act(office, "role", boss, role="analyst"), act(office, "remove", boss)):
        assert response.status_code == 422
        assert "is the last administrator of Shop" in response.content.decode()
    assert membership_of(boss).role == Role.ADMINISTRATOR
    assert not AuditEntry.objects.exists()

    make_user(Role.ADMINISTRATOR, application)
    assert act(office, "remove", boss).status_code == 302
    assert not Membership.objects.filter(user=boss).exists()
    assert AuditEntry.objects.get(action="remove member").before == {"role": "administrator"}


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_demote_each_other_at_once() -> None:
    application = make_application()
    both = [make_user(Role.ADMINISTRATOR, application) for _ in range(2)]

    def demote(actor: User, other: User) -> bool:
        try:
            request = RequestFactory().post("/")
            team.change_role(actor, membership_of(other), Role.ANALYST, request)
        except TeamError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(demote, both, reversed(both)))

    assert sorted(done) == [False, True]
    assert Membership.objects.filter(role=Role.ADMINISTRATOR).count() == 1


def test_the_page_tells_two_factor_and_last_sign_in(
    office: Client, application: Application
) -> None:
    user = make_user(Role.ANALYST, application)
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    Authenticator.objects.create(user=user, type=Authenticator.Type.RECOVERY_CODES, data={})
    members = {each.membership.user_id: each for each in team.members_of(application)}
    assert members[user.pk].factors == ["App"]
    page = office.get(reverse("devices:team", args=[application.pk])).content.decode()
    assert "never" in page


def test_ended_sessions_are_signed_out(office: Client, application: Application) -> None:
    client, _ = join(link_in(invite(office, application)))
    user = User.objects.get(username="nora")
    url = reverse("campaigns:list", args=[application.pk])
    assert [
        each.sessions for each in team.members_of(application) if each.membership.user == user
    ] == [1]

    act(office, "sessions", user)

    assert client.get(url).status_code == 302
    entry = AuditEntry.objects.get(action="end sessions")
    assert (entry.before, entry.after) == ({"sessions": 1}, {"sessions": 0})


def test_only_who_runs_the_installation_deactivates_an_account(
    office: Client, application: Application, boss: User
) -> None:
    client, _ = join(link_in(invite(office, application)))
    user = User.objects.get(username="nora")
    assert act(office, "account", user, active="0").status_code == 403

    root = make_user(Role.ADMINISTRATOR, application, is_superuser=True)
    office.force_login(root)
    act(office, "account", user, active="0")

    assert not User.objects.get(pk=user.pk).is_active
    assert client.get(reverse("campaigns:list", args=[application.pk])).status_code == 302
    assert not UserSession.objects.filter(user=user).exists()
    entry = AuditEntry.objects.get(action="deactivate account")
    assert (entry.before, entry.after) == ({"active": True}, {"active": False})
    assert entry.application == application
    act(office, "account", user, active="1")
    assert User.objects.get(pk=user.pk).is_active
    assert act(office, "account", root, active="0").status_code == 422
    assert User.objects.get(pk=root.pk).is_active


@pytest.mark.parametrize("role", [*OTHERS, None])
def test_nobody_but_administrators_manages_a_team(
    application: Application, boss: User, role: Role | None
) -> None:
    user = make_user(role, application) if role else make_user(Role.ADMINISTRATOR)
    client = client_of(user)
    refused = 403 if role else 404  # a stranger does not learn that there is such a team
    invitation, _ = team.invite(boss, application, Role.ANALYST, "", RequestFactory().post("/"))

    assert client.get(reverse("devices:team", args=[application.pk])).status_code == refused
    assert invite(client, application).status_code == refused
    withdraw = reverse("devices:team-withdraw", args=[application.pk, invitation.pk])
    assert client.post(withdraw).status_code == refused
    for what, given in (
        ("role", {"role": "analyst"}),
        ("remove", {}),
        ("sessions", {}),
        ("account", {"active": "0"}),
    ):
        assert act(client, what, boss, **given).status_code == refused
    assert membership_of(boss).role == Role.ADMINISTRATOR
    assert Invitation.objects.filter(closed_at=None).count() == 1


def test_an_administrator_reaches_no_member_of_another_application(
    office: Client, application: Application
) -> None:
    other = membership_of(make_user(Role.ANALYST))
    url = reverse("devices:team-remove", args=[application.pk, other.pk])
    assert office.post(url).status_code == 404
    assert Membership.objects.filter(pk=other.pk).exists()


def test_the_table_of_roles_says_what_is_checked(office: Client) -> None:
    assert set(WORDS) == set(Right)
    response = office.get(reverse("devices:roles"))
    rows = dict(response.context["rows"])
    for right, words in WORDS.items():
        assert dict(rows[words]) == {role.label: right in RIGHTS[role] for role in Role}
    assert Client().get(reverse("devices:roles")).status_code == 302
