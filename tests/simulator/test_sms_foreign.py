"""Clients that nobody here wrote: Infobip's and Twilio's own. contract/providers.md 12.1, 12.2."""

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from infobip_api_client import ApiClient, Configuration, SmsApi
from infobip_api_client.exceptions import ApiException
from infobip_api_client.models.sms_delivery_result import SmsDeliveryResult
from infobip_api_client.models.sms_request import SmsRequest
from twilio.base.exceptions import TwilioRestException
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client as TwilioClient

from providers.sms import infobip as our_infobip
from providers.sms import twilio as our_twilio
from tests.simulator.posted import Receiver, receiving
from tests.simulator.running import Client, Simulator
from tests.simulator.texting import AT_ONCE, AUTH, INFOBIP, NUMBER, SID, TWILIO
from tests.waiting import eventually


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def sms(simulator: Simulator) -> Simulator:
    accounts = {
        "infobip": [{"api_key": "key-1", "senders": ["Shop"]}],
        "twilio": [{"account_sid": SID, "auth_token": AUTH, "senders": ["+15005550006"]}],
    }
    simulator.post("/credentials", accounts)
    simulator.post("/operators", AT_ONCE)
    return simulator


# ------------------------------------------------------------------- infobip-api-python-client


def infobip_api(sms: Simulator, key: str = "key-1") -> SmsApi:
    configuration: Any = Configuration(
        host=f"https://127.0.0.1:{sms.port}", api_key=key, ssl_ca_cert=sms.ca_file, retries=0
    )
    configuration.tls_server_name = INFOBIP
    configuration.assert_hostname = INFOBIP
    return SmsApi(ApiClient(configuration))


def our_body(url: str = "http://127.0.0.1:9/r", *destinations: str) -> Any:
    """A request as our provider makes it."""
    return our_infobip.body_v3(
        our_infobip.Batch(
            sender="Shop",
            text="Ваш код 1234",
            minutes=720,
            report_url=url,
            destinations=[
                our_infobip.Destination(number, str(uuid.uuid4()))
                for number in destinations or (NUMBER,)
            ],
        )
    )


def infobips(body: Any) -> SmsRequest:
    """The same as an object of their library."""
    request = SmsRequest.from_json(json.dumps(body))
    assert request is not None
    return request


def test_infobips_models_know_every_member_of_our_body() -> None:
    body = our_body()

    assert infobips(body).to_dict() == body


def test_infobips_client_reads_the_simulators_answer(sms: Simulator) -> None:
    body = our_body("http://127.0.0.1:9/r", NUMBER, "+41793026727")

    answer: Any = infobip_api(sms).send_sms_messages(infobips(body))

    taken, refused = answer.messages
    assert (taken.status.group_name.value, taken.status.id) == ("PENDING", 26)
    assert (refused.status.group_name.value, refused.status.id) == ("REJECTED", 52)
    assert taken.details.message_count == 1
    assert taken.destination == NUMBER


def test_infobips_client_sees_a_refused_key(sms: Simulator) -> None:
    with pytest.raises(ApiException) as refusal:
        infobip_api(sms, "guess").send_sms_messages(infobips(our_body()))

    assert refusal.value.status == 401
    assert "UNAUTHORIZED" in str(refusal.value.body)


@pytest.mark.parametrize("what", ["", "absent", "barred", "expired", "unknown", "stopped"])
def test_infobips_models_read_the_simulators_reports(
    sms: Simulator, receiver: Receiver, what: str
) -> None:
    sms.post("/operators", {what: 1} if what else {})
    body = our_body(f"{receiver.base_url}/r")
    infobip_api(sms).send_sms_messages(infobips(body))

    eventually(lambda: receiver.posts, "it is reported")

    told = json.loads(receiver.posts[0].body)
    read: Any = SmsDeliveryResult.from_dict(told)
    [theirs] = read.results
    [ours] = our_infobip.reports(told["results"])
    assert theirs.message_id == ours.message_id
    assert theirs.done_at == ours.at
    assert theirs.price.currency == "EUR"
    assert theirs.error.permanent in (True, False)
    final = {"DELIVERED": "delivered", "EXPIRED": "expired"}
    assert final.get(theirs.status.group_name.value, "failed") == ours.state


