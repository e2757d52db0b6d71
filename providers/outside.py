"""Addresses that somebody typed may not lead into our own network."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

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


async def resolve(host: str, port: int) -> str:
    """An address of a host. Connect to it, not to the name: a name can change its mind.

    Raises InsideError if any address of the name is not outside, OSError if it has none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not addresses:
        raise OSError("the name has no address")
    if not all(map(is_outside, addresses)):
        raise InsideError("the name leads into a private network")
    return addresses[0]
