"""Addresses that somebody typed may not lead into our own network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

IPNetwork: TypeAlias = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")  # the last four bytes are an IPv4 address (RFC 6052)


class InsideError(Exception):
    """A name that leads into a private network, or to this machine."""


def is_outside(address: str) -> bool:
    """Whether an IP address belongs to the internet as everybody sees it."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or found
        if isinstance(found, IPv6Address) and found.is_site_local:
            return False
    return found.is_global and not found.is_multicast


def is_allowed(address: str, networks: Sequence[IPNetwork]) -> bool:
    """Whether an IP address belongs to one of these networks."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in networks)


async def resolve(host: str, port: int, allowed: Sequence[IPNetwork] = ()) -> str:
    """An address of a host. Connect to it, not to the name: a name can change its mind.

    Raises InsideError if any address of the name is neither outside nor in a network that is
    allowed, OSError if it has none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not addresses:
        raise OSError("the name has no address")
    if not all(is_outside(each) or is_allowed(each, allowed) for each in addresses):
        raise InsideError("the name leads into a private network")
    return addresses[0]
