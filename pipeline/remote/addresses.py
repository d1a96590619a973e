"""What kind of network an IP address belongs to, whatever form it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_GIVEN_OUT = IPv6Network("2000::/3")
"""all of IPv6 that belongs to anybody in the open network"""
_SHARED = IPv4Network("100.64.0.0/10")
_AZURE = IPv4Address("168.63.129.16")
"""Azure's own services answer its virtual machines there, though the address looks like anybody's."""


def why_private(address: str) -> str | None:
    """What speaks against connecting to an address, such as `a loopback address`; none when it is in the open net."""
    if "%" in address:
        return "an address of one link"
    reasons = (_why(form) for form in _forms(ip_address(address)))
    return next((reason for reason in reasons if reason), None)


def _forms(ip: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The IPv4 addresses where packets to it may arrive, if it wraps any; else the address itself."""
    wrapped = [*_wrapped(ip)] if isinstance(ip, IPv6Address) else []
    yield from wrapped if wrapped else (ip,)


def _wrapped(ip: IPv6Address) -> Iterator[IPv4Address]:
    if ip.ipv4_mapped:
        yield ip.ipv4_mapped
    elif ip.sixtofour:
        yield ip.sixtofour
    elif ip.teredo:
        yield from ip.teredo
    elif ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        yield IPv4Address(int(ip) & 0xFFFFFFFF)


def _why(ip: IPv4Address | IPv6Address) -> str | None:
    kinds = {
        "a loopback address": ip.is_loopback,
        "no address of a machine": ip.is_unspecified,
        "an address of many machines": ip.is_multicast,
        "a link-local address": ip.is_link_local,
        "a private address": ip.is_private or ip in _SHARED or ip == _AZURE,
        "a reserved address": ip.is_reserved or not ip.is_global,
        "an address outside of the open network": isinstance(ip, IPv6Address) and ip not in _GIVEN_OUT,
    }
    return next((kind for kind, applies in kinds.items() if applies), None)
