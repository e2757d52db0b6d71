"""What both simulated SMS gateways have in common: accounts, money, fates, the ledger.

Source: contract/providers.md SIM-65.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.behaviour import Behaviour, Decision
from simulator.clock import Clock
from simulator.credentials import Credentials, SmsAccount
from simulator.exchange import Answer, Ending, Manners, Request, Traffic
from simulator.ledger import Ledger, compact
from simulator.operators import Operators, Reporting, Text
from simulator.registry import PerMinute
from simulator.settings import Fate

NUMBER = re.compile(r"[1-9][0-9]{6,14}")  # E.164 without its plus
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"

WITHOUT_ACCEPTANCE = {
    Fate.LOST_REQUEST: Ending.ABORTED,
    Fate.REFUSED_STREAM: Ending.REFUSED,
}
AFTER_ACCEPTANCE = {
    Fate.LOST_ANSWER: Ending.ABORTED,
    Fate.STALLED: Ending.STALLED,
    Fate.RESET: Ending.RESET,
}
AWAY = frozenset({Fate.UNAVAILABLE, Fate.SHUTDOWN, Fate.IDLE_TIMEOUT, Fate.THIRD_PARTY})
OF_NUMBERS = frozenset(
    {Fate.ACCEPTED, Fate.SILENT, Fate.UNREGISTERED, Fate.EXPIRED_TOKEN, Fate.MISMATCHED,
     Fate.MALFORMED}
)  # fmt: skip


@dataclass(slots=True)
class Wanted:
    """One text for one number, as it was asked for."""

    number: str
    message_id: str
    sender: str
    text: str
    parts: int
    report_url: str


class SmsGateway:
    """The part of a gateway that speaks no words of its own."""

    name: str
    hosts: tuple[str, ...]
    http1 = True

    def __init__(
        self,
        clock: Clock,
        credentials: Credentials,
        behaviour: Behaviour,
        ledger: Ledger,
        operators: Operators,
    ) -> None:
        self.traffic = Traffic()
        self._clock = clock
        self._credentials = credentials
        self._behaviour = behaviour
        self._ledger = ledger
        self._operators = operators
        self._counts = PerMinute(clock)
        self._spent: dict[str, float] = {}  # account → money

    @property
    def manners(self) -> Manners:
        return self._behaviour.manners(self.name)

    def forget(self) -> None:
        self._counts = PerMinute(self._clock)
        self._spent.clear()

    def balance(self, account: SmsAccount) -> float:
        return round(account.credit - self._spent.get(account.key, 0.0), 6)

    def over_quota(self, account: SmsAccount, texts: int) -> bool:
        """Whether the account asked for more texts in this minute than it may."""
        most = self._behaviour.clouds[self.name].project_per_minute
        return max(self._counts.add(account.key) for _ in range(max(texts, 1))) > most

    def retry_after(self) -> tuple[tuple[str, str], ...]:
        seconds = self._behaviour.clouds[self.name].retry_after
        return (("retry-after", str(max(1, round(seconds)))),) if seconds else ()

    def decide(self, wanted: Wanted) -> Decision:
        return self._behaviour.decide(self.name, wanted.number, wanted.message_id)

    def is_duplicate(self, message_id: str) -> bool:
        return compact(message_id) in self._ledger.accounts[self.name].message_ids

    def pay(self, account: SmsAccount, parts: int) -> bool:
        """Take the price of a text; False when there is not enough left."""
        price = account.price * parts
        if self.balance(account) < price:
            return False
        self._spent[account.key] = self._spent.get(account.key, 0.0) + price
        return True

    def accept(
        self,
        request: Request,
        reporting: Reporting,
        account: SmsAccount,
        wanted: Wanted,
        decision: Decision,
        *,
        provider_id: str,
        ending: Ending,
        older: bool = False,
    ) -> None:
        """Write it down and hand it to the operators."""
        self._ledger.accept(
            self.name,
            application=wanted.sender,
            token=wanted.number,
            message_id=wanted.message_id,
            provider_id=provider_id,
            wire=(request.peer.number, request.stream),
            answer=ending.value,
            more={"payload": {"text": wanted.text}} if self._keeps_payloads else None,
        )
        if decision.fate is Fate.SILENT:
            return
        self._operators.take(
            Text(
                gateway=reporting,
                account=account.key,
                url=wanted.report_url,
                message_id=provider_id,
                number=wanted.number,
                sender=wanted.sender,
                parts=wanted.parts,
                sent_at=self._clock.now(),
                draw=decision.draw,
                older=older,
            )
        )

    @property
    def _keeps_payloads(self) -> bool:
        return self._behaviour.clouds[self.name].keep_payloads

    def refuse(
        self, request: Request, status: int, reason: str, *, number: str = "", message_id: str = ""
    ) -> None:
        self._ledger.refuse(
            self.name,
            token=number,
            message_id=message_id,
            status=status,
            reason=reason,
            wire=(request.peer.number, request.stream),
        )


def bad_gateway(delay: float) -> Answer:
    return Answer(502, (("content-type", "text/html"),), BAD_GATEWAY, delay)


def unknown_member(given: Mapping[str, object], known: set[str]) -> str:
    """The first member that no manual has; "" without any."""
    return next((name for name in given if name not in known), "")
