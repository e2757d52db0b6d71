"""Calls of Infobip's SDK that may carry a user token (contract/mobile-sdk.md 7).

Whoever has a token speaks for its subject alone; with the application code everything is as
it was.
"""

from dataclasses import replace

from api import mobile_people
from api.endpoint import ApiRequest, Json, endpoint, reading
from api.mobile import FAMILY, path_id, refused
from api.mobile_people import Personalization, UserData
from api.user_tokens import by_code_or_token, subject_of, unauthorized
from devices import registering
from devices.errors import DeviceError
from devices.models import Identity
from devices.unsaid import UNSAID

SIGNED = replace(FAMILY, authorize=by_code_or_token)


def _check_owner(request: ApiRequest, public_id: str) -> None:
    """See that the device belongs to the token's subject. Raises Refusal."""
    subject = subject_of(request)
    if subject is None:
        return
    try:
        registration = registering.find(request.application, path_id(public_id))
    except DeviceError as error:
        raise refused(error) from error
    known = Identity.objects.filter(
        person__isnull=False, person=registration.person_id, kind=Identity.Kind.EXTERNAL_ID
    )
    if subject not in known.values_list("value", flat=True):
        raise unauthorized()


def show(request: ApiRequest, public_id: str) -> Json:
    """GET …/user."""
    _check_owner(request, public_id)
    return mobile_people.show(request, public_id)


@reading(UserData, SIGNED)
def change(request: ApiRequest, body: UserData, public_id: str) -> Json:
    """PATCH …/user: nobody takes another external id by a token."""
    _check_owner(request, public_id)
    subject = subject_of(request)
    if subject is not None and body.said("external_id", None) not in {UNSAID, subject}:
        raise unauthorized()
    return mobile_people.change(request, public_id)


@reading(Personalization, SIGNED)
def personalize(request: ApiRequest, body: Personalization, public_id: str) -> Json:
    """POST …/personalize: as the subject of the token."""
    subject = subject_of(request)
    said = body.identity.external_id if body.identity else None
    if subject is not None and said != subject:
        raise unauthorized()
    return mobile_people.personalize(request, public_id)


users = endpoint(SIGNED, GET=show, PATCH=change)
personalizations = endpoint(SIGNED, POST=personalize)
