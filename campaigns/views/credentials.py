"""The test of a credential: the one thing of its page that talks to a cloud."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from campaigns import channels
from devices import audit
from devices.permissions import ApplicationRequest, Right, page
from providers.base import Verdict
from pushadmin.web import toast


@page(Right.EDIT_SETTINGS)
@require_POST
def credential_test(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Ask the cloud, write down what it answered, and show it."""
    credential = get_object_or_404(request.application.credentials.defer("data"), pk=pk)
    outcome = channels.test(credential)
    audit.record(
        request.user,
        "test credential",
        credential,
        after={"works": credential.test_ok, "answer": credential.test_answer},
        request=request,
    )
    if credential.test_ok:
        text, level = "The credential works.", "success"
    elif outcome.verdict is Verdict.MISCONFIGURED:
        text, level = "The cloud refuses this credential. Its answer stands beside it.", "error"
    else:
        text, level = "The cloud did not say whether it works. Test it again.", "warning"
    response = render(request, "devices/_credential.html", {"credential": credential})
    return toast(response, text, level)
