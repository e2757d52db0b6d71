"""The examples of docs/insider-api.md, typed into a shell as they stand there."""

import json
import shutil

import pytest
from pytest_django.live_server_helper import LiveServer

from api.insider.sending import Reason
from campaigns.store import store
from devices.models import Platform
from embedded.environment import ROOT
from tests.api.insider import KEY, MESSAGES, SEND, STATISTICS, connect, make_insider_key
from tests.factories import make_application, make_person, make_registration
from tests.flows.documented import blurred, examples_of, run

PAGE = (ROOT / "docs/insider-api.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_every_example_answers_as_the_page_says(live_server: LiveServer) -> None:
    assert shutil.which("curl"), "The examples are for curl: install it."
    store().flushdb()
    make_insider_key()
    application = make_application()
    connect(application, Platform.ANDROID)
    make_registration(application, person=make_person(email="anna@example.com"))
    variables = {"BASE": live_server.url, "KEY": KEY}

    for command, told in examples_of(PAGE):
        documented = json.loads(told)
        assert blurred(run(command, variables), documented) == documented, command


def test_every_call_and_every_reason_stands_on_the_page() -> None:
    for each in (SEND, STATISTICS, MESSAGES, *Reason):
        assert each in PAGE
