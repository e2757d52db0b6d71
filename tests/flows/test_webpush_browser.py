"""A visitor's browser: our scripts on a shop's site, a campaign, a push, what is reported.

Real: Chromium, the service worker, its push event, the calls to us, the campaign, the simulated
push service. A headless Chromium has no push service of its own, and no desktop that shows
notifications or the numbers on an app's icon. So the site's pages subscribe at the simulated one,
what that one has decrypted is handed to the browser by its debugger, and the site's worker takes
down what it would show.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, CDPSession, Page
from pytest_django.live_server_helper import LiveServer

from campaigns import dispatch, fanout, reports
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices import subscriptions
from devices.models import Address, Application, Platform, Provider, Registration
from tests.factories import make_application, make_bulk, make_credential, vapid_key
from tests.flows.processes import Gateways
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.browser,
    pytest.mark.timeout(180),
]

PAGE = """<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script src="{url}/static/sdk/pushadmin.js" data-application="{code}"
        data-worker="/pushadmin-worker.js"></script><h1>Shop</h1></html>"""
# Browsers stop workers whenever they like, so what the test wants to know is kept in a cache.
WORKER = """
const desk = () => caches.open("desk");
ServiceWorkerRegistration.prototype.showNotification = async (title, options) => {{
  const kept = await desk(), {{ length }} = await kept.keys();
  await kept.put(`/${{1000 + length}}`, new Response(JSON.stringify({{ title, ...options }})));
}};
const show = async (number) => {{
  await (await caches.open("app badge")).put("/number", new Response(String(number)));
}};
self.WorkerNavigator.prototype.setAppBadge = show;
self.WorkerNavigator.prototype.clearAppBadge = () => show(0);
const online = self.fetch;
self.fetch = async (...given) => {{
  if (await caches.has("offline")) throw new TypeError("offline");
  return online(...given);
}};
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
// A touch, or news of the browser: an event that a script makes can neither wait nor open windows.
self.addEventListener("message", (message) => message.waitUntil((async () => {{
  const {{ kind, data, action, address }} = message.data, opened = [], waits = [];
  self.Clients.prototype.openWindow = async (found) => {{ opened.push(found); return null; }};
  self.WindowClient.prototype.focus = async function () {{ opened.push("focus"); return this; }};
  const event = new Event(kind);
  Object.assign(event, {{ action, notification: {{ data, close: () => {{}} }} }});
  Object.assign(event, {{ newSubscription: {{ toJSON: () => address }} }});
  event.waitUntil = (wait) => waits.push(wait);
  self.dispatchEvent(event);
  await Promise.all(waits);
  message.ports[0].postMessage(opened);
}})()));
self.pushadmin = {{
  url: "{url}", application: "{code}", icon: "/icon.png",
  categories: {{ review: [{{ action: "rate", title: "Rate it", url: "/rate" }}] }},
}};
importScripts("{url}/static/sdk/pushadmin-worker.js");
"""
# What pages of a browser with a push service would find.
PUSH_SERVICE = """(told) => {
  const key = Uint8Array.from(atob(told.key.replaceAll("-", "+").replaceAll("_", "/")),
    (one) => one.charCodeAt(0)).buffer;
  const subscription = {
    options: { applicationServerKey: key },
    toJSON: () => told.subscription,
    unsubscribe: async () => { sessionStorage.clear(); return true; },
  };
  Object.defineProperty(Notification, "permission", { get: () => "granted" });
  Notification.requestPermission = async () => "granted";
  PushManager.prototype.getSubscription = async () =>
    sessionStorage.getItem("subscribed") ? subscription : null;
  PushManager.prototype.subscribe = async (options) => {
    if (!options.userVisibleOnly || options.applicationServerKey !== told.key)
      throw new Error("not the key of the shop");
    sessionStorage.setItem("subscribed", "yes");
    return subscription;
  };
}"""
SHOWN = """async () => {
  const desk = await caches.open("desk"), keys = await desk.keys();
  const found = keys.map(async (key) => [key.url, await (await desk.match(key)).json()]);
  return (await Promise.all(found)).sort().map(([, one]) => one);
}"""
KEPT = """async () => {
  const names = (await caches.keys()).filter((one) => one.startsWith("pushadmin"));
  const keys = names.map(async (one) => (await caches.open(one)).keys());
  return (await Promise.all(keys)).flat().filter((one) => one.url.includes("/receipts/")).length;
}"""
HAPPENS = """async (told) => {
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((done) => { port1.onmessage = ({ data }) => done(data); });
  active.postMessage(told, [port2]);
  return answer;
}"""


@dataclass
class Site:
    """A shop's own web server."""

    url: str
    files: dict[str, tuple[str, str]] = field(default_factory=dict)


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = found.files.get(self.path, ("", ""))
            self.send_response(200 if kind else 404)
            self.send_header("content-type", kind or "text/plain")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


