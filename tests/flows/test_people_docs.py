"""The examples of docs/people-api.md, typed into a shell as they stand there."""

import json
import re
import shutil

import pytest
from pytest_django.live_server_helper import LiveServer

from embedded.environment import ROOT
from tests.api.systems import make_key
from tests.factories import make_application, make_registration
from tests.flows.documented import blurred, examples_of, run

PAGE = (ROOT / "docs/people-api.md").read_text()
CONTACT = "/people/2/contactInformation/push/$ID"
CALLS = {
    ("GET", CONTACT), ("PATCH", CONTACT),
    ("POST", f"{CONTACT}/personalize"), ("POST", f"{CONTACT}/depersonalize"),
    *((method, "/people/2/persons") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
}  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_every_example_answers_as_the_page_says(live_server: LiveServer) -> None:
    assert shutil.which("curl"), "The examples are for curl: install it."
    make_key("key-of-the-page")
    device = make_registration(make_application(), model="ANE-LX1", language="en")
    variables = {
        "BASE": live_server.url,
        "KEY": "key-of-the-page",
        "CODE": device.application.code,
        "ID": str(device.address.public_id),
    }

    for command, told in examples_of(PAGE):
        documented = json.loads(told)
        assert blurred(run(command, variables), documented) == documented, command


def test_every_call_of_the_api_has_an_example() -> None:
    called = set()
    for command, _ in examples_of(PAGE):
        method = re.search(r"-X (\w+)", command)
        path = re.search(r'"\$BASE([^"?]*)', command)
        assert path is not None
        usual = "POST" if " -d " in command else "GET"
        called.add((method.group(1) if method else usual, path.group(1)))

    assert called == CALLS
