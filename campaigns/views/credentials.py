"""The test of a credential: the one thing of its page that talks to a cloud."""

from concurrent.futures import TimeoutError as Timeout

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from campaigns import channels
from devices import audit
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import toast


@page(Right.EDIT_SETTINGS)
@require_POST
def credential_test(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Ask the cloud, write down what it answered, and show it."""
    credential = get_object_or_404(request.application.credentials, pk=pk)
    try:
        channels.test(credential)
    except Timeout:
        text, level = "The cloud did not answer within a minute. Test it again.", "warning"
    else:
        works = bool(credential.test_ok)
        audit.record(
            request.user,
            "test credential",
            credential,
            after={"works": works, "answer": credential.test_answer},
            request=request,
        )
        text, level = (
            ("The credential works.", "success")
            if works
            else ("The cloud refuses this credential. Its answer stands beside it.", "error")
        )
    response = render(request, "devices/_credential.html", {"credential": credential})
    return toast(response, text, level)
