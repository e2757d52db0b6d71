"""The examples of the pages about devices and people, typed into a shell against the demo itself.

The demo is started by its own command, with servers, workers and simulated clouds of its own.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from embedded.environment import ROOT
from tests.flows.documented import blurred, examples_of, run
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)  # seconds; a demo starts in half a minute, or in a few

OF_THE_TESTS = {
    "ALLOWED_HOSTS", "BROKER_URL", "DATABASE_URL", "DJANGO_ALLOW_ASYNC_UNSAFE", "FIELD_KEYS",
    "GATEWAYS", "GATEWAYS_CA_FILE", "HASHED_STATIC_FILES", "PUBLIC_BASE_URL", "SECRET_KEY",
    "STATIC_ROOT", "STORE_URL",
}  # fmt: skip
DOCUMENTED_TOKEN = "cK3x9pQ:APA91b-example"
# The cloud takes what is sent to this one, and no phone says that it arrived.
SILENT_TOKEN = f"fate-silent-17:APA91b{'e' * 134}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What demo.json of a running demo says."""
    assert shutil.which("curl"), "The examples are for curl: install it."
    home = tmp_path_factory.mktemp("demo")
    kept = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
    log = home / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "demo"],
            env={**kept, "PUSHADMIN_HOME": str(home), "PUSHADMIN_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        eventually(
            lambda: process.poll() is not None or "Ctrl-C stops" in log.read_text(),
            seconds=300, what="the demo says that it is ready",
        )  # fmt: skip
        assert process.poll() is None, log.read_text()
        yield json.loads((home / "demo.json").read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


@pytest.fixture
def variables(demo: dict[str, Any]) -> Iterator[dict[str, str]]:
    """What the examples expect of their shell; the person they speak of is forgotten after."""
    yield {
        "BASE": demo["base_url"],
        "KEY": demo["api"]["key"],
        "CODE": demo["applications"][0]["application_code"],
        "APP": demo["applications"][0]["application_id"],
    }
    httpx.delete(
        f"{demo['base_url']}/people/2/persons?identifier=jdoe&type=EXTERNAL_ID",
        headers={"Authorization": f"App {demo['api']['key']}"}, trust_env=False,
    ).raise_for_status()  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_the_people_api_answers_as_its_page_says(variables: dict[str, str]) -> None:
    variables["ID"] = registered(variables, deviceModel="ANE-LX1", language="en")

    for command, told in examples_of(page("people-api.md")):
        documented = json.loads(told)
        assert blurred(run(command, variables), documented) == documented, command


def test_the_mobile_api_answers_as_its_page_says(variables: dict[str, str]) -> None:
    for command, told in examples_of(page("mobile-api.md").replace(DOCUMENTED_TOKEN, SILENT_TOKEN)):
        if "/mobile/5/messages" in command:
            send(variables)
        documented = json.loads(told)
        answer = run(command, variables)
        assert blurred(answer, documented) == documented, command
        if "pushRegId" in answer:
            variables["ID"] = answer["pushRegId"]
        for payload in answer.get("payloads", ()):
            variables["MESSAGE"] = payload["gcm.notification.messageId"]


def registered(variables: dict[str, str], **said: str) -> str:
    """The id of a new device, which comes as apps come."""
    code = f"App {variables['CODE']}"
    return str(
        asked(variables, "/mobile/1/appinstance", code, {"os": "Android", **said})["pushRegId"]
    )


def send(variables: dict[str, str]) -> None:
    """A message to the device, for its person's inbox; it is there when the app can fetch it."""
    message = {
        "sender": variables["APP"],
        "destinations": [{"type": "REGISTRATION", "pushRegistrationId": variables["ID"]}],
        "content": {"type": "TEXT", "title": "Hi", "text": "Order shipped"},
        "options": {"inboxTopic": "offers"},
    }
    asked(variables, "/push/3/messages", f"App {variables['KEY']}", {"messages": [message]})
    sync, code = "/mobile/5/messages?platformType=GCM", f"App {variables['CODE']}"
    eventually(
        lambda: asked(variables, sync, code, {}, pushregistrationid=variables["ID"])["payloads"],
        seconds=120, what="the message can be fetched",
    )  # fmt: skip


def asked(
    variables: dict[str, str], path: str, caller: str, body: dict[str, Any], **headers: str
) -> Any:
    answer = httpx.post(
        f"{variables['BASE']}{path}",
        headers={"Authorization": caller, **headers}, json=body, timeout=60, trust_env=False,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.json()
