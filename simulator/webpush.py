"""The push services of browsers, each under its own name. Source: providers.md 5 and SIM-60.

A real service cannot read what it carries. This one is the browser as well: what the browser
could not decrypt is refused, since nobody would ever see it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate

from simulator.behaviour import Behaviour, Decision
from simulator.browsers import APPLE, MICROSOFT, MOZILLA, Browser, Unreadable, find
from simulator.clock import Clock
from simulator.exchange import Answer, Ending, Manners, Request, Traffic
from simulator.ledger import Ledger
from simulator.mailboxes import Delivery
from simulator.phones import Phones
from simulator.registry import PerMinute, Registry
from simulator.settings import Fate
from simulator.webpush_rules import Fault, Refused, check_headers, check_vapid

BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"

REFUSING = {
    Fate.UNREGISTERED: (Fault.GONE, "The browser has unsubscribed"),
    Fate.EXPIRED_TOKEN: (Fault.UNKNOWN, "There is no such subscription"),
    Fate.MISMATCHED: (Fault.OTHER_KEY, "VAPID: the browser subscribed with another key"),
    Fate.MALFORMED: (Fault.BAD_REQUEST, "The request cannot be read"),
    Fate.BUSY: (Fault.TOO_MANY, "Too many messages: slow down"),
    Fate.THIRD_PARTY: (Fault.UPSTREAM, "The service behind this one is away"),
    Fate.INTERNAL: (Fault.INTERNAL, "Something went wrong"),
    Fate.UNAVAILABLE: (Fault.AWAY, "Come back later"),
    Fate.UNAVAILABLE_DELIVERED: (Fault.AWAY, "Come back later"),
    Fate.SHUTDOWN: (Fault.AWAY, "Come back later"),
    Fate.IDLE_TIMEOUT: (Fault.AWAY, "Come back later"),
}
TELLS_WHEN = frozenset({Fault.TOO_MANY, Fault.AWAY})
WITHOUT_ACCEPTANCE = {Fate.LOST_REQUEST: Ending.ABORTED, Fate.REFUSED_STREAM: Ending.REFUSED}
AFTER_ACCEPTANCE = {
    Fate.LOST_ANSWER: Ending.ABORTED,
    Fate.STALLED: Ending.STALLED,
    Fate.RESET: Ending.RESET,
}


@dataclass(slots=True)
class Sent:
    """What a request says, as far as the ledger and the browser need it."""

    endpoint: str = ""
    server: str = ""  # its VAPID public key
    ttl: int = 0
    payload: object = None  # what was decrypted: JSON if it is, else text
    message_id: str = ""


class WebPush:
    name = "webpush"
    hosts = (MOZILLA, APPLE, MICROSOFT)  # Chrome's is FCM's, which passes its share on
    http1 = True

    def __init__(
        self,
        clock: Clock,
        behaviour: Behaviour,
        registry: Registry,
        ledger: Ledger,
        phones: Phones,
    ) -> None:
        self.traffic = Traffic()
        self._clock = clock
        self._behaviour = behaviour
        self._registry = registry
        self._ledger = ledger
        self._phones = phones
        self._counts = PerMinute(clock)

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def forget(self) -> None:
        self._counts = PerMinute(self._clock)

    def answer(self, request: Request) -> Answer:
        sent, delay, host = Sent(), 0.0, request.peer.host
        try:
            browser = self._browser(request)
            sent.endpoint = browser.endpoint
            sent.ttl = check_headers(request.headers, has_body=bool(request.body))
            sent.server = check_vapid(
                request.headers.get("authorization", ""), browser, self._clock.now()
            )
            self._read(request, browser, sent)
            decision = self._decide(browser, sent)
            delay = decision.delay
            if decision.fate in WITHOUT_ACCEPTANCE:
                return Answer(503, ending=WITHOUT_ACCEPTANCE[decision.fate])
            if decision.fate is Fate.BAD_GATEWAY:
                self._refuse(request, sent, 502, "HTML")
                return Answer(502, (("content-type", "text/html"),), BAD_GATEWAY, delay)
            if decision.fate is Fate.UNAVAILABLE_DELIVERED:
                self._deliver(request, sent, decision)
            self._meet(decision, host, browser)
        except Refused as refused:
            self._refuse(request, sent, refused.status(host), refused.reason)
            answer = refused.answer(host, delay)
            answer.headers = (*answer.headers, ("date", self._date(0)))
            return answer
        return self._accept(request, sent, decision)

    # ------------------------------------------------------------------------ checks

    def _browser(self, request: Request) -> Browser:
        """Who is meant, if that is a browser that still wants pushes."""
        host = request.authority.partition(":")[0]
        browser = find(host, request.path) if host == request.peer.host else None
        if browser is None:
            raise Refused(Fault.UNKNOWN, "There is no such subscription")
        if request.method != "POST":
            raise Refused(Fault.NOT_POST, "Use POST")
        if request.doubled:
            raise Refused(Fault.BAD_REQUEST, "A header came twice")
        device = self._registry.find(self.name, browser.endpoint)
        if device is not None and device.closed_at:
            raise Refused(Fault.GONE, "The browser has unsubscribed")
        return browser

    def _read(self, request: Request, browser: Browser, sent: Sent) -> None:
        """Decrypt. A push without a body is allowed: it only wakes the service worker."""
        if not request.body:
            return
        if len(request.body) > self._behaviour.clouds[self.name].largest_body:
            raise Refused(Fault.TOO_LARGE, "The body is too large")
        try:
            plaintext = browser.read(request.body)
        except Unreadable as fault:
            raise Refused(Fault.BAD_ENCRYPTION, f"The browser cannot read it: {fault}") from None
        shown = plaintext.decode("utf-8", "replace")
        try:
            sent.payload = json.loads(shown)
        except (ValueError, RecursionError):
            sent.payload = shown
            return
        data = sent.payload.get("data") if isinstance(sent.payload, dict) else None
        found = data.get("messageId") if isinstance(data, dict) else None
        sent.message_id = found if isinstance(found, str) else ""

    def _decide(self, browser: Browser, sent: Sent) -> Decision:
        """A name may hold a fate, as FCM's tokens do; else patterns see the endpoint."""
        token = f"{browser.name}:" if browser.name.startswith("fate-") else browser.endpoint
        return self._behaviour.decide(self.name, token, sent.message_id)

    def _meet(self, decision: Decision, host: str, browser: Browser) -> None:
        settings = self._behaviour.clouds[self.name]
        over = (
            self._counts.add(host) > settings.project_per_minute
            or self._counts.add(browser.endpoint) > settings.device_per_minute
        )
        fate = Fate.BUSY if over else decision.fate
        if fate in REFUSING:
            fault, message = REFUSING[fate]
            raise Refused(fault, message, self._retry_after() if fault in TELLS_WHEN else "")

    def _retry_after(self) -> str:
        settings = self._behaviour.clouds[self.name]
        if settings.retry_after <= 0:
            return ""
        if settings.retry_after_date:
            return self._date(settings.retry_after)
        return str(max(1, round(settings.retry_after)))

    def _date(self, ahead: float) -> str:
        return formatdate(self._clock.now() + ahead, usegmt=True)

    # --------------------------------------------------------------------- conclusions

    def _accept(self, request: Request, sent: Sent, decision: Decision) -> Answer:
        ending = AFTER_ACCEPTANCE.get(decision.fate, Ending.ANSWERED)
        provider_id = f"{self._ledger.accepted_count + 1:016x}"
        self._ledger.accept(
            self.name,
            application=sent.server,
            token=sent.endpoint,
            message_id=sent.message_id,
            provider_id=provider_id,
            wire=(request.peer.number, request.stream),
            answer=ending.value,
            more={
                "ttl": sent.ttl,
                "urgency": request.headers.get("urgency", "normal"),
                "topic": request.headers.get("topic", ""),
                "payload": sent.payload,
            },
        )
        self._deliver(request, sent, decision)
        headers = (
            ("location", f"https://{request.peer.host}/m/{provider_id}"),
            ("ttl", str(sent.ttl)),
        )
        return Answer(201, headers, b"", decision.delay, ending)

    def _deliver(self, request: Request, sent: Sent, decision: Decision) -> None:
        if decision.fate is Fate.SILENT or not sent.message_id:
            return
        self._phones.deliver(
            Delivery(
                cloud=self.name,
                application=sent.server,
                token=sent.endpoint,
                message_id=sent.message_id,
                draw=decision.draw,
                expires=self._clock.now() + sent.ttl if sent.ttl else 0.0,
                collapse_key=request.headers.get("topic", ""),
                reports_delivery=True,  # the service worker runs for every push
                visible=True,
            )
        )

    def _refuse(self, request: Request, sent: Sent, status: int, reason: str) -> None:
        self._ledger.refuse(
            self.name,
            token=sent.endpoint,
            message_id=sent.message_id,
            status=status,
            reason=reason,
            wire=(request.peer.number, request.stream),
        )
