"""The examples of docs/mobile-api.md, typed into a shell as they stand there."""

import json
import re
import shutil
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from api.openapi.mobile import MOBILE
from campaigns import dispatch, fanout
from devices.models import Address, Registration
from embedded.environment import ROOT
from tests.factories import make_application, make_bulk
from tests.flows.documented import blurred, examples_of, run

PAGE = (ROOT / "docs/mobile-api.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_every_example_answers_as_the_page_says(live_server: LiveServer, settings: Any) -> None:
    settings.NEW_BASE_URL = "https://push.example.com"
    assert shutil.which("curl"), "The examples are for curl: install it."
    application = make_application()
    variables = {"BASE": live_server.url, "CODE": application.code}

    for command, told in examples_of(PAGE):
        if "$MESSAGE" in command and "MESSAGE" not in variables:
            pytest.fail("A message is named before one was fetched.")
        if "/mobile/5/messages" in command:
            send(Registration.objects.get(application=application))
        documented = json.loads(told)
        answer = run(command, variables)
        assert blurred(answer, documented) == documented, command
        if "pushRegId" in answer:
            variables["ID"] = answer["pushRegId"]
        for payload in answer.get("payloads", ()):
            variables["MESSAGE"] = payload["gcm.notification.messageId"]

    assert not Address.objects.get().registration.person_id


def send(device: Registration) -> None:
    """A message to the device, for its person's inbox; there is no cloud to carry it."""
    content = {"language": "", "variant": 0, "title": "Hi", "text": "Order shipped"}
    bulk = make_bulk(device.application, content=[{**content, "inbox_topic": "offers"}])
    fanout.freeze(bulk)
    dispatch.work(seconds=60)


def test_every_call_of_the_api_has_an_example() -> None:
    called = set()
    for command, _ in examples_of(PAGE):
        method = re.search(r"-X (\w+)", command)
        path = re.search(r'"\$BASE([^"?]*)', command)
        assert path is not None
        usual = "POST" if " -d " in command else "GET"
        meant = re.search(r"X-HTTP-Method-Override: (\w+)", command) or method
        called.add((meant.group(1) if meant else usual, path.group(1)))

    assert len(MOBILE.calls) >= 20
    for call in MOBILE.calls:
        pattern = re.sub(r"{\w+}", "[^/]+", call.path)
        paths = [path for method, path in called if method == call.method.upper()]
        assert any(re.fullmatch(pattern, each) for each in paths), f"no example of {call}"
