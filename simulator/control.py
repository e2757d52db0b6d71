"""The control API: plain HTTP on loopback. Load devices, arm faults, read the ledger.

| request | does |
|---|---|
| `GET /` | tells that it listens |
| `POST /credentials` | `{"fcm": [{project_id, client_email, private_key_id, public_key_pem}], "apns": [{team_id, key_id, public_key_pem, topics, environment}], "apns_certificates": [{certificate_pem}], "infobip": [{api_key, senders, credit, price, currency}], "twilio": [{account_sid, auth_token, senders, …}], "hms": see huawei_accounts.HuaweiApp}` |
| `POST /credentials/revoke` | `{"cloud": "fcm", "key_id": …}`; a certificate's is its SHA-256 in hex |
| `POST /devices` | what is known about tokens: see registry.Device |
| `POST /browsers` | `{"server_key", "host", "count" or "names"}`: that many subscriptions for a VAPID key; a name may hold a fate |
| `GET`, `POST /phones` | where and how phones report: see phones.PhoneSettings |
| `GET`, `POST /operators` | what becomes of texts, and how SMS gateways report it: see operators.OperatorSettings |
| `GET`, `POST /receipts` | what Huawei tells of pushes, and when: see huawei_receipts.ReceiptSettings |
| `GET`, `POST /behaviour` | see settings.NAMES and behaviour.Rule |
| `GET`, `POST /clock` | `{"offset": s}` or `{"advance": s}` |
| `POST /connections` | `{"cloud", "do": "goaway", "reset" or "limit", "flavour", "reason", "streams"}`: to every open one |
| `GET /ledger` | per cloud accepted, distinct, refused |
| `GET /ledger/messages?after=&limit=` | accepted notifications, oldest first; with `keep_payloads` also what they said |
| `GET /ledger/refusals?after=&limit=` | refused requests, oldest first |
| `GET /statistics` | connections, streams, tokens, phones |
| `POST /reset` | forget what happened |

A refusal is `{"error": {"field": …, "message": …}}` with a status of 4xx.
"""  # noqa: E501

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from simulator import browsers
from simulator.exchange import Flavour
from simulator.http1 import MAX_HEAD, Malformed, read_body, read_head, response
from simulator.inputs import BadInput, json_object, one_of, only, text, whole
from simulator.ledger import PAGE
from simulator.world import World

MAX_BODY = 64 * 1024 * 1024  # bytes: a million devices fit
HEADERS = (("content-type", "application/json"),)
Commander = Callable[[str, str, Flavour, str, int], int]
Query = Mapping[str, list[str]]


class Control:
    def __init__(self, world: World, command: Commander) -> None:
        """`command(cloud, do, flavour, reason, streams)` acts on open connections."""
        self._world = world
        self._command = command
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reads: dict[str, Callable[[Query], bytes]] = {
            "/": lambda _: b'{"status":"ok"}',
            "/ledger": lambda _: _json(world.ledger.figures()),
            "/ledger/messages": lambda query: world.ledger.messages(*_page(query)),
            "/ledger/refusals": lambda query: world.ledger.refusals(*_page(query)),
            "/statistics": lambda _: _json(world.statistics()),
            "/behaviour": lambda _: _json(world.behaviour_shown()),
            "/phones": lambda _: _json(world.phones.shown()),
            "/operators": lambda _: _json(world.operators.shown()),
            "/receipts": lambda _: _json(world.receipts.shown()),
            "/clock": lambda _: _json(self._clock()),
        }
        self._writes: dict[str, Callable[[dict[str, object]], object]] = {
            "/credentials": world.add_credentials,
            "/credentials/revoke": self._revoke,
            "/devices": lambda given: {"devices": world.registry.add(given)},
            "/phones": world.phones.change,
            "/operators": world.operators.change,
            "/receipts": world.receipts.change,
            "/behaviour": world.change_behaviour,
            "/browsers": browsers.made,
            "/clock": world.move_clock,
            "/connections": self._connections,
            "/reset": world.reset,
        }

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow."""
        try:
            head = await read_head(reader)
            if head is None:
                return False
            body = await read_body(reader, head, limit=MAX_BODY)
        except Malformed as fault:
            refusal = _refusal(BadInput("", str(fault), fault.status))
            writer.write(response(fault.status, HEADERS, refusal, last=True))
            await writer.drain()
            return False
        try:
            status, told = 200, self._answer(head.first[0], head.first[1], body)
        except BadInput as fault:
            status, told = fault.status, _refusal(fault)
        writer.write(response(status, HEADERS, told, last=not head.keeps_alive))
        await writer.drain()
        return head.keeps_alive

    def _answer(self, method: str, target: str, body: bytes) -> bytes:
        parts = urlsplit(target)
        path = parts.path.rstrip("/") or "/"
        if path not in self._reads and path not in self._writes:
            known = ", ".join(sorted({*self._reads, *self._writes}))
            raise BadInput("path", f"is unknown; known are {known}", status=404)
        if method == "GET" and path in self._reads:
            return self._reads[path](parse_qs(parts.query, keep_blank_values=True))
        if method != "POST" or path not in self._writes:
            allowed = [name for name, table in (("GET", self._reads), ("POST", self._writes))
                       if path in table]  # fmt: skip
            raise BadInput("method", f"use {' or '.join(allowed)}", status=405)
        try:
            given = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            raise BadInput("body", "is not JSON") from None
        told = self._writes[path](json_object(given, "body"))
        return _json(told if told is not None else {})

    def _clock(self) -> dict[str, float]:
        return {"now": self._world.clock.now(), "offset": self._world.clock.offset}

    def _revoke(self, given: dict[str, object]) -> None:
        only(given, {"cloud", "key_id"})
        cloud = text(given.get("cloud"), "cloud")
        self._world.credentials.revoke(cloud, text(given.get("key_id"), "key_id"))

    def _connections(self, given: dict[str, object]) -> object:
        only(given, {"cloud", "do", "flavour", "reason", "streams"})
        cloud = text(given.get("cloud"), "cloud")
        if cloud not in {one.name for one in self._world.clouds}:
            known = ", ".join(one.name for one in self._world.clouds)
            raise BadInput("cloud", f"must be one of {known}")
        do = given.get("do")
        if do not in {"goaway", "reset", "limit"}:
            raise BadInput("do", 'must be "goaway", "reset" or "limit"')
        flavour = one_of(Flavour)(given.get("flavour", "polite"), "flavour")
        reason = text(given["reason"], "reason") if "reason" in given else ""
        streams = whole(0, 2**31 - 1)(given.get("streams", 1), "streams")
        return {"connections": self._command(cloud, str(do), flavour, reason, streams)}


def _page(query: Query) -> tuple[int, int]:
    for name in query:
        if name not in {"after", "limit"}:
            raise BadInput(name, "is unknown; known are after, limit")
    return _count(query, "after", 0, 2**62), _count(query, "limit", 1000, PAGE)


def _count(query: Query, name: str, default: int, highest: int) -> int:
    given = query.get(name, [""])[-1]
    if not given:
        return default
    if not (given.isascii() and given.isdigit()) or int(given) > highest:
        raise BadInput(name, f"must be a whole number from 0 to {highest}")
    return int(given)


def _json(told: object) -> bytes:
    return json.dumps(told).encode()


def _refusal(fault: BadInput) -> bytes:
    return _json({"error": {"field": fault.field, "message": str(fault)}})
