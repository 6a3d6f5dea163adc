"""Network addresses as `host:port` text."""

import random
import socket


def split_address(address: str) -> tuple[str, int]:
    """Splits `host:port`.

    Raises:
        ValueError: not of that form, or a port outside 0 to 65535.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"expected host:port, was {address!r}")
    return host, int(port)


def free_port() -> int:
    """A free TCP port on loopback, below the range the kernel takes for outgoing connections."""
    ports = random.SystemRandom()
    while True:
        port = ports.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
