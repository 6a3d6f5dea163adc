"""Networks from which a webhook or a proxy setting takes requests, and addresses as proxies write them."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Source: TradingView's help page on webhooks. All its users share these addresses, so one proves nothing about the sender.
TRADINGVIEW = ("52.89.214.238/32", "34.212.75.30/32", "54.218.53.128/32", "52.32.178.7/32")
PRESETS = {"tradingview": TRADINGVIEW}


def parse_networks(names: Sequence[str]) -> tuple[Network, ...]:
    """Networks of CIDRs and presets.

    Raises:
        ValueError: neither.
    """
    return tuple(ipaddress.ip_network(n) for name in names for n in PRESETS.get(name, (name,)))


def parse_address(text: str) -> Address | None:
    """An address as proxies write it: with or without port, brackets and quotes; None for anything else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks."""
    return address is not None and any(address in network for network in networks)
