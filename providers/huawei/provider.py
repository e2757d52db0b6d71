"""One app of AppGallery Connect, and the devices it reaches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import httpx

from providers.advice import ahead
from providers.base import (
    Addressed,
    Cause,
    CredentialError,
    Network,
    Outcome,
    PushNotification,
    Verdict,
)
from providers.credentials import Clock, TokenRefusedError, TokenUnavailableError
from providers.gateway import Answered, Gateway
from providers.huawei import advice, answers
from providers.huawei.bodies import HuaweiPayload, Look
from providers.huawei.credentials import Account, Client, ClientTokens, SignedTokens, Tokens

HOST = "push-api.cloud.huawei.com"
BATCH = 100  # tokens of one call: what one lost answer leaves in doubt
CONNECTIONS = 40
BELIEVED = 50  # tokens that one call may call invalid; more is a wrong setting
HARMONY = "harmony"  # kind of an address on HarmonyOS 5
ALERT = {"push-type": "0"}

_NO_ACCOUNT = Outcome(
    verdict=Verdict.REJECTED,
    cause=Cause.CREDENTIAL_REFUSED,
    reason="HarmonyOS 5 is only reached with a service account",
)
_NOT_SILENT = Outcome(
    verdict=Verdict.REJECTED,
    cause=Cause.PAYLOAD_REFUSED,
    reason="silent pushes are not sent to HarmonyOS 5",
)


@dataclass(frozen=True, slots=True)
class Route:
    """A path of Huawei's, and who may call it."""

    path: str
    tokens: Tokens
    who: str  # the app ID, or the project of a service account
    signed: bool = False  # by a service account
    v3: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what it says, to whom. `tokens` are all different."""

    route: Route
    payload: HuaweiPayload
    tokens: tuple[str, ...]
    message_id: UUID  # of the first token
    ttl: int  # seconds

    def body(self) -> bytes:
        return self.payload.body(self.tokens, self.message_id, self.ttl, v3=self.route.v3)


class HuaweiProvider:
    """`data` has `client_id` with `client_secret`, a `service_account`, or both.

    The OAuth client reaches Android with HMS; a service account that, too, and HarmonyOS 5,
    which takes nothing else. Beside them: `category`, `badge_class`, `receipt_id`, see Look.
    """

    def __init__(
        self,
        data: Mapping[str, object],
        *,
        network: Network,
        batch: int = BATCH,
        clock: Clock = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raises CredentialError for what cannot be a credential."""
        self._hms: Route | None = None
        self._harmony: Route | None = None
        account = data.get("service_account")
        if isinstance(account, Mapping):
            known = Account.read(account)
            signed, who = SignedTokens(known, clock=clock), known.project_id
            self._hms = Route(f"/v2/{who}/messages:send", signed, who, signed=True)
            self._harmony = Route(f"/v3/{who}/messages:send", signed, who, signed=True, v3=True)
        if data.get("client_id") or not account:
            client = Client.read(data)
            tokens = ClientTokens(client, network, clock=clock, transport=transport)
            self._hms = Route(f"/v1/{client.client_id}/messages:send", tokens, client.client_id)
        if not 1 <= batch <= 1000:
            raise CredentialError("batch", "must be from 1 to 1000 tokens a call")
        self._batch = batch
        self._clock = clock
        self._look = Look(
            **{name: _option(data, name) for name in Look.__slots__ if data.get(name)}
        )
        self._http = Gateway(HOST, network=network, transport=transport, connections=CONNECTIONS)

    def compile(self, notification: PushNotification) -> HuaweiPayload:
        return HuaweiPayload(notification, self._look)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        calls: list[tuple[Call, list[list[int]]]] = []  # with the window's places of each token
        for key, places in self._together(window).items():
            first = window[places[0]]
            assert isinstance(first.payload, HuaweiPayload)
            route = self._harmony if first.token_kind == HARMONY else self._hms
            if route is None or (route.v3 and not first.payload.can_be_v3):
                refusal = _NO_ACCOUNT if route is None else _NOT_SILENT
                outcomes |= dict.fromkeys(places, refusal)
                continue
            calls += self._calls(route, window, places, ttl=key[2])
        answered = await asyncio.gather(*(self._deliver(call) for call, _ in calls))
        for (_, places_of), answers_of in zip(calls, answered, strict=True):
            for places, outcome in zip(places_of, answers_of, strict=True):
                outcomes |= dict.fromkeys(places, answers.with_request(outcome))
        return [outcomes[place] for place in range(len(window))]

    def _together(self, window: Sequence[Addressed]) -> dict[tuple[object, ...], list[int]]:
        """Places that may share a call: tracked ones stand alone."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, item in enumerate(window):
            assert isinstance(item.payload, HuaweiPayload)
            alone = place if item.payload.tracked else -1
            key = (id(item.payload), item.token_kind == HARMONY, item.ttl, alone)
            groups.setdefault(key, []).append(place)
        return groups

    def _calls(
        self, route: Route, window: Sequence[Addressed], places: list[int], *, ttl: object
    ) -> list[tuple[Call, list[list[int]]]]:
        """At most a batch a call, each token once: one that comes twice is pushed twice."""
        assert isinstance(ttl, int)
        by_token: dict[str, list[int]] = {}
        for place in places:
            by_token.setdefault(window[place].token, []).append(place)
        payload = window[places[0]].payload
        assert isinstance(payload, HuaweiPayload)
        tokens = list(by_token)
        calls = []
        for start in range(0, len(tokens), self._batch):
            part = tuple(tokens[start : start + self._batch])
            message_id = window[by_token[part[0]][0]].message_id
            call = Call(route, payload, part, message_id, ttl)
            calls.append((call, [by_token[token] for token in part]))
        return calls

    async def _deliver(self, call: Call) -> list[Outcome]:
        """One outcome a token; a call without any valid token is taken apart (80300007)."""
        outcomes = await self._post(call.route, call.body(), call.tokens)
        if len(call.tokens) == 1 or not answers.says_no_valid_token(outcomes[0]):
            return outcomes
        return await self._halve(call)

    async def _halve(self, call: Call) -> list[Outcome]:
        middle = (len(call.tokens) + 1) // 2
        halves = [
            replace(call, tokens=part) for part in (call.tokens[:middle], call.tokens[middle:])
        ]
        answered = await asyncio.gather(
            *(self._post(half.route, half.body(), half.tokens) for half in halves)
        )
        invalid = [answers.says_no_valid_token(told[0]) for told in answered]
        believed = (
            sum(len(half.tokens) for half, bad in zip(halves, invalid, strict=True) if bad)
            <= BELIEVED
        )
        outcomes: list[Outcome] = []
        for half, told, bad in zip(halves, answered, invalid, strict=True):
            if bad and not believed:
                outcomes += [self._advised(call.route, _misled(one)) for one in told]
            elif bad and len(half.tokens) > 1:
                outcomes += await self._halve(half)
            else:
                outcomes += told
        return outcomes

    async def _post(self, route: Route, body: bytes, tokens: Sequence[str]) -> list[Outcome]:
        """One call; once more with a fresh access token when that was the trouble (CRED-2)."""
        try:
            bearer = await route.tokens.get()
            outcomes = await self._call(route, body, tokens, bearer)
            if answers.is_token_refused(outcomes[0]):
                bearer = await route.tokens.renew(bearer)
                outcomes = await self._call(route, body, tokens, bearer)
        except (TokenRefusedError, TokenUnavailableError) as error:
            return [_without_token(route, error)] * len(tokens)
        return outcomes

    async def _call(
        self, route: Route, body: bytes, tokens: Sequence[str], bearer: str
    ) -> list[Outcome]:
        headers = {
            "authorization": f"Bearer {bearer}",
            "content-type": "application/json; charset=UTF-8",
            **(ALERT if route.v3 else {}),
        }
        result = await self._http.request("POST", route.path, content=body, headers=headers)
        now = self._clock()
        off = ahead(result.date, now) if isinstance(result, Answered) else None
        return [self._advised(route, outcome, off) for outcome in answers.read(result, tokens, now)]

    async def test(self) -> Outcome:
        """A dry run to an address that cannot be one, by each way we have."""
        outcome = replace(_NO_ACCOUNT, verdict=Verdict.MISCONFIGURED)
        for route in (self._hms, self._harmony):
            if route is None:
                continue
            outcome = await self._try(route)
            if outcome.verdict is not Verdict.ACCEPTED:
                break
        return outcome

    async def _try(self, route: Route) -> Outcome:
        payload = HuaweiPayload(PushNotification(title="Test", text="Test"), self._look)
        body = payload.dry_run("no-device", v3=route.v3)
        try:
            bearer = await route.tokens.fetch()
        except (TokenRefusedError, TokenUnavailableError) as error:
            return _without_token(route, error)
        [outcome] = await self._call(route, body, ["no-device"], bearer)
        known_good = {Verdict.ACCEPTED, Verdict.UNREGISTERED, Verdict.REJECTED}
        if outcome.verdict in known_good and outcome.cause is not Cause.CLOUD_ERROR:
            return Outcome(
                verdict=Verdict.ACCEPTED, reason=outcome.reason or "OK", status=outcome.status
            )
        return outcome

    def _advised(self, route: Route, outcome: Outcome, off: float | None = None) -> Outcome:
        """With what an administrator should do about it."""
        if outcome.verdict is not Verdict.MISCONFIGURED:
            return outcome
        remedy = advice.for_answer(outcome, who=route.who, signed=route.signed, off=off)
        return replace(outcome, remedy=remedy)

    async def close(self) -> None:
        await self._http.close()


def _option(data: Mapping[str, object], name: str) -> str:
    value = data[name]
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise CredentialError(name, "must be a text as Huawei's console shows it")
    return value


def _misled(outcome: Outcome) -> Outcome:
    """So many invalid tokens at once are another app's."""
    return Outcome(
        verdict=Verdict.MISCONFIGURED,
        cause=Cause.CREDENTIAL_REFUSED,
        reason=outcome.reason,
        status=outcome.status,
        provider_id=outcome.provider_id,
    )


def _without_token(route: Route, error: TokenRefusedError | TokenUnavailableError) -> Outcome:
    if isinstance(error, TokenRefusedError):
        return Outcome(
            verdict=Verdict.MISCONFIGURED,
            cause=Cause.CREDENTIAL_REFUSED,
            reason=str(error),
            status=error.status,
            remedy=advice.for_login(str(error), who=route.who),
        )
    return error.outcome(wait=5)
