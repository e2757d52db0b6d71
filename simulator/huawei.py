"""Huawei Push Kit: versions 1 and 2 for Android with HMS, version 3 for HarmonyOS 5.

Source: contract/providers.md 4 and 11.5. A token of HarmonyOS 5 is one that was made known as
such, or begins with MAM as Huawei's do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.utils import formatdate

from simulator import fcm
from simulator.behaviour import Behaviour, Decision
from simulator.clock import Clock
from simulator.credentials import Credentials
from simulator.exchange import Answer, Ending, Headers, Manners, Request, Traffic
from simulator.huawei_accounts import HuaweiApp
from simulator.huawei_login import BadToken, HuaweiLogin
from simulator.huawei_receipts import HuaweiReceipts, Pushed
from simulator.huawei_rules import NOT_URGENT, RECEIPT_ADDRESS, Fault, Push, read_v1, read_v3
from simulator.ledger import Ledger
from simulator.mailboxes import Delivery
from simulator.phones import Phones
from simulator.registry import Registry
from simulator.settings import Fate

HOST = "push-api.cloud.huawei.com"
PATH = re.compile(r"/(v[123])/([0-9A-Za-z]{1,30})/messages:send")
TOKEN = re.compile(r"[A-Za-z0-9_:-]{16,500}")
HARMONY = "MAM"  # how a token of HarmonyOS 5 begins
SUCCESS, PARTLY, NO_VALID_TOKEN, OTHERS = "80000000", "80100000", "80300007", "80300002"
TEST_LIMIT, LOGIN_AWAY, INTERNAL = "80300029", "80600003", "81000001"
TESTS_A_DAY = {"v1": 500, "v2": 500, "v3": 1000}
JSON: Headers = (("content-type", "application/json;charset=UTF-8"),)
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"

ILLEGAL = frozenset({Fate.UNREGISTERED, Fate.EXPIRED_TOKEN, Fate.MALFORMED})
OF_DEVICES = ILLEGAL | {Fate.ACCEPTED, Fate.SILENT, Fate.MISMATCHED}
AWAY = frozenset({Fate.BUSY, Fate.UNAVAILABLE, Fate.SHUTDOWN, Fate.IDLE_TIMEOUT})
WITHOUT_ACCEPTANCE = {Fate.LOST_REQUEST: Ending.ABORTED, Fate.REFUSED_STREAM: Ending.REFUSED}
AFTER_ACCEPTANCE = {
    Fate.LOST_ANSWER: Ending.ABORTED,
    Fate.STALLED: Ending.STALLED,
    Fate.RESET: Ending.RESET,
}


@dataclass(slots=True)
class Call:
    """One request for an app that may send."""

    request: Request
    app: HuaweiApp
    version: str
    push: Push
    message_id: str  # ours, where the push has one
    visible: bool  # drawn by the system, or by the app
    request_id: str


class Huawei:
    name = "hms"
    hosts = (HOST,)
    http1 = True

    def __init__(
        self,
        clock: Clock,
        credentials: Credentials,
        login: HuaweiLogin,
        behaviour: Behaviour,
        registry: Registry,
        ledger: Ledger,
        phones: Phones,
        receipts: HuaweiReceipts,
    ) -> None:
        self.traffic = Traffic()
        self.validated = 0  # dry runs that were in order
        self._clock = clock
        self._credentials = credentials
        self._login = login
        self._behaviour = behaviour
        self._registry = registry
        self._ledger = ledger
        self._phones = phones
        self._receipts = receipts
        self._requests = 0
        self._second: tuple[int, int] = (0, 0)  # the running one, devices in it
        self._tests: dict[tuple[str, int], int] = {}  # app and day → test messages

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def forget(self) -> None:
        self._second = (0, 0)
        self._tests.clear()

    def answer(self, request: Request) -> Answer:
        """With the time it was given at, by which a client can tell that its clock is wrong."""
        answer = self._answer(request)
        date = formatdate(self._clock.now(), usegmt=True)
        answer.headers = (*answer.headers, ("date", date))
        return answer

    def _answer(self, request: Request) -> Answer:
        self._requests += 1
        request_id = f"{int(self._clock.now() * 1000)}{self._requests:08}"
        path = PATH.fullmatch(request.path.partition("?")[0])
        app = self._app(*path.groups()) if path is not None else None
        if path is None or app is None or request.authority.partition(":")[0] != HOST:
            self._refuse(request, "", 404, "HTTP 404")
            return Answer(404)
        if request.method != "POST":
            self._refuse(request, "", 405, "HTTP 405")
            return Answer(405)
        try:
            push = self._read(request, app, path.group(1))
            message_id, is_silent = _said(push.data)
            visible = push.shown or bool(message_id and not is_silent)
            call = Call(request, app, path.group(1), push, message_id, visible, request_id)
            self._allowed(call)
        except Fault as fault:
            self._refuse(request, "", 200, fault.code)
            return _told(fault.code, str(fault), request_id)
        if self._is_too_fast(max(len(push.tokens), 1)):
            return self._away(call, 0.0)
        return self._meet(call)

    # ------------------------------------------------------------------------ checks

    def _app(self, version: str, name: str) -> HuaweiApp | None:
        if version == "v1":
            return self._credentials.huawei.get(name)
        apps = self._credentials.huawei.values()
        return next((app for app in apps if app.project_id == name), None)

    def _read(self, request: Request, app: HuaweiApp, version: str) -> Push:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Fault("80200001", "Oauth authentication error")
        try:
            self._login.check(app, token.strip(), may_be_oauth=version != "v3")
        except BadToken as bad:
            raise Fault(bad.code, str(bad)) from None
        if version == "v3":
            return read_v3(request.body, request.headers.get("push-type", ""))
        return read_v1(request.body)

    def _allowed(self, call: Call) -> None:
        """What is well formed and yet may not be. Raises Fault."""
        app, push = call.app, call.push
        code = self._behaviour.clouds[self.name].huawei_code
        if code:
            raise Fault(code, "as the control API has ordered")
        if push.urgent and not app.may_be_urgent:
            raise Fault(NOT_URGENT, "this app has no right to send with urgency HIGH")
        if push.receipt_id and app.callback(push.receipt_id) is None:
            raise Fault(RECEIPT_ADDRESS, "nobody has set up this receipt id")
        if push.for_tests and not push.dry:
            key = app.app_id, int(self._clock.now() // 86_400)
            self._tests[key] = self._tests.get(key, 0) + max(len(push.tokens), 1)
            if self._tests[key] > TESTS_A_DAY[call.version]:
                raise Fault(TEST_LIMIT, "too many test messages today")

    def _is_too_fast(self, devices: int) -> bool:
        """Flow control counts devices a second. SIM-54."""
        second = int(self._clock.now())
        before = self._second[1] if self._second[0] == second else 0
        self._second = second, before + devices
        return self._second[1] > self._behaviour.clouds[self.name].devices_per_second

    # --------------------------------------------------------------------- conclusions

    def _meet(self, call: Call) -> Answer:
        """The call has one fate: the first of its devices' that is not a device's own."""
        tag = call.push.bi_tag or call.message_id
        tokens = call.push.tokens or [""]
        fates = {token: self._behaviour.decide(self.name, token, tag) for token in tokens}
        first = fates[tokens[0]]
        shared = next((one for one in fates.values() if one.fate not in OF_DEVICES), first)
        if shared.fate in WITHOUT_ACCEPTANCE:
            return Answer(503, ending=WITHOUT_ACCEPTANCE[shared.fate])
        if shared.fate is Fate.BAD_GATEWAY:
            self._refuse(call.request, call.message_id, 502, "HTML")
            return Answer(502, (("content-type", "text/html"),), BAD_GATEWAY, shared.delay)
        if shared.fate in AWAY:
            return self._away(call, shared.delay)
        if shared.fate is Fate.THIRD_PARTY:
            self._refuse(call.request, call.message_id, 200, LOGIN_AWAY)
            return _told(LOGIN_AWAY, "OAuth is not answering", call.request_id, shared.delay)
        if shared.fate is Fate.INTERNAL:
            self._refuse(call.request, call.message_id, 500, INTERNAL)
            return _told(INTERNAL, "Internal error", call.request_id, shared.delay, status=500)
        ending = AFTER_ACCEPTANCE.get(shared.fate, Ending.ANSWERED)
        answer = self._deliver(call, fates, ending)
        if shared.fate is Fate.UNAVAILABLE_DELIVERED:
            return _told(INTERNAL, "Internal error", call.request_id, shared.delay, status=500)
        answer.delay, answer.ending = shared.delay, ending
        return answer

    def _away(self, call: Call, delay: float) -> Answer:
        self._refuse(call.request, call.message_id, 503, "HTTP 503")
        seconds = self._behaviour.clouds[self.name].retry_after
        headers = (("retry-after", str(max(1, round(seconds)))),) if seconds else ()
        return Answer(503, headers, b"", delay)

    def _deliver(self, call: Call, fates: dict[str, Decision], ending: Ending) -> Answer:
        """Take what has a valid token, each as often as it is listed. SIM-53."""
        push = call.push
        if not push.tokens:  # a topic: nobody in particular
            return _told(SUCCESS, "Success", call.request_id)
        if any(self._is_others(call, token, fates[token]) for token in push.tokens):
            self._refuse(call.request, call.message_id, 200, OTHERS)
            return _told(OTHERS, "No right to push to these tokens", call.request_id)
        illegal = [token for token in push.tokens if self._is_illegal(call, token, fates[token])]
        unknown = set(illegal)
        taken = [token for token in push.tokens if token not in unknown]
        code = PARTLY if taken else NO_VALID_TOKEN
        for token in illegal:
            self._refuse(call.request, call.message_id, 200, code, token=token)
        if not taken:
            return _told(code, "All the tokens are invalid", call.request_id)
        if push.dry:
            self.validated += 1
        else:
            for token in taken:
                self._accept(call, token, fates[token], ending)
        if not illegal:
            return _told(SUCCESS, "Success", call.request_id)
        told = {"success": len(taken), "failure": len(illegal), "illegal_tokens": illegal}
        return _told(code, json.dumps(told), call.request_id)

    def _is_others(self, call: Call, token: str, decision: Decision) -> bool:
        device = self._registry.find(self.name, token)
        known = device is not None and device.owner not in ("", call.app.app_id)
        return known or decision.fate is Fate.MISMATCHED

    def _is_illegal(self, call: Call, token: str, decision: Decision) -> bool:
        """Unknown, gone, or of the other family of devices. SIM-56."""
        device = self._registry.find(self.name, token)
        kind = device.kind if device is not None else ""
        is_harmony = kind == "harmony" if kind else token.startswith(HARMONY)
        return (
            not TOKEN.fullmatch(token)
            or is_harmony != (call.version == "v3")
            or (device is not None and bool(device.closed_at))
            or decision.fate in ILLEGAL
        )

    def _accept(self, call: Call, token: str, decision: Decision, ending: Ending) -> None:
        push = call.push
        self._ledger.accept(
            self.name,
            application=call.app.app_id,
            token=token,
            message_id=call.message_id,
            provider_id=call.request_id,
            wire=(call.request.peer.number, call.request.stream),
            answer=ending.value,
            more={"version": call.version, "payload": push.body},
        )
        if decision.fate is Fate.SILENT:
            return
        expires = self._clock.now() + push.ttl
        delivery = Delivery(
            cloud=self.name,
            application=call.app.app_id,
            token=token,
            message_id=call.message_id,
            draw=decision.draw,
            expires=expires,
            collapse_key="",
            reports_delivery=not push.shown,  # else the system draws it: Huawei's receipt tells
            visible=call.visible,
        )

        def arrives() -> None:
            if call.message_id:
                self._phones.deliver(delivery)

        self._receipts.take(
            Pushed(
                app=call.app,
                token=token,
                request_id=call.request_id,
                bi_tag=push.bi_tag,
                receipt_id=push.receipt_id,
                category=push.category,
                group=push.group,
                expires=expires,
                draw=decision.draw,
                arrives=arrives,
            )
        )

    def _refuse(
        self, request: Request, message_id: str, status: int, reason: str, *, token: str = ""
    ) -> None:
        self._ledger.refuse(
            self.name,
            token=token,
            message_id=message_id,
            status=status,
            reason=reason,
            wire=(request.peer.number, request.stream),
        )


def _said(data: str) -> tuple[str, bool]:
    """The sender's own id in what the app reads, and whether it is to show nothing."""
    told = _object(data)
    inner = _object(told.get("org_ib_d")).get("notification", told)
    is_silent = isinstance(inner, dict) and inner.get("silent") is True
    return fcm.message_id({"data": told}), is_silent


def _object(text: object) -> dict[str, object]:
    try:
        told = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        told = {}
    return told if isinstance(told, dict) else {}


def _told(
    code: str, message: str, request_id: str, delay: float = 0.0, *, status: int = 200
) -> Answer:
    body = json.dumps({"code": code, "msg": message, "requestId": request_id}).encode()
    return Answer(status, JSON, body, delay)
