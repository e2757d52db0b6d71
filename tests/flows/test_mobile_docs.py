"""The examples of docs/mobile-api.md, typed into a shell as they stand there."""

import json
import re
import shutil
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from api.urls import urlpatterns
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


def test_every_path_of_the_api_has_an_example() -> None:
    called = re.findall(r'"\$BASE(/mobile/[^"?]*)', PAGE)
    patterns = [
        str(pattern.pattern)
        for pattern in urlpatterns
        if str(pattern.pattern).startswith("mobile/")
    ]
    assert len(patterns) >= 17

    for pattern in patterns:
        path = re.sub(r"<\w+:\w+>", "[^/]+", f"/{pattern}")
        assert any(re.fullmatch(path, each) for each in called), f"no example of {pattern}"
