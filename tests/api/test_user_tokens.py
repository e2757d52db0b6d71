"""api.user_tokens: a customer's server vouches for a person. Source: contract/mobile-sdk.md 7."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from api import auth
from devices.models import Application, Identity, Person, UserTokenKey
from tests.api.apps import INSTANCES, App, assert_refused
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

SECRET = "a secret of the customer's own server"
INBOX = "/mobile/1/user/jdoe/inbox/gcm/messages"
EMPTY = {"countTotal": 0, "countUnread": 0, "messages": []}
Sign = Callable[..., str]


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(head: Any, claims: Any, secret: str = SECRET) -> str:
    text = f"{encoded(head)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))}"


HEAD = {"alg": "HS256", "typ": "JWT", "kid": "k-1"}


def claims(application: Application, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "typ": "Bearer", "sub": "jdoe", "infobip-api-key": application.code,
        "iat": now, "exp": now + 600, "jti": "1", **changed,
    }  # fmt: skip


@pytest.fixture
def sign(app: App) -> Sign:
    UserTokenKey.objects.create(application=app.application, kid="k-1", data={"secret": SECRET})

    def token(head: Any = HEAD, secret: str = SECRET, **changed: Any) -> str:
        return signed(head, claims(app.application, **changed), secret)

    return token


def inbox(app: App, token: str, **headers: str) -> Any:
    return app.call("GET", INBOX, Authorization=f"Bearer {token}", **headers)


# ------------------------------------------------------------------- what a token must be


def test_a_token_names_its_application_by_itself(app: App, sign: Sign) -> None:
    assert inbox(app, sign()).json() == EMPTY
    digest = hashlib.sha256(app.application.code.encode()).hexdigest()[:10]
    assert inbox(app, sign(), applicationcode=digest).json() == EMPTY
    assert_unauthorized(inbox(app, sign(), applicationcode="0123456789"))


def assert_unauthorized(answer: Any) -> None:
    assert_refused(answer, 401, "UNAUTHORIZED", "Unauthorized")


@pytest.mark.parametrize(
    "changed",
    [
        {"infobip-api-key": "another"},
        {"infobip-api-key": 7},
        {"infobip-api-key": "\0"},
        {"sub": ""},
        {"sub": None},
        {"iat": "now"},
        {"exp": None},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
    ],
)
def test_a_claim_that_is_not_right_is_unauthorized(
    app: App, sign: Sign, changed: dict[str, Any]
) -> None:
    assert_unauthorized(inbox(app, sign(**changed)))


@pytest.mark.parametrize(
    "head",
    [
        {**HEAD, "alg": "none"},
        {**HEAD, "alg": "RS256"},
        {**HEAD, "alg": "hs256"},
        {**HEAD, "kid": "k-2"},
        {**HEAD, "kid": "k\0"},
        {**HEAD, "kid": ["k-1"]},
        {**HEAD, "kid": "k" * 101},
        {"alg": "HS256"},
        [],
        b"{",
        b"[" * 4000,
        b"\xff",
    ],
)
def test_a_head_that_is_not_right_is_unauthorized(app: App, sign: Sign, head: Any) -> None:
    assert_unauthorized(inbox(app, sign(head)))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "ü.ü.ü", "x" * 9000, "e30.e30."])
def test_what_is_no_token_is_unauthorized(app: App, sign: Sign, token: str) -> None:
    assert_unauthorized(inbox(app, token))


def test_another_signature_is_unauthorized(app: App, sign: Sign) -> None:
    good = sign()

    assert_unauthorized(inbox(app, sign(secret="another secret")))
    assert_unauthorized(inbox(app, good.rpartition(".")[0] + "."))
    assert_unauthorized(inbox(app, good + "="))
    assert_unauthorized(inbox(app, good[:-2] + ("AA" if good[-2:] != "AA" else "BB")))


@pytest.mark.parametrize(
    ("issued", "expires", "valid"),
    [(0, 600, True), (-600, -50, True), (-600, -70, False), (50, 600, True), (70, 600, False)],
)
def test_clocks_may_differ_by_a_minute(
    app: App, sign: Sign, issued: int, expires: int, valid: bool, time_machine: Any
) -> None:
    time_machine.move_to("2026-03-01T12:00:00Z", tick=False)
    now = int(time.time())

    answer = inbox(app, sign(iat=now + issued, exp=now + expires))

    assert (answer.status_code == 200) is valid


def test_a_key_of_another_application_signs_nothing_here(app: App, sign: Sign) -> None:
    other = make_application()

    token = signed(HEAD, claims(other))

    assert_unauthorized(inbox(app, token))


def test_a_key_that_is_removed_signs_nothing_any_more(app: App, sign: Sign) -> None:
    token = sign()
    UserTokenKey.objects.all().delete()

    assert_unauthorized(inbox(app, token))


def test_a_switched_off_application_takes_no_token(app: App, sign: Sign) -> None:
    Application.objects.update(enabled=False)

    assert_unauthorized(inbox(app, sign()))


def test_other_calls_take_no_token(app: App, sign: Sign) -> None:
    answer = app.call("GET", "/mobile/1/baseurl", Authorization=f"Bearer {sign()}")

    assert_refused(answer, 401, "APP_CODE_MISSING", "Application code missing")


# ------------------------------------------------------------------- for whom it speaks


def test_a_token_opens_the_inbox_of_its_subject_alone(app: App, sign: Sign) -> None:
    assert_unauthorized(inbox(app, sign(sub="stranger")))
    assert_unauthorized(inbox(app, sign(sub="JDOE")))


def test_a_secure_inbox_opens_by_a_token_alone(app: App, sign: Sign) -> None:
    assert app.call("GET", INBOX).json() == EMPTY
    Application.objects.update(secure_inbox=True)

    auth._known.clear()  # it is remembered for some seconds
    assert_unauthorized(app.call("GET", INBOX))
    assert inbox(app, sign()).json() == EMPTY


@pytest.fixture
def device(app: App) -> str:
    person = make_person(external_id="jdoe", first_name="John")
    return str(make_registration(app.application, person=person).address.public_id)


def test_user_data_is_told_to_its_owner(app: App, sign: Sign, device: str) -> None:
    path = f"{INSTANCES}/{device}/user"

    mine = app.call("GET", path, Authorization=f"Bearer {sign()}")
    theirs = app.call("GET", path, Authorization=f"Bearer {sign(sub='stranger')}")

    assert mine.json() == {"externalUserId": "jdoe", "firstName": "John", "type": "LEAD"}
    assert_unauthorized(theirs)


def test_a_device_of_nobody_is_not_the_subjects(app: App, sign: Sign) -> None:
    nobody = make_registration(app.application).address.public_id
    headers = {"Authorization": f"Bearer {sign()}"}

    assert_unauthorized(app.call("GET", f"{INSTANCES}/{nobody}/user", **headers))
    for missing in ("00000000-0000-0000-0000-000000000000", "shoe"):
        answer = app.call("GET", f"{INSTANCES}/{missing}/user", **headers)
        assert_refused(answer, 404, "NO_REGISTRATION", "Registration not found")


def test_user_data_is_changed_by_its_owner_who_stays_the_same(
    app: App, sign: Sign, device: str
) -> None:
    path = f"{INSTANCES}/{device}/user"

    def patch(subject: str, body: Any) -> Any:
        return app.call("PATCH", path, body, Authorization=f"Bearer {sign(sub=subject)}")

    override = {"X-HTTP-Method-Override": "PATCH", "Authorization": f"Bearer {sign()}"}
    assert app.post(path, {"firstName": "Jon"}, **override).json() == {}
    assert Person.objects.get().first_name == "Jon"
    assert patch("jdoe", {"firstName": "Johnny", "externalUserId": "jdoe"}).json() == {}
    assert_unauthorized(patch("stranger", {"firstName": "Eve"}))
    assert_unauthorized(patch("jdoe", {"externalUserId": "stranger"}))
    assert_unauthorized(patch("jdoe", {"externalUserId": None}))
    assert Person.objects.get().first_name == "Johnny"
    assert Identity.objects.get().value == "jdoe"


def test_a_device_is_personalized_as_the_subject_alone(app: App, sign: Sign) -> None:
    device = make_registration(app.application)
    path = f"{INSTANCES}/{device.address.public_id}/personalize"

    def personalize(subject: str, **identity: Any) -> Any:
        body = {"userIdentity": identity}
        return app.post(path, body, Authorization=f"Bearer {sign(sub=subject)}")

    assert_unauthorized(personalize("stranger", externalUserId="jdoe"))
    assert_unauthorized(personalize("jdoe", phones=[{"number": "41790000001"}]))
    assert not Person.objects.exists()
    told = personalize("jdoe", externalUserId="jdoe").json()
    assert told == {"externalUserId": "jdoe", "type": "CUSTOMER"}
