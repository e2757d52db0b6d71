"""The programs of docs/webhooks.md, run as they stand there by who is told."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from api.infobip import webhooks
from campaigns import deliveries, signing
from campaigns.deliveries import RETRIES, wait_before
from campaigns.store import store
from embedded.environment import ROOT
from tests.api.sending import carry_out, receive
from tests.factories import make_application, make_bulk, make_registration, make_user, make_webhook
from tests.receiver import Answer, Received, receiving

PAGE = (ROOT / "docs/webhooks.md").read_text()
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Take = Callable[[dict[str, str], bytes, str, set[str]], int]


def program() -> Take:
    names: dict[str, Any] = {}
    exec("\n".join(PROGRAM.findall(PAGE)), names)  # noqa: S102
    taken: Take = names["take"]
    return taken


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_is_written_by_the_page_takes_what_is_ours_alone(settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    store().flushdb()
    application, seen, take = make_application(), set[str](), program()
    secret = signing.make_secret(make_user(), application)

    def answer(got: Received) -> Answer:
        return take(got.headers, got.body, secret, seen), {}, b""

    with receiving() as receiver:
        receiver.answer = answer
        make_webhook(application, receiver.url)
        make_registration(application)
        make_bulk(application)
        receive(application, *carry_out())
        assert deliveries.work(webhooks.write_up, seconds=30) == 1
    [got] = receiver.received

    assert seen == {got.headers["webhook-id"]}
    assert take(got.headers, got.body, secret, seen) == 204, "once more"
    assert take(got.headers, got.body + b" ", secret, seen) == 401
    assert take({**got.headers, "webhook-id": "x"}, got.body, secret, seen) == 401
    assert take(got.headers, got.body, signing.make_secret(make_user(), application), seen) == 401
    with time_machine.travel(time.time() + 301):
        assert take(got.headers, got.body, secret, seen) == 401, "an old one, played again"
    documented = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    posted = json.loads(got.body)
    assert set(documented["results"][0]) - {"callbackData"} == set(posted["results"][0])


def test_the_page_says_when_it_is_tried_again() -> None:
    minutes = [int(wait_before(retry).total_seconds() / 60) for retry in range(RETRIES)]

    assert f"({', '.join(map(str, minutes[:4]))}, … {minutes[-1]} minutes)" in PAGE
