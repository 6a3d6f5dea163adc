"""Where a request comes from: the peer, or what a trusted proxy says about it."""

import ipaddress
import re
from collections.abc import Mapping, Sequence

from vantixs_ingress.webhooks.networks import Network, parse_address, within

_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,\s]+)', re.IGNORECASE)
MOST_HOPS = 32


class Proxies:
    """The trusted proxies. Forwarding headers of any other peer are ignored, as anybody can send them."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._trusted: dict[str, bool] = {}

    def trusts(self, peer: str) -> bool:
        """Whether the peer is a trusted proxy."""
        if not self._networks:
            return False
        known = self._trusted.get(peer)
        if known is None:
            if len(self._trusted) > 1000:
                self._trusted.clear()
            known = self._trusted[peer] = within(parse_address(peer), self._networks)
        return known

    def source(self, peer: str, headers: Mapping[str, str]) -> str:
        """The sender's address: the right-most hop that is no trusted proxy.

        `Forwarded` (RFC 7239) is read where there is no `X-Forwarded-For`. A hop that is no address ends the search at the
        proxy that reported it: what stands left of it may have been written by anybody.
        """
        if not self.trusts(peer):
            return peer
        hops = headers.get("x-forwarded-for", "").split(",")
        if hops == [""]:
            parts = headers.get("forwarded", "").split(",")
            hops = [match[1] if (match := _FORWARDED_FOR.search(part)) else "" for part in parts]
        last = peer
        for hop in reversed(hops[-MOST_HOPS:]):
            address = parse_address(hop)
            if address is None:
                break
            last = str(address)
            if not within(address, self._networks):
                break
        return last


def block_of(address: str) -> str:
    """The block that is limited together: an IPv4 address, or the /64 of an IPv6 one, as one customer is given a whole /64."""
    if ":" not in address:
        return address
    return ":".join(ipaddress.ip_address(address.partition("%")[0]).exploded.split(":")[:4])
