"""Network addresses as `host:port` text."""

import random
import socket
from pathlib import Path

SOCKET_PATH_BYTES = 107  # What a path may have on Linux: unix(7).


def split_address(address: str) -> tuple[str, int]:
    """Splits `host:port`.

    Raises:
        ValueError: not of that form, or a port outside 0 to 65535.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"expected host:port, was {address!r}")
    return host, int(port)


def reserve_port() -> socket.socket:
    """A socket that holds a free TCP port on loopback, below the range the kernel takes for outgoing connections.

    Nobody else is given the port while the socket is open, yet a server may listen there, again after each restart: the
    socket does not listen, and a server's SO_REUSEADDR shares a port with one that allows it (Linux, socket(7)). It is
    allowed after binding only, so that of two that reserve at once one fails and looks elsewhere.
    """
    ports = random.SystemRandom()
    while True:
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", ports.randrange(20_000, 32_000)))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return holder


def port_of(bound: socket.socket) -> int:
    """The port a socket is bound to."""
    return int(bound.getsockname()[1])


def local_socket(run: Path, service: str, instance: str) -> Path:
    """The Unix socket on which a service of this home answers gRPC, besides its port."""
    return run / f"{service}-{instance}.sock"
