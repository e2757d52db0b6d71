"""Applications of the account: /push/1/applications (contract/push.md 11)."""

from collections.abc import Iterable, Mapping

from django.conf import settings
from django.db.models import Count

from api import auth
from api.endpoint import Json, Refusal, endpoint
from api.infobip.push_family import MANAGE, KnownRequest, family, flag_of
from devices.models import Application, Provider, ProviderCredential, Registration

FAMILY = family(MANAGE, "applications", lambda: settings.OLDER_PUSH_CALLS_PER_SECOND, older=True)


def show_all(request: KnownRequest) -> Json:
    return {"applications": _json_of(Application.objects.order_by("pk"))}


def show(request: KnownRequest, name: str) -> Json:
    """By application code, or by application id if that is asked for."""
    by_id = flag_of(request, "useAppCodeAsAppId")
    application = auth.find_by_id(name) if by_id else auth.find_application(name)
    if application is None:
        raise Refusal(404, "NOT_FOUND", "Not found")
    return _json_of([application])[0]


def _json_of(applications: Iterable[Application]) -> list[Json]:
    shown = list(applications)
    enabled = set(
        ProviderCredential.objects.filter(application__in=shown, enabled=True).values_list(
            "application_id", "provider"
        )
    )
    counts: Mapping[int, int] = dict(
        Registration.objects.filter(application__in=shown)
        .values_list("application_id")
        .annotate(devices=Count("pk"))
    )
    return [
        {
            "applicationCode": each.code,
            "applicationId": each.application_id,
            "name": each.name,
            "description": each.description,
            "registrationsCount": counts.get(each.pk, 0),
            "apns": {"enabled": (each.pk, Provider.APNS) in enabled},
            "gcm": {"enabled": (each.pk, Provider.FCM) in enabled},
        }
        for each in shown
    ]


applications = endpoint(FAMILY, GET=show_all)
application = endpoint(FAMILY, GET=show)
