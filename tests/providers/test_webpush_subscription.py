"""providers.webpush.subscription: which addresses of strangers are called."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.webpush.subscription import HOSTS, BadSubscription, is_known, read
from tests.providers.browsers import GOOGLE, MOZILLA, Browser

GOOD = [
    f"https://{GOOGLE}/fcm/send/dXZ:APA91b-x_y",
    f"https://{GOOGLE}:443/wp/abc",
    f"https://{MOZILLA}/wpush/v2/gAAAA%2Bx==",
    "https://web.push.apple.com/QGu-x.y~z",
    "https://api.push.apple.com/3/x",
    "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAD%2bx%3d",
]
HOSTILE = [
    "http://fcm.googleapis.com/fcm/send/x",
    "HTTPS://fcm.googleapis.com/fcm/send/x",
    "ftp://fcm.googleapis.com/x",
    "//fcm.googleapis.com/x",
    "https://fcm.googleapis.com",
    "https://fcm.googleapis.com/",
    "https://fcm.googleapis.com:80/x",
    "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com:/x",
    "https://fcm.googleapis.com:443:443/x",
    "https://user@fcm.googleapis.com/x",
    "https://user:secret@fcm.googleapis.com/x",
    "https://fcm.googleapis.com@evil.example/x",
    "https://evil.example#@fcm.googleapis.com/x",
    "https://evil.example\\@fcm.googleapis.com/x",
    "https://evil.example?@fcm.googleapis.com/x",
    "https://fcm.googleapis.com.evil.example/x",
    "https://evilfcm.googleapis.com/x",
    "https://notify.windows.com/x",
    "https://evilnotify.windows.com/x",
    "https://.notify.windows.com/x",
    "https://x..notify.windows.com/x",
    "https://fcm.googleapis.com./x",
    "https://fcm.googleapis.com%2eevil.example/x",
    "https://fcm。googleapis。com/x",
    "https://ｆcm.googleapis.com/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/x",
    "https://fcm.googleapis.com/x y",
    "https://fcm.googleapis.com/x\r\nHost: evil.example",
    "https://fcm.googleapis.com/x\0",
    "https://fcm.googleapis.com/x#fragment",
    "https://fcm.googleapis.com/x\\y",
    "https://fcm.googleapis.com/%zz",
    "https://fcm.googleapis.com/é",
    " https://fcm.googleapis.com/x",
    "https://fcm.googleapis.com/x\n",
    "https://fcm.googleapis.com/" + "x" * 2001,
    "https://" + "x" * 64 + ".notify.windows.com/x",
    "https://" + "x." * 130 + "notify.windows.com/x",
    "",
]


def token(endpoint: object = GOOD[0], **keys: Any) -> str:
    told = Browser().subscription()
    told["endpoint"] = endpoint
    told["keys"] |= keys
    return json.dumps(told)


@pytest.mark.parametrize("endpoint", GOOD)
def test_the_well_known_push_services_are_called(endpoint: str) -> None:
    found = read(token(endpoint))

    parts = urlsplit(endpoint)
    assert found.host == parts.hostname
    assert found.path == parts.path + (f"?{parts.query}" if parts.query else "")
    assert found.origin == f"https://{parts.hostname}"


@pytest.mark.parametrize("endpoint", HOSTILE)
def test_nothing_else_is(endpoint: str) -> None:
    with pytest.raises(BadSubscription):
        read(token(endpoint))


def test_other_hosts_are_called_where_a_setting_names_them() -> None:
    extra = ("push.example.org", "*.push.example.net")

    assert read(token("https://push.example.org/x"), extra).host == "push.example.org"
    assert read(token("https://a.b.push.example.net/x"), extra).host == "a.b.push.example.net"
    for other in ("https://sub.push.example.org/x", "https://push.example.net/x"):
        with pytest.raises(BadSubscription):
            read(token(other), extra)


@given(st.text(max_size=60), st.text(max_size=20), st.sampled_from(["", "/", "/x"]))
def test_whatever_is_let_through_leads_to_a_known_host(host: str, port: str, path: str) -> None:
    endpoint = f"https://{host}{port}{path}"
    try:
        found = read(token(endpoint))
    except BadSubscription:
        return
    parts = urlsplit(endpoint)
    assert is_known(str(parts.hostname), HOSTS)
    assert parts.username is None
    assert parts.port in (None, 443)
    assert found.host == parts.hostname


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(BadSubscription):
        read(text.encode("utf-8", "replace").decode())


@pytest.mark.parametrize(
    "keys",
    [
        {"auth": ""},
        {"auth": None},
        {"auth": "AAAA"},
        {"auth": "A" * 23},
        {"auth": "!" * 22},
        {"p256dh": ""},
        {"p256dh": 7},
        {"p256dh": "A" * 87},
        {"p256dh": "BA" + "A" * 85},
        {"p256dh": "B" + "_" * 86},
    ],
)
def test_keys_that_no_browser_has_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(BadSubscription):
        read(token(**keys))


@pytest.mark.parametrize("text", ["[]", "{}", '{"keys": []}', "null", "{", "[" * 10000])
def test_what_is_no_subscription_is_refused(text: str) -> None:
    with pytest.raises(BadSubscription):
        read(text)
