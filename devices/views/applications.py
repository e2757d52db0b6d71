"""Pages of applications and their credentials."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from devices import audit, closing
from devices.apns_form import ApnsCredentialForm
from devices.forms import (
    ApplicationForm,
    ApplicationSettingsForm,
    CredentialForm,
    FcmCredentialForm,
)
from devices.frame import LAST_APPLICATION, Frame
from devices.huawei_form import HuaweiCredentialForm
from devices.models import (
    Application,
    AuditEntry,
    Environment,
    Membership,
    Provider,
    ProviderCredential,
    Role,
)
from devices.permissions import (
    ApplicationRequest,
    Right,
    applications_of,
    may_add_application,
    page,
    rights_of,
)
from devices.sms_form import SmsCredentialForm
from devices.webpush_form import WebPushCredentialForm

FORMS: dict[str, type[CredentialForm]] = {
    Provider.FCM: FcmCredentialForm,
    Provider.APNS: ApnsCredentialForm,
    Provider.HMS: HuaweiCredentialForm,
    Provider.SMS: SmsCredentialForm,
    Provider.WEBPUSH: WebPushCredentialForm,
}


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """To the first page of the application seen last; to what comes before it, without any."""
    frame = Frame(request)
    if frame.application is not None:
        return redirect("devices:application-home", frame.application.pk)
    if may_add_application(request.user):
        return redirect("devices:applications")
    return render(request, "devices/no_application.html")


@login_required
@require_GET
def application_home(request: HttpRequest, application: int) -> HttpResponse:
    """Choose an application, and go to the first of its pages that the reader may open."""
    chosen = get_object_or_404(Application, pk=application)
    if rights_of(cast("User", request.user), chosen) is None:
        raise Http404("No application of this number that you are a member of.")
    request.session[LAST_APPLICATION] = chosen.pk
    pages = Frame(request).pages
    return redirect(pages[0].url if pages else reverse("devices:applications"))


@login_required
@require_GET
def application_list(request: HttpRequest) -> HttpResponse:
    """The applications somebody may look at, each with how it can reach devices."""
    user = cast("User", request.user)
    visible = [
        application
        for application in applications_of(user)
        if Right.SEE_SETTINGS in (rights_of(user, application) or ())
    ]
    if not visible and not may_add_application(user):
        raise PermissionDenied("Your role may not do this: see settings.")
    credentials = ProviderCredential.objects.filter(application__in=visible).defer("data")
    rows = [
        (application, [each for each in credentials if each.application_id == application.pk])
        for application in visible
    ]
    context = {"rows": rows, "may_add": may_add_application(user)}
    return render(request, "devices/application_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def application_new(request: HttpRequest) -> HttpResponse:
    """Make an application; whoever makes it administers it."""
    if not may_add_application(request.user):
        raise PermissionDenied("Your role may not do this: add an application.")
    form = ApplicationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            application = form.save()
            Membership.objects.create(
                user=cast("User", request.user),
                application=application,
                role=Role.ADMINISTRATOR,
            )
            audit.record(
                request.user,
                "create application",
                application,
                after=_facts(application),
                application=application,
                request=request,
            )
        messages.success(
            request, f"{application.name} is there. Add a credential to reach devices."
        )
        return redirect("devices:application-detail", application.pk)
    return _rendered(request, "devices/application_new.html", {"form": form}, form)


@page(Right.SEE_SETTINGS)
@require_http_methods(["GET", "POST"])
def application_detail(request: ApplicationRequest) -> HttpResponse:
    """Profile, codes, credentials, sending and SDK of one application."""
    application = request.application
    may_edit = Right.EDIT_SETTINGS in request.rights
    if request.method == "POST" and not may_edit:
        raise PermissionDenied("Your role may not do this: edit settings.")
    before = _facts(application)
    form = ApplicationSettingsForm(request.POST or None, instance=application)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            application = form.save()
            _record_change(request, "change application", application, before, _facts(application))
        messages.success(request, "Settings are saved. They hold for what is sent from now on.")
        return redirect("devices:application-detail", application.pk)
    if request.method == "POST":
        application.refresh_from_db()  # the page around the form says what is kept
    if not may_edit:
        for field in form.fields.values():
            field.disabled = True
    credentials = list(application.credentials.all())
    context = {
        "application": application,
        "form": form,
        "may_edit": may_edit,
        "credentials": credentials,
        "offers": _offers(credentials),
        "token_keys": application.user_token_keys.defer("data"),
        "history": AuditEntry.objects.filter(application=application)[:8],
    }
    return _rendered(request, "devices/application_detail.html", context, form)


def _offers(credentials: list[ProviderCredential]) -> list[Provider]:
    """The clouds that can be added: Apple has two environments, everybody else one."""
    count = dict.fromkeys(FORMS, 0)
    for credential in credentials:
        if credential.provider in count:
            count[credential.provider] += 1
    most = {Provider.APNS: len(Environment)}
    return [Provider(name) for name in FORMS if count[name] < most.get(Provider(name), 1)]


@page(Right.EDIT_SETTINGS)
@require_http_methods(["GET", "POST"])
def credential_new(request: ApplicationRequest, provider: str) -> HttpResponse:
    credentials = list(request.application.credentials.filter(provider=provider))
    if provider not in FORMS:
        raise Http404("No cloud of this name.")
    if Provider(provider) not in _offers(credentials):
        messages.info(request, "This application already has that credential: change it here.")
        return redirect("devices:credential-edit", request.application.pk, credentials[0].pk)
    taken = {credential.environment for credential in credentials}
    free = next(each for each in Environment if each not in taken)
    credential = ProviderCredential(
        application=request.application, provider=provider, environment=free
    )
    return _credential_page(request, credential)


@page(Right.EDIT_SETTINGS)
@require_http_methods(["GET", "POST"])
def credential_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    return _credential_page(request, get_object_or_404(request.application.credentials, pk=pk))


def _credential_page(request: ApplicationRequest, credential: ProviderCredential) -> HttpResponse:
    if credential.provider not in FORMS:
        raise Http404("This credential cannot be changed here.")
    form = FORMS[credential.provider](
        request.POST or None, request.FILES or None, credential=credential
    )
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            _save_credential(request, credential, form)
        messages.success(request, "The credential is saved. Test it to know that it works.")
        return redirect(f"{_detail_url(request)}#credentials")
    context = {"application": request.application, "credential": credential, "form": form}
    return _rendered(request, "devices/credential_form.html", context, form)


def _save_credential(
    request: ApplicationRequest, credential: ProviderCredential, form: CredentialForm
) -> None:
    before = _credential_facts(credential) if credential.pk else None
    credential.environment = form.cleaned_data.get("environment", credential.environment)
    credential.data, credential.hint = form.kept(), form.hint()
    credential.ends_at = form.ends_at()
    credential.rate = form.cleaned_data["rate"]
    # What a cloud said of the old one says nothing of this one, and sending may go on.
    credential.tested_at, credential.test_ok, credential.test_answer = None, None, ""
    if not credential.waits_for_a_decision:
        credential.paused_at, credential.pause_reason = None, ""
    credential.version = credential.version + 1 if before else 1
    credential.save()
    action = "change credential" if before else "add credential"
    after = _credential_facts(credential)
    audit.record(request.user, action, credential, before=before, after=after, request=request)


@page(Right.EDIT_SETTINGS)
@require_POST
def credential_decide(request: ApplicationRequest, pk: int, decision: str) -> HttpResponse:
    """Close the addresses a cloud called dead, or keep them; sending goes on."""
    credential = get_object_or_404(request.application.credentials.defer("data"), pk=pk)
    if not credential.waits_for_a_decision:
        messages.info(request, "That was decided already.")
        return redirect(f"{_detail_url(request)}#credentials")
    with transaction.atomic():
        if decision == "close":
            count = closing.believe(credential.breaker)
            said = f"{count:,} devices are closed. Sending goes on."
        else:
            count = closing.disbelieve(credential.breaker)
            said = f"{count:,} devices stay open. Sending goes on."
        action = "close dead addresses" if decision == "close" else "keep dead addresses"
        audit.record(request.user, action, credential, after={"addresses": count}, request=request)
    messages.success(request, said)
    return redirect(f"{_detail_url(request)}#credentials")


@page(Right.EDIT_SETTINGS)
@require_POST
def credential_remove(request: ApplicationRequest, pk: int) -> HttpResponse:
    credential = get_object_or_404(request.application.credentials.defer("data"), pk=pk)
    with transaction.atomic():
        audit.record(
            request.user,
            "remove credential",
            credential,
            before=_credential_facts(credential),
            request=request,
        )
        credential.delete()
    messages.success(request, f"The credential for {credential.get_provider_display()} is removed.")
    return redirect(f"{_detail_url(request)}#credentials")


def _detail_url(request: ApplicationRequest) -> str:
    return reverse("devices:application-detail", args=[request.application.pk])


def _facts(application: Application) -> dict[str, Any]:
    names = (
        "name", "description", "enabled", "sdk", "android_display", "default_ttl", "rate",
        "user_data_from_apps", "secure_inbox", "cap_count", "cap_hours", "default_zone",
        "needs_approval",
    )  # fmt: skip
    facts = {name: getattr(application, name) for name in names}
    for name in ("quiet_from", "quiet_to"):
        at = getattr(application, name)
        facts[name] = f"{at:%H:%M}" if at is not None else None
    return facts


def _credential_facts(credential: ProviderCredential) -> dict[str, Any]:
    """What the trail may know: never the secret."""
    names = ("provider", "environment", "hint", "rate", "version")
    return {name: getattr(credential, name) for name in names}


def _record_change(
    request: ApplicationRequest,
    action: str,
    application: Application,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        audit.record(
            request.user,
            action,
            application,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            application=application,
            request=request,
        )


def _rendered(
    request: HttpRequest, template: str, context: dict[str, Any], form: Any
) -> HttpResponse:
    """A page with a form; 422 while what was typed cannot be kept."""
    return render(request, template, context, status=422 if form.is_bound else 200)
