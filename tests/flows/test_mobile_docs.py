"""The examples of docs/mobile-api.md, typed into a shell as they stand there."""

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from api.urls import urlpatterns
from campaigns import dispatch, fanout
from devices.models import Address, Registration
from embedded.environment import ROOT
from tests.factories import make_application, make_bulk

PAGE = (ROOT / "docs/mobile-api.md").read_text()
EXAMPLE = re.compile(r"^```sh\n(.*?)^```\n\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY = "…"


def run(command: str, variables: dict[str, str]) -> Any:
    """What a shell prints, read as JSON."""
    environment = {"PATH": os.environ["PATH"], "no_proxy": "*", **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def blurred(answer: Any, documented: Any) -> Any:
    """An answer with `…` wherever the page says that any value may stand."""
    if documented == ANY:
        assert answer
        return ANY
    if isinstance(answer, dict) and isinstance(documented, dict):
        return {name: blurred(answer[name], documented.get(name)) for name in answer}
    if isinstance(answer, list) and isinstance(documented, list):
        pairs = zip(answer, documented, strict=False)
        return [*(blurred(*pair) for pair in pairs), *answer[len(documented) :]]
    return answer


@pytest.mark.django_db(transaction=True)
def test_every_example_answers_as_the_page_says(live_server: LiveServer, settings: Any) -> None:
    settings.NEW_BASE_URL = ""
    assert shutil.which("curl"), "The examples are for curl: install it."
    application = make_application()
    variables = {"BASE": live_server.url, "CODE": application.code}
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) == PAGE.count("```sh") == PAGE.count("```json")

    for command, told in examples:
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
    bulk = make_bulk(device.application, content=[{**content, "inbox_topic": "orders"}])
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
