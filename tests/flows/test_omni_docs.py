"""The examples of docs/omni-api.md, typed into a shell as they stand there."""

import json
import shutil

import pytest
from pytest_django.live_server_helper import LiveServer

from campaigns.store import store
from embedded.environment import ROOT
from tests.api.systems import make_key
from tests.factories import make_application, make_gateway
from tests.flows.documented import blurred, examples_of, run

PAGE = (ROOT / "docs/omni-api.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_every_example_answers_as_the_page_says(live_server: LiveServer) -> None:
    assert shutil.which("curl"), "The examples are for curl: install it."
    store().flushdb()
    make_key("key-of-the-page", scopes=["message:send"])
    application = make_application()
    make_gateway(application)
    variables = {"BASE": live_server.url, "KEY": "key-of-the-page", "APP": application.code}

    for command, told in examples_of(PAGE):
        documented = json.loads(told)
        assert blurred(run(command, variables), documented) == documented, command