# ------------------------------------------------------------------- twilio


class Pointed:
    """Carries what Twilio's client asks for to the simulator, under Twilio's name."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def request(self, method: str, uri: str, **given: Any) -> Response:
        prefix = f"https://{TWILIO}"
        assert uri.startswith(prefix)
        headers = {name: value for name, value in given["headers"].items() if value}
        headers.pop("Content-Type", None)  # httpx writes it
        answer = self.client._http.request(
            method, self.client._base + uri.removeprefix(prefix),
            params=given.get("params") or None, data=given.get("data") or None,
            headers={**headers, "host": TWILIO}, auth=given["auth"],
            extensions={"sni_hostname": TWILIO},
        )  # fmt: skip
        return Response(answer.status_code, answer.text)


@pytest.fixture
def wire(sms: Simulator) -> Iterator[Pointed]:
    with sms.client(TWILIO, http2=False) as client:
        yield Pointed(client)


def test_twilios_client_reads_the_simulators_answers(wire: Pointed) -> None:
    client = TwilioClient(SID, AUTH, http_client=wire)

    message = client.messages.create(
        to=f"+{NUMBER}", from_="+15005550006", body="Ваш код 1234", validity_period=60
    )

    assert message.sid.startswith("SM")
    assert (message.status, message.num_segments, message.error_code) == ("queued", "1", None)
    assert client.api.v2010.account.balance.fetch().balance == "999.9900"


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"to": "12"}, 400, 21211),
        ({"from_": "+15005550001"}, 400, 21606),
        ({"body": "x" * 1601}, 400, 21617),
    ],
)
def test_twilios_client_sees_what_was_refused(
    wire: Pointed, given: dict[str, str], status: int, code: int
) -> None:
    client = TwilioClient(SID, AUTH, http_client=wire)
    told = {"to": f"+{NUMBER}", "from_": "+15005550006", "body": "Hi", **given}

    with pytest.raises(TwilioRestException) as refusal:
        client.messages.create(**told)

    assert (refusal.value.status, refusal.value.code) == (status, code)


def test_twilios_client_sees_a_refused_token(wire: Pointed) -> None:
    with pytest.raises(TwilioRestException) as refusal:
        TwilioClient(SID, "guess", http_client=wire).api.v2010.account.balance.fetch()

    assert (refusal.value.status, refusal.value.code) == (401, 20003)


def test_twilios_validator_believes_the_simulators_callbacks(
    sms: Simulator, wire: Pointed, receiver: Receiver
) -> None:
    sms.post("/operators", {"stopped": 1})
    TwilioClient(SID, AUTH, http_client=wire).messages.create(
        to=f"+{NUMBER}", from_="+15005550006", body="Hi",
        status_callback=f"{receiver.base_url}/r/{uuid.uuid4()}?x=1",
    )  # fmt: skip

    eventually(lambda: receiver.posts, "it called back")

    [post] = receiver.posts
    form = dict(parse_qsl(post.body.decode(), keep_blank_values=True))
    url, signed = receiver.base_url + post.path, post.headers["x-twilio-signature"]
    assert RequestValidator(AUTH).validate(url, form, signed)
    assert not RequestValidator("guess").validate(url, form, signed)
    assert our_twilio.is_signed(AUTH, url, list(form.items()), signed)


@pytest.mark.parametrize(
    "url",
    ["https://push.example/r", "https://push.example:443/r?a=b", "http://push.example:8000/r"],
)
def test_twilios_validator_believes_our_signatures_and_we_its(url: str) -> None:
    form = {"To": "+41793026727", "Body": "Ваш код & más", "ErrorCode": ""}
    validator = RequestValidator(AUTH)

    assert validator.validate(url, form, our_twilio.signature(AUTH, url, list(form.items())))
    assert our_twilio.is_signed(
        AUTH, url, list(form.items()), validator.compute_signature(url, form)
    )
