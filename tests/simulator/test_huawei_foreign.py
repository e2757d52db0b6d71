"""Huawei's own SDK: it pushes to the simulator, and writes what our provider writes.

Source: contract/providers.md 12.1 and 12.2.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import uuid
import warnings
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from providers.base import Network, PushNotification
from providers.huawei import HuaweiProvider
from tests.simulator.huawei import APP, SECRET, app, token
from tests.simulator.running import Simulator
from tests.simulator.test_foreign_clients import COUNT, near

MESSAGE_ID = uuid.UUID("018f0000-0000-8000-8000-000000000001")


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package takes itself for a part of one that is called `src`."""
    found = importlib.util.find_spec("push_admin")
    assert found is not None
    assert found.submodule_search_locations
    around = ModuleType("src")
    around.__path__ = [str(Path(found.submodule_search_locations[0]).parent)]
    monkeypatch.setitem(sys.modules, "src", around)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # it compares numbers with `is`
        return importlib.import_module("src.push_admin.messaging")


class Client:
    """The SDK's client of one app."""

    def __init__(self, sdk: Any, simulator: Simulator, secret: str = SECRET) -> None:
        self._sdk = sdk
        self._app = sdk._app.App(APP, secret, None)
        self._ca_file = simulator.ca_file

    def send(self, message: Any, *, dry: bool = False) -> Any:
        return self._sdk.SendResponse(self._app.send(message, dry, verify_peer=self._ca_file))


@pytest.fixture
def huawei(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    near(simulator, monkeypatch)
    simulator.post("/credentials", {"hms": [app()]})
    return simulator


def message(sdk: Any, *tokens: str, data: str | None = None, **android: Any) -> Any:
    """A notification that opens the app; with the SDK's own defaults."""
    shown = android.pop("shown", {})
    click = sdk.AndroidClickAction(action_type=3)
    notification = sdk.AndroidNotification(
        **{"title": "Sale", "body": "Today", "click_action": click, **shown}
    )
    config = sdk.AndroidConfig(**{"bi_tag": "camp-17", "notification": notification, **android})
    return sdk.Message(data=data, android=config, token=list(tokens))


def test_the_sdk_sends_a_hundred_and_reads_each_kind_of_answer(sdk: Any, huawei: Simulator) -> None:
    client = Client(sdk, huawei)
    tokens = [token() for _ in range(COUNT)]

    taken = client.send(message(sdk, *tokens))
    partly = client.send(message(sdk, token(), "gone"))
    none = client.send(message(sdk, "gone"))
    urgent = client.send(message(sdk, token(), urgency="HIGH"))
    dry = client.send(message(sdk, token()), dry=True)

    assert (taken.code, taken.reason) == ("80000000", "Success")
    assert (partly.code, none.code, urgent.code, dry.code) == (
        "80100000", "80300007", "80300011", "80000000",
    )  # fmt: skip
    assert json.loads(partly.reason)["illegal_tokens"] == ["gone"]
    rows = huawei.get("/ledger/messages")["messages"]
    assert [row["token"] for row in rows[:COUNT]] == tokens
    assert rows[0]["provider_id"] == taken.requestId
    assert len(rows) == COUNT + 1
    assert huawei.get("/statistics")["huawei_tokens"]["issued"] == 1


def test_the_sdk_is_told_of_a_wrong_secret_and_of_trouble(sdk: Any, huawei: Simulator) -> None:
    with pytest.raises(sdk.ApiCallError, match="status code is 400 in get access token"):
        Client(sdk, huawei, "guess").send(message(sdk, token()))

    huawei.post("/behaviour", {"hms": {"devices_per_second": 1}})
    with pytest.raises(sdk.ApiCallError, match="status code is 503"):
        Client(sdk, huawei).send(message(sdk, token(), token()))


# What the SDK sends of itself, and Huawei takes for granted.
UNSAID = {"use_default_vibrate": None, "use_default_light": None, "foreground_show": None}
SCORE = zlib.crc32(b"score")
LINK = "intent://sale#Intent;scheme=shop;launchFlags=0x04000000;end"


@pytest.mark.parametrize(
    ("said", "shown", "android"),
    [
        ({}, {}, {}),
        ({"title": "Sale"}, {"title": "Sale"}, {}),
        ({"image_url": "https://cdn/x.png"}, {"image": "https://cdn/x.png"}, {}),
        ({"sound": "ding.wav"}, {"sound": "/raw/ding", "default_sound": False}, {}),
        ({"vibrate": False}, {"use_default_vibrate": False}, {}),
        ({"badge": 3}, {"badge": ("com.example.Main", 3)}, {}),
        ({"deep_link": "shop://sale"}, {"click_action": {"action_type": 1, "intent": LINK}}, {}),
        (
            {"browser_url": "https://shop.example/"},
            {"click_action": {"action_type": 2, "url": "https://shop.example/"}},
            {},
        ),
        ({"thread_id": "orders"}, {"group": "orders"}, {}),
        ({"channel_id": "promo"}, {"channel_id": "promo"}, {}),
        ({"urgency": "low"}, {"importance": "LOW"}, {}),
        (
            {"collapse_key": "score"},
            {"notify_id": SCORE & 0x7FFFFFFF},
            {"collapse_key": SCORE % 100 + 1},
        ),
    ],
)
def test_our_provider_writes_what_the_sdk_writes(
    sdk: Any, said: dict[str, Any], shown: dict[str, Any], android: dict[str, Any]
) -> None:
    """But for the category, which the SDK leaves out."""
    data = {"client_id": APP, "client_secret": SECRET, "badge_class": "com.example.Main"}
    provider = HuaweiProvider(data, network=Network())
    payload = provider.compile(PushNotification(text="Today", application_name="Shop", **said))
    ours = json.loads(payload.body(["t"], MESSAGE_ID, 3600))
    shown = {"title": "Shop", "importance": "NORMAL", "default_sound": True, **UNSAID, **shown}
    if "click_action" in shown:
        shown["click_action"] = sdk.AndroidClickAction(**shown["click_action"])
    if "badge" in shown:
        clazz, number = shown["badge"]
        shown["badge"] = sdk.AndroidBadgeNotification(clazz=clazz, set_num=number)
    tag = f"m-{MESSAGE_ID}"
    written = message(
        sdk, "t", data=ours["message"]["data"], ttl="3600s", bi_tag=tag, shown=shown, **android
    )  # fmt: skip

    theirs = sdk._app.App.JSON_ENCODER.default(written)

    assert ours["message"]["android"].pop("category") == "MARKETING"
    assert ours["message"] == theirs