class Visitor:
    """A browser on the site, with the debugger's hand on its service worker."""

    def __init__(self, browsing: BrowserContext, site: Site, subscription: Any) -> None:
        self.page: Page = browsing.new_page()
        told = {"key": vapid_key()["public_key"], "subscription": subscription}
        self.page.add_init_script(f"({PUSH_SERVICE})({json.dumps(told)})")
        self._site = site
        self._debugger: CDPSession = browsing.new_cdp_session(self.page)
        self._registrations: list[str] = []
        self._debugger.on("ServiceWorker.workerRegistrationUpdated", self._registered)
        self._debugger.send("ServiceWorker.enable")
        self.page.goto(f"{site.url}/")

    def _registered(self, event: Any) -> None:
        self._registrations += [one["registrationId"] for one in event["registrations"]]

    def subscribe(self, **said: Any) -> str:
        given: str = self.page.evaluate("(said) => pushadmin.subscribe(said)", said)
        return given

    def push(self, data: str) -> None:
        """What the browser's own push service would do."""
        event = {"origin": self._site.url, "registrationId": self._registrations[-1], "data": data}
        before = len(self.shown)
        self._debugger.send("ServiceWorker.deliverPushMessage", event)
        eventually(lambda: len(self.shown) > before, seconds=30, what="the worker showed it")

    @property
    def shown(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate(SHOWN)
        return found

    def happens(self, kind: str, **told: Any) -> list[str]:
        """An event of the worker; which addresses were opened by it."""
        opened: list[str] = self.page.evaluate(HAPPENS, {"kind": kind, **told})
        return opened

    def touch(self, kind: str, place: int = 0, action: str = "") -> list[str]:
        return self.happens(kind, data=self.shown[place]["data"], action=action)

    def app_badge(self) -> int:
        number = "caches.match('/number').then(async (one) => Number(await one.text()))"
        return int(self.page.evaluate(number))

    @property
    def language(self) -> str:
        return str(self.page.evaluate("navigator.language"))

    def kept_receipts(self) -> int:
        """Those that the worker has not got rid of yet."""
        counted: int = self.page.evaluate(KEPT)
        return counted


@pytest.fixture
def shop(live_server: LiveServer, site: Site) -> Application:
    application = make_application(name="Shop")
    make_credential(application, Provider.WEBPUSH)
    filled = {"url": live_server.url, "code": application.code}
    site.files = {
        "/": ("text/html", PAGE.format(**filled)),
        "/pushadmin-worker.js": ("text/javascript", WORKER.format(**filled)),
    }
    store().flushdb()
    return application


@pytest.fixture
def visitor(browsing: BrowserContext, gateways: Gateways, shop: Application, site: Site) -> Visitor:
    asked = {"server_key": vapid_key()["public_key"], "names": ["anna"]}
    [subscription] = gateways.ask("POST", "/browsers", asked)["subscriptions"]
    return Visitor(browsing, site, subscription)


def send(shop: Application, gateways: Gateways, **content: Any) -> tuple[Bulk, str]:
    """A campaign to everybody; with what the push service decrypted for the last one."""
    said = {"language": "", "variant": 0, "title": "Sale", "text": "Today only", **content}
    bulk = make_bulk(shop, content=[said])
    assert fanout.freeze(bulk) == 1
    dispatch.work(seconds=30)
    return bulk, json.dumps(gateways.messages()[-1]["payload"])


def state_of(bulk: Bulk) -> Message.State:
    reports.consume(seconds=0.05)
    return Message.State(Message.objects.of_bulk(bulk).get().state)


def test_a_visitor_subscribes_and_is_reached(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    assert visitor.page.evaluate("pushadmin.state()") == "possible"

    registration = visitor.subscribe(customAttributes={"plan": "gold"})

    assert visitor.page.evaluate("pushadmin.state()") == "subscribed"
    address = Address.objects.get(public_id=registration)
    device = address.registration
    assert (device.platform, device.attributes) == (Platform.WEB, {"plan": "gold"})
    assert (device.language, device.model) == (visitor.language, "Chrome")
    assert device.timezone_offset == -visitor.page.evaluate("new Date().getTimezoneOffset()")

    bulk, push = send(shop, gateways, browser_url="https://shop.example/sale", badge=2)
    assert state_of(bulk) is Message.State.ACCEPTED
    visitor.push(push)

    [seen] = visitor.shown
    message = Message.objects.of_bulk(bulk).get()
    assert seen == {
        "title": "Sale",
        "body": "Today only",
        "icon": "/icon.png",
        "tag": str(message.pk),
        "actions": [],
        "data": {"messageId": str(message.pk), "url": "https://shop.example/sale", "badge": 2},
    }
    eventually(
        lambda: state_of(bulk) is Message.State.DELIVERED, seconds=30, what="delivery was reported"
    )

    assert visitor.app_badge() == 2
    assert visitor.touch("notificationclick") == ["https://shop.example/sale"]
    eventually(
        lambda: state_of(bulk) is Message.State.CLICKED, seconds=30, what="the click was reported"
    )
    assert visitor.kept_receipts() == 0


def test_what_is_wiped_away_was_seen(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    visitor.subscribe()
    bulk, push = send(shop, gateways)
    visitor.push(push)

    assert visitor.touch("notificationclose") == []

    eventually(lambda: state_of(bulk) is Message.State.SEEN, seconds=30, what="it was reported")


def test_a_touch_leads_where_a_browser_can_go(
    gateways: Gateways, shop: Application, visitor: Visitor, site: Site
) -> None:
    visitor.subscribe()
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"browser_url": "https://shop.example/sale"}, "", "https://shop.example/sale"),
        ({"browser_url": "/sale?x=1"}, "", f"{site.url}/sale?x=1"),
        ({"category": "review", "browser_url": "/sale"}, "rate", f"{site.url}/rate"),
        ({"category": "review", "browser_url": "/sale"}, "", f"{site.url}/sale"),
        # To the site, which is open already:
        ({}, "", "focus"),
        ({"deep_link": "shop://sale"}, "", "focus"),
        ({"browser_url": "javascript:alert(1)"}, "", "focus"),
    ]
    for place, (content, action, opened) in enumerate(cases):
        visitor.push(send(shop, gateways, **content)[1])
        assert visitor.touch("notificationclick", place, action) == [opened], content
    assert visitor.shown[2]["actions"] == [{"action": "rate", "title": "Rate it"}]


