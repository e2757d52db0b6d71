from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from devices.models import Role
from devices.permissions import RIGHTS, ApplicationRequest, Right, page, rights_of
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db


@page(Right.LAUNCH_CAMPAIGNS)
def launch(request: ApplicationRequest) -> HttpResponse:
    return HttpResponse(request.application.name)


def ask(user: object, application: int) -> HttpResponse:
    request: HttpRequest = RequestFactory().get("/")
    request.user = user  # type: ignore[assignment]
    view: Callable[..., HttpResponse] = launch
    return view(request, application=application)


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_its_row_says(role: Role) -> None:
    application = make_application()
    user = make_user(role, application)

    assert rights_of(user, application) == RIGHTS[role]
    if Right.LAUNCH_CAMPAIGNS in RIGHTS[role]:
        assert ask(user, application.pk).status_code == 200
    else:
        with pytest.raises(PermissionDenied):
            ask(user, application.pk)


def test_only_some_may_launch_and_only_administrators_change_settings() -> None:
    def who(right: Right) -> set[Role]:
        return {role for role, rights in RIGHTS.items() if right in rights}

    assert who(Right.LAUNCH_CAMPAIGNS) == {Role.ADMINISTRATOR, Role.MARKETER, Role.APPROVER}
    assert who(Right.EDIT_SETTINGS) == {Role.ADMINISTRATOR}
    assert Role.ANALYST not in who(Right.SEE_DEVICES)


def test_a_stranger_does_not_learn_that_an_application_exists() -> None:
    application = make_application()
    elsewhere = make_user(Role.ADMINISTRATOR, make_application())
    for number in (application.pk, 999_999):
        with pytest.raises(Http404):
            ask(elsewhere, number)


def test_whoever_is_not_signed_in_is_sent_to_the_login() -> None:
    answer = ask(AnonymousUser(), make_application().pk)
    assert answer.status_code == 302
    assert "login" in answer["Location"]


def test_a_locked_account_has_no_rights() -> None:
    application = make_application()
    user = make_user(Role.ADMINISTRATOR, application, is_active=False)
    assert rights_of(user, application) is None
