"""Web Push through whichever push service each browser has chosen.

Source: contract/providers.md 5. A push service that asks for a pause, or is away, holds up
nobody but the browsers it serves: pauses are kept here, by host.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from providers import advice
from providers.answers import unanswered
from providers.base import Addressed, Cause, Network, Outcome, PushNotification, Verdict
from providers.credentials import Clock
from providers.gateway import Answered, Exchange, Gateway, Inside
from providers.webpush import subscription
from providers.webpush.encryption import seal
from providers.webpush.payload import WebPushPayload
from providers.webpush.reading import read
from providers.webpush.subscription import BadSubscription, Subscription
from providers.webpush.vapid import LIFETIME, Vapid

RATE = 500.0  # messages a second to one push service: 1.5
CONNECTIONS = 20  # to one push service
MOST_HOSTS = 100  # with connections at a time
AWAY = 3  # failures in a row without a time to wait that make an outage
LONGEST_REST = 60.0  # seconds, where the service names no time
FIRST_DELAY = 60.0  # seconds
TEST_HOST = "updates.push.services.mozilla.com"
TEST_PATH = "/wpush/v2/no-subscription"

_WINDOWS = ".notify.windows.com"


@dataclass(slots=True)
class _Host:
    """A push service as this process knows it."""

    gateway: Gateway
    is_trusted: bool  # well-known by its full name, or it has answered
    resting_until: float = 0.0  # loop time
    next_at: float = 0.0  # loop time at which the next message may leave
    failures: int = 0  # in a row: no connection, or 5xx; of those at the same time one counts
    failed_at: float = 0.0  # loop time
    refused: str = ""  # a path, when our key was refused since it was last taken
    users: int = 0

    def rest(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self.resting_until = max(self.resting_until, until)

    def note(self, outcome: Outcome, begun: float) -> None:
        """What an answer says of the host: how long to leave it alone."""
        failed = outcome.verdict in (Verdict.NOT_SENT, Verdict.TRY_LATER)
        if outcome.status:
            self.is_trusted = True
            self.failures *= failed
        if failed and begun >= self.failed_at:
            self.failures += 1
            self.failed_at = asyncio.get_running_loop().time()
        if not failed:
            return
        wait = outcome.retry_after or 0.0
        if outcome.status == 429 or (outcome.asked and wait > 1):
            self.rest(wait)
        elif self.failures >= AWAY:
            self.rest(wait or min(2.0 ** (min(self.failures, 20) - AWAY), LONGEST_REST))


@dataclass(frozen=True, slots=True)
class _Post:
    """One message, ready but for its encryption."""

    place: int  # in the window
    to: Subscription
    payload: WebPushPayload
    message_id: UUID
    ttl: int  # seconds


class WebPushProvider:
    """Sends with one VAPID key pair.

    `data` has `private_key`, `public_key` and `subject`. Beside the well-known push services
    only `extra_hosts` are called: names, or `*.` and a name for all below it.
    """

    def __init__(
        self,
        data: Mapping[str, object],
        *,
        network: Network,
        extra_hosts: Collection[str] = (),
        rate: float = RATE,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
    ) -> None:
        """`rate`: messages a second to one host. Raises CredentialError."""
        self._vapid = Vapid(data, clock=clock)
        self._network = network
        self._extra_hosts = tuple(extra_hosts)
        self._rate = rate
        self._transport = transport
        self._clock = clock
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    def compile(self, notification: PushNotification) -> WebPushPayload:
        """Raises PayloadTooLarge; NotPossible for a silent one."""
        return WebPushPayload(notification)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(window)
        by_host: dict[str, list[_Post]] = {}
        for place, item in enumerate(window):
            assert isinstance(item.payload, WebPushPayload)
            try:
                to = subscription.read(item.token, self._extra_hosts)
            except BadSubscription as problem:
                outcomes[place] = Outcome(
                    verdict=Verdict.REJECTED, cause=Cause.MALFORMED_TOKEN, reason=str(problem)
                )
                continue
            post = _Post(place, to, item.payload, item.message_id, item.ttl)
            by_host.setdefault(to.host, []).append(post)
        answered = await asyncio.gather(
            *(self._send_to(name, posts) for name, posts in by_host.items())
        )
        for posts, found in zip(by_host.values(), answered, strict=True):
            for post, outcome in zip(posts, found, strict=True):
                outcomes[post.place] = outcome
        assert all(outcomes)
        return [outcome for outcome in outcomes if outcome is not None]

    async def test(self) -> Outcome:
        """A push to a subscription that nobody has: the service reads our token, no more.

        Services check a key against each subscription, so this cannot tell whether
        subscriptions were made with it. That our clock spoils every token it can tell.
        """
        browser = ec.generate_private_key(ec.SECP256R1()).public_key()
        to = Subscription(TEST_HOST, TEST_PATH, browser, bytes(16))
        payload = WebPushPayload(PushNotification(text="Test"))
        gateway = self._gateway(TEST_HOST, connections=1)
        try:
            answer = await self._ask(gateway, _Post(0, to, payload, UUID(int=0), 0))
        finally:
            await gateway.close()
        outcome = self._outcome(answer, TEST_HOST)
        off = self._ahead(answer.date) if isinstance(answer, Answered) else None
        if off is not None and abs(off) >= LIFETIME:
            return Outcome(
                verdict=Verdict.MISCONFIGURED,
                cause=Cause.CREDENTIAL_REFUSED,
                reason=outcome.reason,
                status=outcome.status,
                remedy=advice.for_webpush(host=TEST_HOST, now=self._clock(), off=off),
            )
        read_it = {Verdict.ACCEPTED, Verdict.UNREGISTERED, Verdict.REJECTED}
        if outcome.verdict in read_it and outcome.status and outcome.cause != Cause.CLOUD_ERROR:
            reason = f"The key signs, and Mozilla's push service answers: {outcome.reason}"
            return Outcome(verdict=Verdict.ACCEPTED, reason=reason, status=outcome.status)
        return outcome

    async def close(self) -> None:
        hosts = list(self._hosts.values())
        self._hosts.clear()
        for host in hosts:
            await host.gateway.close()

    # ---------------------------------------------------------------- one push service

    def _host(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(self._gateway(name), name in subscription.HOSTS)
        self._hosts.move_to_end(name)
        return host

    def _gateway(self, name: str, connections: int = CONNECTIONS) -> Gateway:
        return Gateway(
            name, network=self._network, transport=self._transport, connections=connections
        )

    async def _send_to(self, name: str, posts: Sequence[_Post]) -> list[Outcome]:
        host = self._host(name)
        host.users += 1
        try:
            outcomes = await asyncio.gather(*(self._one(host, post) for post in posts))
        finally:
            host.users -= 1
        await self._forget_some()
        return self._judged(host, posts, outcomes)

    async def _forget_some(self) -> None:
        """Hang up on the services longest unused, when there are too many."""
        idle = [name for name, host in self._hosts.items() if not host.users]
        for name in idle[: max(0, len(self._hosts) - MOST_HOSTS)]:
            await self._hosts.pop(name).gateway.close()

    async def _one(self, host: _Host, post: _Post) -> Outcome:
        """Send a message at the host's pace, unless the host rests."""
        loop = asyncio.get_running_loop()
        if host.resting_until <= loop.time():
            begin_at = max(host.next_at, loop.time())
            host.next_at = begin_at + 1 / self._rate
            await asyncio.sleep(begin_at - loop.time())
        begun = loop.time()
        if begun < host.resting_until:
            return Outcome(
                verdict=Verdict.NOT_SENT,
                cause=Cause.NOT_SENT,
                reason="the push service rests",
                retry_after=host.resting_until - begun,
            )
        outcome = await self._post(host.gateway, post)
        if outcome.verdict is Verdict.NOT_SENT and not host.is_trusted:
            # A name that a stranger may have made up is not tried for ever.
            outcome = replace(
                outcome,
                verdict=Verdict.TRY_LATER,
                cause=Cause.CLOUD_UNAVAILABLE,
                retry_after=FIRST_DELAY,
            )
        host.note(outcome, begun)
        return outcome

    def _judged(
        self, host: _Host, posts: Sequence[_Post], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Tell a key that the host refuses from subscriptions made with another key.

        A key that was taken in the same breath is good; one refused by a single subscription
        may be. Should a crowd be called dead by this, DROP-5 closes nobody.
        """
        refusing = {
            post.to.path: post.to
            for post, outcome in zip(posts, outcomes, strict=True)
            if outcome.verdict is Verdict.MISCONFIGURED
        }
        for to in refusing.values():
            self._vapid.forget(to.origin)  # should its time be the fault
        if any(outcome.verdict is Verdict.ACCEPTED for outcome in outcomes):
            is_bad, host.refused = False, ""
        else:
            paths = sorted({*refusing, *filter(None, [host.refused])})
            is_bad, host.refused = len(paths) > 1, paths[0] if paths else ""
        return [
            outcome
            if outcome.verdict is not Verdict.MISCONFIGURED or is_bad
            else replace(
                outcome,
                verdict=Verdict.UNREGISTERED,
                cause=Cause.MISMATCHED_SENDER,
                remedy="",
            )
            for outcome in outcomes
        ]

    def _outcome(self, answer: Exchange, host: str) -> Outcome:
        if isinstance(answer, Answered):
            outcome = read(answer, self._clock())
            if outcome.verdict is not Verdict.MISCONFIGURED:
                return outcome
            off = self._ahead(answer.date)
            remedy = advice.for_webpush(host=host, now=self._clock(), off=off)
            return replace(outcome, remedy=remedy)
        if isinstance(answer, Inside):
            return Outcome(
                verdict=Verdict.REJECTED, cause=Cause.MALFORMED_TOKEN, reason=answer.reason
            )
        return unanswered(answer)

    def _ahead(self, date: str) -> float | None:
        """Seconds our clock is ahead of a service's, if it told the time."""
        return advice.ahead(date, self._clock()) if date else None

    async def _post(self, gateway: Gateway, post: _Post) -> Outcome:
        return self._outcome(await self._ask(gateway, post), post.to.host)

    async def _ask(self, gateway: Gateway, post: _Post) -> Exchange:
        to = post.to
        headers = {
            "authorization": self._vapid.header(to.origin),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            **post.payload.headers(post.message_id, post.ttl),
        }
        if to.host.endswith(_WINDOWS):
            headers["X-WNS-Type"] = "wns/raw"
            headers["X-WNS-Cache-Policy"] = "cache" if post.ttl > 0 else "no-cache"
        body = seal(post.payload.plaintext(post.message_id), to.browser, to.auth)
        return await gateway.request("POST", to.path, content=body, headers=headers)
