"""Pages of webhooks: campaigns.views.webhooks."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from api.infobip import webhooks
from campaigns import deliveries, outbox, signing
from campaigns.deliveries import Draft
from campaigns.models import (
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookNote,
    WebhookTarget,
)
from devices.models import Application, AuditEntry, Role
from providers.posting import Posted
from tests.factories import make_application, make_webhook, signed_in

pytestmark = pytest.mark.django_db
GIVEN_UP = WebhookDelivery.State.GIVEN_UP


@pytest.fixture
def shop() -> Application:
    return make_application()


def url(name: str, application: Application, *more: object) -> str:
    return reverse(f"campaigns:{name}", args=[application.pk, *more])


def make_delivery(
    application: Application, address: str = "https://crm.example/hook", **given: Any
) -> WebhookDelivery:
    results = [{"messageId": "m-1", "to": "+4915112345678"}]
    [made] = deliveries.write([Draft(application.pk, address, WebhookEvent.ENDED, results)])
    WebhookDelivery.objects.filter(pk=made.pk).update(**given)
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("role", [Role.MARKETER, Role.SUPPORT, Role.ANALYST, Role.APPROVER])
def test_pages_are_for_those_who_see_settings(shop: Application, role: Role) -> None:
    delivery, client = make_delivery(shop), signed_in(shop, role)

    for name, place in (("webhooks", []), ("webhook-log", []), ("webhook-delivery", [delivery.pk])):
        assert client.get(url(name, shop, *place)).status_code == 403
    assert (
        signed_in(make_application(), Role.ADMINISTRATOR).get(url("webhooks", shop)).status_code
        == 404
    )


def test_developers_look_and_administrators_act(shop: Application) -> None:
    webhook, delivery = make_webhook(shop), make_delivery(shop, state=GIVEN_UP)
    developer = signed_in(shop, Role.DEVELOPER)

    page = developer.get(url("webhooks", shop)).content.decode()

    assert "shop.example" in page
    assert "Send test" not in page
    for name, place in (
        ("webhook-new", []),
        ("webhook-secret", []),
        ("webhook", [webhook.pk]),
        ("webhook-switch", [webhook.pk]),
        ("webhook-remove", [webhook.pk]),
        ("webhook-test", [webhook.pk]),
        ("webhook-replay", [delivery.pk]),
        ("webhook-replay-all", []),
    ):
        assert developer.post(url(name, shop, *place)).status_code == 403
    assert Webhook.objects.filter(enabled=True).count() == 1


def test_what_belongs_to_another_application_is_not_there(shop: Application) -> None:
    other = make_application()
    webhook, delivery, client = (
        make_webhook(other),
        make_delivery(other),
        signed_in(shop, Role.ADMINISTRATOR),
    )

    assert client.get(url("webhook", shop, webhook.pk)).status_code == 404
    assert client.get(url("webhook-delivery", shop, delivery.pk)).status_code == 404
    for name in ("webhook-switch", "webhook-remove", "webhook-test"):
        assert client.post(url(name, shop, webhook.pk)).status_code == 404
    assert client.post(url("webhook-replay", shop, delivery.pk)).status_code == 404
    assert "crm.example" not in client.get(url("webhook-log", shop)).content.decode()


def test_a_webhook_is_added_changed_switched_off_and_removed(shop: Application) -> None:
    client = signed_in(shop, Role.ADMINISTRATOR)
    outbox.wanted(shop.pk)

    client.post(url("webhook-new", shop), {"url": "https://a.example/h?key=k", "events": [1, 4]})

    webhook = Webhook.objects.get()
    assert (webhook.application, webhook.url, webhook.events) == (
        shop,
        "https://a.example/h?key=k",
        5,
    )
    assert outbox.wanted(shop.pk) == 5, "this process knows at once"
    assert "key=k" not in client.get(url("webhooks", shop)).content.decode()
    client.post(url("webhook", shop, webhook.pk), {"url": "https://b.example/", "events": [16]})
    client.post(url("webhook-switch", shop, webhook.pk), {"enabled": "0"})
    webhook.refresh_from_db()
    assert (webhook.url, webhook.events, webhook.enabled) == ("https://b.example/", 16, False)
    assert outbox.wanted(shop.pk) == 0
    client.post(url("webhook-remove", shop, webhook.pk))
    assert not Webhook.objects.exists()
    entries = AuditEntry.objects.filter(action__contains="webhook").order_by("pk")
    assert [each.action for each in entries] == [
        "add webhook", "change webhook", "change webhook", "remove webhook",
    ]  # fmt: skip
    assert not any("key=k" in str([each.before, each.after]) for each in entries)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"url": "crm.example", "events": [1]}, "Write a whole address"),
        ({"url": "ftp://crm.example/", "events": [1]}, "Write a whole address"),
        ({"url": "https://crm.exa mple/", "events": [1]}, "Write a whole address"),
        ({"url": "https://[::1/", "events": [1]}, "Write a whole address"),
        ({"url": "https://a:99999/", "events": [1]}, "Write a whole address"),
        ({"url": "http://10.1.2.3/", "events": [1]}, "inside our own network"),
        ({"url": "http://[::1]/", "events": [1]}, "inside our own network"),
        ({"url": "https://shop.example/hook", "events": [1]}, "has a webhook already"),
        ({"url": "https://crm.example/", "events": []}, "Choose at least one"),
        ({"url": "https://crm.example/", "events": [64]}, "Select a valid choice"),
        ({"url": "https://crm.example/\0", "events": [1]}, "Null characters are not allowed"),
        ({"url": "https://crm.example/" + "x" * 2000, "events": [1]}, "at most 2000 characters"),
    ],
)
def test_what_cannot_be_a_webhook_says_why(
    shop: Application, typed: dict[str, Any], says: str
) -> None:
    make_webhook(shop)

    answer = signed_in(shop, Role.ADMINISTRATOR).post(url("webhook-new", shop), typed)

    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert Webhook.objects.count() == 1


def test_a_network_that_is_allowed_can_be_typed(shop: Application, settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = ["10.0.0.0/8"]

    signed_in(shop, Role.ADMINISTRATOR).post(
        url("webhook-new", shop), {"url": "http://10.1.2.3/", "events": [1]}
    )

    assert Webhook.objects.count() == 1


def test_a_secret_is_shown_once(shop: Application) -> None:
    client = signed_in(shop, Role.ADMINISTRATOR)

    answer = client.post(url("webhook-secret", shop))

    [secret] = set(re.findall(r"whsec_[A-Za-z0-9+/]{43}=", answer.content.decode()))
    assert "no-store" in answer["Cache-Control"]
    assert secret not in client.get(url("webhooks", shop)).content.decode()
    assert client.get(url("webhook-secret", shop)).status_code == 405
    assert signing.secrets_of(shop.pk, timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM campaigns_webhooksecret")
        [(stored,)] = cursor.fetchall()
    assert secret.removeprefix("whsec_").encode() not in bytes(stored)
    again = client.post(url("webhook-secret", shop)).content.decode()
    assert secret not in again
    assert "The old secret signs until" in again


def test_a_test_is_sent_to_its_webhook_alone(shop: Application) -> None:
    webhook, _ = make_webhook(shop, events=16), make_webhook(shop, "https://other.example/")
    client = signed_in(shop, Role.ADMINISTRATOR)

    answer = client.post(url("webhook-test", shop, webhook.pk))

    page = client.get(answer["Location"]).content.decode()
    assert "The test is on its way" in page
    assert WebhookNote.objects.count() == 1
    webhooks.write_up()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.url, delivery.event) == (webhook.url, WebhookEvent.TEST)
    assert "The test is on its way" in client.get(answer["Location"]).content.decode()
    deliveries.record(delivery, Posted(status=204, seconds=0.0421), timezone.now())
    page = client.get(answer["Location"]).content.decode()
    assert "The test is on its way" not in page
    assert "42 ms" in page


def test_the_list_says_how_an_address_answers(shop: Application) -> None:
    make_webhook(shop, "https://crm.example/hook?a=1")
    client = signed_in(shop, Role.ADMINISTRATOR)
    assert "Not tested" in client.get(url("webhooks", shop)).content.decode()
    delivery = make_delivery(shop, "https://crm.example/hook")
    deliveries.record(delivery, Posted(status=200), timezone.now())
    assert "Works" in client.get(url("webhooks", shop)).content.decode()
    for _ in range(5):
        deliveries.record(make_delivery(shop), Posted(status=503), timezone.now())

    page = client.get(url("webhooks", shop)).content.decode()

    assert "Paused" in page
    assert "is paused" in page
    assert "last: answered 503" in page


def test_the_log_finds_deliveries(shop: Application) -> None:
    taken = make_delivery(shop, "https://a.example/one", state=1, due_at=None)
    lost = make_delivery(shop, "https://b.example/two", state=2, due_at=None, event=4)
    client = signed_in(shop, Role.DEVELOPER)

    def found(query: str) -> set[str]:
        page = client.get(f"{url('webhook-log', shop)}?{query}").content.decode()
        return {host for host in ("a.example", "b.example") if f"//{host}" in page}

    assert found("") == {"a.example", "b.example"}
    assert found("state=taken") == {"a.example"}
    assert found("state=given-up") == {"b.example"}
    assert found("state=waiting") == set()
    assert found("event=4") == {"b.example"}
    assert found("q=EXAMPLE/one") == {"a.example"}
    assert found(f"q={lost.public_id}") == {"b.example"}
    assert found("q=%00") == {"a.example", "b.example"}
    assert found("state=x&event=x&after=x") == {"a.example", "b.example"}
    assert taken.pk < lost.pk


def test_a_delivery_shows_each_try_and_no_secret(shop: Application) -> None:
    delivery = make_delivery(shop, "https://u:pass@crm.example/hook?key=k")
    for status in (500, 204):
        deliveries.record(delivery, Posted(status=status, answer="<b>no</b>"), timezone.now())

    page = (
        signed_in(shop, Role.ADMINISTRATOR)
        .get(url("webhook-delivery", shop, delivery.pk))
        .content.decode()
    )

    assert "https://crm.example/hook?…" in page
    assert "pass" not in page.replace("password", "")
    assert "key=k" not in page
    assert "4915112345678" not in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert page.index("<code>204</code>") < page.index("<code>500</code>"), "newest first"


def test_one_or_all_that_failed_are_replayed(shop: Application) -> None:
    one, two, three = (make_delivery(shop, state=GIVEN_UP, due_at=None) for _ in range(3))
    client = signed_in(shop, Role.ADMINISTRATOR)
    assert "3 deliveries were given up" in client.get(url("webhooks", shop)).content.decode()

    assert "Replay 3 deliveries" in client.get(url("webhook-log", shop)).content.decode()

    client.post(url("webhook-replay", shop, one.pk))
    assert set(WebhookDelivery.objects.filter(state=GIVEN_UP)) == {two, three}
    answer = client.post(url("webhook-replay-all", shop), follow=True)

    assert "2 deliveries are posted again." in answer.content.decode()
    assert "replay-all" not in answer.content.decode(), "none is left"
    assert WebhookDelivery.objects.filter(state=0, due_at__isnull=False).count() == 3


def test_a_long_log_asks_as_often_as_a_short_one(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop, Role.ADMINISTRATOR)
    for number in range(30):
        made = make_delivery(shop, f"https://a.example/{number}")
        deliveries.record(made, Posted(status=500), timezone.now() - timedelta(days=1))
    assert WebhookTarget.objects.count() == 30
    client.get(url("webhook-log", shop))

    with django_assert_num_queries(10):
        client.get(url("webhook-log", shop))