def test_a_page_that_is_open_learns_what_was_touched(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    visitor.subscribe()
    visitor.page.evaluate(
        "() => { navigator.serviceWorker.onmessage = ({ data }) => { window.told = data; }; }"
    )
    visitor.push(send(shop, gateways, custom_payload={"order": 7})[1])

    visitor.touch("notificationclick", action="mm_accept")

    visitor.page.wait_for_function("window.told")
    told = visitor.page.evaluate("window.told.pushadmin")
    assert (told["action"], told["data"]["customPayload"]) == ("mm_accept", {"order": 7})


def test_without_a_network_receipts_wait_for_the_next_one(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    visitor.subscribe()
    bulk, push = send(shop, gateways)
    visitor.page.evaluate("() => caches.open('offline').then(() => null)")
    visitor.push(push)
    visitor.touch("notificationclick")
    assert visitor.kept_receipts() == 2
    assert state_of(bulk) is Message.State.ACCEPTED

    visitor.page.evaluate("() => caches.delete('offline')")
    before = timezone.now()
    later, push = send(shop, gateways)
    visitor.push(push)

    eventually(
        lambda: state_of(later) is Message.State.DELIVERED and visitor.kept_receipts() == 0,
        seconds=30,
        what="everything was reported",
    )
    assert state_of(bulk) is Message.State.CLICKED
    first = Message.objects.of_bulk(bulk).get()
    assert first.delivered_at is not None
    assert first.delivered_at < before  # when it came, not when it was told


def test_whatever_comes_is_shown_because_browsers_punish_silence(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    visitor.subscribe()
    strange = ["", "not JSON", "[]", "7", "{}", '{"data":null}', '{"body":"x"}', '{"title":""}']

    for data in strange:
        visitor.push(data)

    assert [seen["title"] for seen in visitor.shown] == ["127.0.0.1"] * len(strange)
    assert visitor.kept_receipts() == 0


def test_what_we_send_is_what_browsers_take(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    """Chromium throws on options that contradict each other; a page's constructor tells."""
    visitor.subscribe()
    combinations: list[dict[str, Any]] = [
        {"sound": "", "vibrate": False, "collapse_key": "k"},
        {"vibrate": False, "image_url": "https://cdn.example/x.png"},
        {"collapse_key": "k", "badge": 0},
    ]
    for content in combinations:
        visitor.push(send(shop, gateways, **content)[1])

    assert visitor.app_badge() == 0
    for seen in visitor.shown:
        del seen["actions"]  # only a worker's notifications have buttons
        made = "({title, ...options}) => new Notification(title, options).title"
        assert visitor.page.evaluate(made, seen) == "Sale"
    contradicting = "() => { new Notification('x', {renotify: true}) }"
    with pytest.raises(Exception, match="renotify"):
        visitor.page.evaluate(contradicting)


def test_a_browser_whose_service_gave_it_a_new_address_says_so(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    registration = visitor.subscribe()
    asked = {"server_key": vapid_key()["public_key"], "names": ["anna-again"]}
    [renewed] = gateways.ask("POST", "/browsers", asked)["subscriptions"]

    visitor.happens("pushsubscriptionchange", address=renewed)

    address = Address.objects.get(public_id=registration)
    assert subscriptions.endpoint_of(address.token) == renewed["endpoint"]


def test_who_unsubscribes_is_not_reached(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    registration = visitor.subscribe()

    visitor.page.evaluate("pushadmin.unsubscribe()")

    assert visitor.page.evaluate("pushadmin.state()") == "possible"
    address = Address.objects.get(public_id=registration)
    assert address.token == ""
    assert not address.registration.notifications_enabled
    assert fanout.freeze(make_bulk(shop)) == 0


def test_a_visitor_who_comes_back_after_a_day_is_registered_afresh(
    gateways: Gateways, shop: Application, visitor: Visitor
) -> None:
    registration = visitor.subscribe()
    Registration.objects.update(language="fr")
    age = """async (ago) => {
      const name = (await caches.keys()).find((one) => one.startsWith("pushadmin"));
      const store = await caches.open(name);
      const kept = await store.match("/registration");
      const headers = { "x-registered-at": String(Date.now() - ago) };
      await store.put("/registration", new Response(await kept.text(), { headers }));
    }"""

    visitor.page.evaluate(age, 23 * 3_600_000)
    visitor.page.reload()
    visitor.page.wait_for_load_state("networkidle")
    assert Registration.objects.get().language == "fr"

    visitor.page.evaluate(age, 25 * 3_600_000)
    visitor.page.reload()

    def is_fresh() -> bool:
        return Registration.objects.get().language == visitor.language

    eventually(is_fresh, seconds=30, what="the browser registered again")
    assert str(Address.objects.get().public_id) == registration
