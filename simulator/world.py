"""Everything the simulated clouds share, tied together and kept in one home folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from simulator.apns import Apns
from simulator.behaviour import Behaviour, Rule
from simulator.certificates import write_private
from simulator.clock import Clock
from simulator.credentials import Credentials
from simulator.exchange import Cloud, Traffic
from simulator.fcm import Fcm
from simulator.google import Google
from simulator.huawei import Huawei
from simulator.huawei_login import HuaweiLogin
from simulator.huawei_receipts import HuaweiReceipts
from simulator.infobip import Infobip
from simulator.inputs import BadInput, json_list, json_object, number, one_of, only, text, whole
from simulator.ledger import Ledger
from simulator.operators import Operators
from simulator.phones import Phones
from simulator.registry import Registry
from simulator.settings import DEFAULTS, NAMES, CloudSettings, Fate, changed, restored, shown
from simulator.twilio import Twilio
from simulator.webpush import WebPush

SENDING = ("fcm", "apns", "infobip", "twilio", "webpush", "hms")  # clouds that take notifications
STORED_BEHAVIOUR = "behaviour.json"


class HomeInUse(Exception):
    """Another simulator works in this folder."""


class World:
    def __init__(self, home: Path, *, seed: int = 1, latency: float | None = None) -> None:
        """`latency` is the median in milliseconds; None keeps the believable default."""
        home.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(home / "gateways.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise HomeInUse(f"{home} is used by another simulator; choose another --home") from None
        self.home = home
        self.clock = Clock()
        self._defaults = {name: _with_latency(one, latency) for name, one in DEFAULTS.items()}
        self.behaviour = Behaviour(self.clock, seed, dict(self._defaults))
        self._load_behaviour()
        self.credentials = Credentials(home)
        self.registry = Registry(home, self.clock)
        self.ledger = Ledger(home, self.clock, SENDING)
        self.phones = Phones(home, self.clock, self.behaviour, self.registry)
        self.google = Google(home, self.clock, self.credentials, self.behaviour)
        self.webpush = WebPush(self.clock, self.behaviour, self.registry, self.ledger, self.phones)
        self.fcm = Fcm(
            self.clock, self.credentials, self.google, self.behaviour, self.registry,
            self.ledger, self.phones, self.webpush.answer,
        )  # fmt: skip
        self.apns = Apns(
            self.clock, self.credentials, self.behaviour, self.registry, self.ledger, self.phones
        )
        self.operators = Operators(home, self.behaviour)
        texting = (self.clock, self.credentials, self.behaviour, self.ledger, self.operators)
        self.infobip, self.twilio = Infobip(*texting), Twilio(*texting)
        self.huawei_login = HuaweiLogin(home, self.clock, self.credentials, self.behaviour)
        self.receipts = HuaweiReceipts(home, self.clock, self.behaviour, self.registry)
        self.huawei = Huawei(
            self.clock, self.credentials, self.huawei_login, self.behaviour, self.registry,
            self.ledger, self.phones, self.receipts,
        )  # fmt: skip
        self.clouds: tuple[Cloud, ...] = (
            self.google, self.fcm, self.apns, self.infobip, self.twilio, self.webpush,
            self.huawei_login, self.huawei,
        )  # fmt: skip

    def close(self) -> None:
        self.ledger.close()
        self.registry.close()
        os.close(self._lock)

    def add_credentials(self, given: Mapping[str, object]) -> None:
        self.credentials.add(given)
        self.apns.tokens.forget()

    # --------------------------------------------------------------------- behaviour

    def change_behaviour(self, given: Mapping[str, object]) -> None:
        """`{"fcm": {…}, "apns": {…}, …, "google": {…}, "rules": […], "seed": n}`; a setting
        outside a cloud is meant for all clouds that send. All or nothing. Raises BadInput.
        """
        only(given, {*self.behaviour.clouds, "rules", "seed"} | NAMES)
        now = self.clock.now()
        clouds = dict(self.behaviour.clouds)
        common = {name: value for name, value in given.items() if name in NAMES}
        for name in SENDING:
            clouds[name] = changed(clouds[name], common, now=now)
        for name, settings in [*clouds.items()]:
            own = json_object(given.get(name, {}), name)
            clouds[name] = changed(settings, own, now=now, field=name)
        rules = self.behaviour.rules
        if "rules" in given:
            rules = [
                _rule(one, f"rules[{place}]", set(clouds))
                for place, one in enumerate(json_list(given["rules"], "rules"))
            ]
        if "seed" in given:
            self.behaviour.seed = whole(-(2**63), 2**63)(given["seed"], "seed")
        self.behaviour.clouds, self.behaviour.rules = clouds, rules
        self.behaviour.changed()
        self._store_behaviour()

    def behaviour_shown(self) -> dict[str, object]:
        told: dict[str, object] = {
            name: shown(settings) for name, settings in self.behaviour.clouds.items()
        }
        told["rules"] = [
            {"cloud": one.cloud, "token": one.token, "fate": one.fate, "tries": one.tries}
            for one in self.behaviour.rules
        ]
        return told | {"seed": self.behaviour.seed}

    def _store_behaviour(self) -> None:
        data = json.dumps({**self.behaviour_shown(), "offset": self.clock.offset}, indent=1)
        write_private(self.home / STORED_BEHAVIOUR, data.encode())

    def _load_behaviour(self) -> None:
        file = self.home / STORED_BEHAVIOUR
        if not file.exists():
            return
        stored = json_object(json.loads(file.read_text()), STORED_BEHAVIOUR)
        clouds = self.behaviour.clouds
        for name, base in clouds.items():
            clouds[name] = restored(base, json_object(stored.get(name, {}), name))
        self.behaviour.rules = [
            _rule(one, "rules", set(clouds)) for one in json_list(stored["rules"], "rules")
        ]
        self.clock.offset = number(float("-inf"), float("inf"))(stored["offset"], "offset")
        self.behaviour.seed = whole(-(2**63), 2**63)(stored["seed"], "seed")
        self.behaviour.changed()

    def move_clock(self, given: Mapping[str, object]) -> None:
        """`{"offset": s}` from real time, or `{"advance": s}` from now. Raises BadInput."""
        only(given, {"offset", "advance"})
        if len(given) != 1:
            raise BadInput("offset", 'give either "offset" or "advance", in seconds')
        seconds = number(-(10**9), 10**9)
        if "offset" in given:
            self.clock.offset = seconds(given["offset"], "offset")
        else:
            self.clock.offset += seconds(given["advance"], "advance")
        self._store_behaviour()

    def reset(self, given: Mapping[str, object]) -> None:
        """Forget everything that happened and was armed; `{"credentials": true}` these too."""
        only(given, {"credentials", "phones"})
        self.ledger.clear()
        self.registry.clear()
        self.phones.clear()
        self.fcm.forget()
        self.apns.forget()
        self.infobip.forget()
        self.twilio.forget()
        self.webpush.forget()
        self.huawei.forget()
        self.operators.clear()
        self.receipts.clear()
        self.behaviour.forget()
        self.behaviour.clouds, self.behaviour.rules = dict(self._defaults), []
        self.behaviour.changed()
        self.clock.offset = 0.0
        (self.home / STORED_BEHAVIOUR).unlink(missing_ok=True)
        for cloud in self.clouds:
            _zero(cloud.traffic)
        self.google.issued = self.google.refused = self.fcm.validated = 0
        self.huawei_login.issued = self.huawei_login.refused = self.huawei.validated = 0
        if given.get("credentials"):
            self.credentials.clear()
        if given.get("phones"):
            self.phones.change({"base_url": "", "applications": {}})

    def statistics(self) -> dict[str, object]:
        """What the clouds noticed about their clients, and how the phones get on."""
        traffic = {
            cloud.name: {
                name: getattr(cloud.traffic, name)
                for name in (
                    "connections", "open_connections", "requests", "in_flight",
                    "max_in_flight", "refused_streams", "goaways", "storms",
                )
            }
            for cloud in self.clouds
        }  # fmt: skip
        reasons = {name: dict(one.reasons) for name, one in self.ledger.accounts.items()}
        return {
            "traffic": traffic,
            "refused": reasons,
            "access_tokens": {"issued": self.google.issued, "refused": self.google.refused},
            "provider_tokens": self.apns.tokens.seen,
            "validated": self.fcm.validated,
            "phones": self.phones.figures(),
            "operators": self.operators.figures(),
            "receipts": self.receipts.figures(),
            "huawei_tokens": {
                "issued": self.huawei_login.issued,
                "refused": self.huawei_login.refused,
            },
        }


def _zero(traffic: Traffic) -> None:
    for name in ("connections", "requests", "refused_streams", "goaways", "storms", "minute"):
        setattr(traffic, name, 0)
    traffic.max_in_flight = traffic.in_flight


def _with_latency(settings: CloudSettings, latency: float | None) -> CloudSettings:
    if latency is None:
        return settings
    return replace(settings, latency_ms=latency, latency_p99_ms=latency * 8)


def _rule(given: object, field: str, clouds: set[str]) -> Rule:
    data = json_object(given, field)
    only(data, {"cloud", "token", "fate", "tries"}, field)
    cloud = data.get("cloud", "")
    if cloud and cloud not in clouds:
        raise BadInput(f"{field}.cloud", f"must be one of {', '.join(sorted(clouds))}")
    return Rule(
        fate=one_of(Fate)(data.get("fate"), f"{field}.fate"),
        token=text(data.get("token", "*"), f"{field}.token"),
        cloud=str(cloud),
        tries=whole(0, 1000)(data.get("tries", 0), f"{field}.tries"),
    )
