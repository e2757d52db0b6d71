"""What can be set about a simulated cloud, and the believable defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from simulator.exchange import Flavour, Manners
from simulator.inputs import BadInput, flag, number, one_of, only, text, whole


class Fate(StrEnum):
    """What becomes of a request that is well formed and allowed."""

    ACCEPTED = "accepted"
    SILENT = "silent"  # accepted; the phone never reports
    # A device's own, at every try:
    UNREGISTERED = "unregistered"  # 404, 410
    EXPIRED_TOKEN = "expired_token"  # APNs 410 ExpiredToken; FCM as unregistered
    MISMATCHED = "mismatched"  # FCM SENDER_ID_MISMATCH, APNs DeviceTokenNotForTopic
    MALFORMED = "malformed"  # FCM INVALID_ARGUMENT on the token, APNs BadDeviceToken
    # A try's:
    BUSY = "busy"  # 429 for this device
    UNAVAILABLE = "unavailable"  # 503
    UNAVAILABLE_DELIVERED = "unavailable_delivered"  # 503, and delivered all the same
    INTERNAL = "internal"  # 500
    BAD_GATEWAY = "bad_gateway"  # 502 with HTML
    THIRD_PARTY = "third_party"  # FCM 401 THIRD_PARTY_AUTH_ERROR; APNs as internal
    SHUTDOWN = "shutdown"  # APNs 503 Shutdown, then GOAWAY; FCM as unavailable
    IDLE_TIMEOUT = "idle_timeout"  # APNs 400 IdleTimeout; FCM as unavailable
    LOST_ANSWER = "lost_answer"  # accepted, then the connection is reset
    LOST_REQUEST = "lost_request"  # the connection is reset, nothing accepted
    STALLED = "stalled"  # accepted, never answered
    RESET = "reset"  # accepted, then RST_STREAM(INTERNAL_ERROR)
    REFUSED_STREAM = "refused_stream"  # RST_STREAM(REFUSED_STREAM), nothing accepted


BY_DEVICE = frozenset(
    {Fate.SILENT, Fate.UNREGISTERED, Fate.EXPIRED_TOKEN, Fate.MISMATCHED, Fate.MALFORMED}
)
BY_TRY = frozenset(Fate) - BY_DEVICE - {Fate.ACCEPTED}


class Tls(StrEnum):
    """How the handshake goes. Source: contract/providers.md SIM-21."""

    GOOD = "good"
    EXPIRED = "expired"  # the certificate
    WRONG_NAME = "wrong_name"  # the certificate of another host
    REFUSED = "refused"  # an alert


@dataclass(frozen=True)
class CloudSettings:
    rates: Mapping[Fate, float] = field(default_factory=dict)  # shares from 0 to 1
    tries: int = 1  # of a message that meet its bad luck; 0 is all of them
    latency_ms: float = 0.0  # median; 0 answers at once
    latency_p99_ms: float = 0.0
    retry_after: float = 2.0  # seconds told with 429 and 503; 0 tells none
    retry_after_date: bool = False  # told as an HTTP date
    project_per_minute: int = 600_000  # messages of one FCM project
    device_per_minute: int = 240  # messages to one device
    collapsible_burst: int = 20  # FCM: to one device, then one every three minutes
    largest_body: int = 4096  # bytes that a browser's push service takes
    devices_per_second: int = 6000  # Huawei
    huawei_code: str = ""  # that every push is answered with; "" is what it deserves
    outage: Fate | None = None  # everybody's fate
    outage_until: float = 0.0  # Unix time
    one_token_per_key: bool = False  # APNs: token updates are counted over all connections
    keep_payloads: bool = False  # FCM, APNs, SMS: the ledger shows what it was given, at some cost
    tls: Tls = Tls.GOOD
    manners: Manners = field(default_factory=Manners)


DEFAULTS = {
    "fcm": CloudSettings(
        rates={
            Fate.UNREGISTERED: 0.02,
            Fate.MISMATCHED: 0.0005,
            Fate.UNAVAILABLE: 0.0003,
            Fate.BUSY: 0.0003,
        },
        latency_ms=50,
        latency_p99_ms=400,
    ),
    "apns": CloudSettings(
        rates={Fate.UNREGISTERED: 0.01, Fate.MALFORMED: 0.0005, Fate.BUSY: 0.0002},
        latency_ms=50,
        latency_p99_ms=400,
        manners=Manners(max_streams=1000, first_streams=1, max_header_list=8000, idle_seconds=3600),
    ),
    "google": CloudSettings(),  # the token endpoint
    "webpush": CloudSettings(
        rates={Fate.UNREGISTERED: 0.02, Fate.UNAVAILABLE: 0.0003},
        latency_ms=60,
        latency_p99_ms=500,
    ),
    "hms": CloudSettings(
        rates={Fate.UNREGISTERED: 0.02, Fate.UNAVAILABLE: 0.0003},
        latency_ms=150,
        latency_p99_ms=1200,
        retry_after=0,
        manners=Manners(max_body=1_000_000),  # a thousand tokens
    ),
    "huawei": CloudSettings(),  # the token endpoint
    "infobip": CloudSettings(latency_ms=80, latency_p99_ms=600),
    "twilio": CloudSettings(latency_ms=120, latency_p99_ms=800),
}

Check = Callable[[object, str], object]
SHARE = number(0, 1)
_rate_names = {str(fate): fate for fate in BY_DEVICE | BY_TRY}
_plain: dict[str, Check] = {
    "tries": whole(0, 100),
    "latency_ms": number(0, 60_000),
    "latency_p99_ms": number(0, 120_000),
    "retry_after": number(0, 3600),
    "retry_after_date": flag,
    "project_per_minute": whole(1, 10**9),
    "device_per_minute": whole(1, 10**9),
    "collapsible_burst": whole(1, 10**9),
    "largest_body": whole(0, 4096),
    "devices_per_second": whole(1, 10**9),
    "huawei_code": lambda value, name: "" if value == "" else text(value, name, longest=8),
    "one_token_per_key": flag,
    "keep_payloads": flag,
    "tls": one_of(Tls),
}
_manners: dict[str, Check] = {
    "max_streams": whole(1, 2**31 - 1),
    "first_streams": whole(0, 2**31 - 1),
    "window": whole(1, 2**31 - 1),
    "max_header_list": whole(0, 2**20),
    "idle_seconds": number(0.1, 86_400),
    "goaway_every": whole(0, 10**9),
    "goaway_seconds": number(0, 86_400),
    "goaway_flavour": one_of(Flavour),
    "goaway_reason": lambda value, name: "" if value == "" else text(value, name, longest=500),
    "padding": whole(0, 255),
    "dribble": flag,
    "requests_per_connection": whole(0, 10**9),
}
OUTAGE = {"outage", "outage_seconds"}
NAMES = {*_rate_names, *_plain, *_manners, *OUTAGE}


def changed(
    settings: CloudSettings, given: Mapping[str, object], *, now: float, field: str = ""
) -> CloudSettings:
    """The settings with some replaced. Raises BadInput."""
    only(given, NAMES, field)
    rates = dict(settings.rates)
    plain: dict[str, object] = {}
    manners: dict[str, object] = {}
    for name, value in given.items():
        path = f"{field}.{name}" if field else name
        if name in _rate_names:
            rates[_rate_names[name]] = SHARE(value, path)
        elif name in _plain:
            plain[name] = _plain[name](value, path)
        elif name in _manners:
            manners[name] = _manners[name](value, path)
    if sum(rates.get(fate, 0) for fate in BY_TRY) > 1:
        raise BadInput(field or "rates", "the shares of tries that fail add up to more than 1")
    if sum(rates.get(fate, 0) for fate in BY_DEVICE) > 1:
        raise BadInput(field or "rates", "the shares of devices that fail add up to more than 1")
    if "latency_ms" in plain and "latency_p99_ms" not in plain:
        factor = settings.latency_p99_ms / settings.latency_ms if settings.latency_ms else 1.0
        plain["latency_p99_ms"] = float(str(plain["latency_ms"])) * factor
    plain |= _outage(given, now=now, field=field)
    manner = replace(settings.manners, **manners)  # type: ignore[arg-type]
    return replace(settings, rates=rates, manners=manner, **plain)  # type: ignore[arg-type]


def _outage(given: Mapping[str, object], *, now: float, field: str) -> dict[str, object]:
    path = f"{field}." if field else ""
    if "outage" not in given:
        if "outage_seconds" in given:
            raise BadInput(f"{path}outage_seconds", 'goes together with "outage"')
        return {}
    if given["outage"] is None:
        return {"outage": None, "outage_until": 0.0}
    fate = one_of(Fate)(given["outage"], f"{path}outage")
    if fate not in BY_TRY:
        raise BadInput(f"{path}outage", f"must be one of {', '.join(sorted(BY_TRY))}")
    seconds = number(0, 86_400)(given.get("outage_seconds", 86_400), f"{path}outage_seconds")
    return {"outage": fate, "outage_until": now + seconds}


def shown(settings: CloudSettings) -> dict[str, object]:
    """The settings as the control API tells and stores them."""
    plain = asdict(settings)
    manners, rates = plain.pop("manners"), plain.pop("rates")
    return {**{str(fate): rate for fate, rate in rates.items()}, **plain, **manners}


def restored(base: CloudSettings, stored: Mapping[str, object]) -> CloudSettings:
    """The opposite of `shown`. Raises BadInput."""
    given = {name: value for name, value in stored.items() if name in NAMES - OUTAGE}
    made = changed(base, given, now=0)
    until = number(0, float("inf"))(stored.get("outage_until", 0.0), "outage_until")
    outage = stored.get("outage")
    fate = None if outage is None else one_of(Fate)(outage, "outage")
    return replace(made, outage=fate, outage_until=until)
