"""providers.outside: what may be connected to when somebody typed the address."""

import asyncio
import socket

import pytest

from providers import outside


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001:82f::200a", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_outside(address: str) -> None:
    assert outside.is_outside(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",  # 10.0.0.1 behind NAT64
        "fec0::1",
    ],
)
def test_private_addresses_are_not(address: str) -> None:
    assert not outside.is_outside(address)


def resolve(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    def found(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return asyncio.run(outside.resolve("gateway.example", 443))


def test_a_name_is_resolved_once_and_the_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(["8.8.8.8", "1.1.1.1"], monkeypatch) == "8.8.8.8"


def test_one_private_address_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(outside.InsideError):
        resolve(["8.8.8.8", "127.0.0.1"], monkeypatch)


def test_a_name_without_an_address_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="no address"):
        resolve([], monkeypatch)
