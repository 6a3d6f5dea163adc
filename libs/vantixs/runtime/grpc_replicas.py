"""The replicas of a service for its clients: found again every second, one channel each, and skipped while one fails.

Their addresses come from the settings, whose host names are resolved again and again, or from the processes of this home.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import grpc

from vantixs.runtime import instances
from vantixs.runtime.addresses import SOCKET_PATH_BYTES, split_address
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.tls import grpc_tls

LOOK_EVERY_S = 1.0
# How long a replica that did not answer is skipped if there are others.
PASSED_OVER_S = 1.0
# How long the channel of a replica that is not listed any more is kept for calls that are queued for it, and for its return.
# Then, how long its last calls may take: as long as a server lets those of an old connection last.
KEPT_S, ENDING_S = 600.0, 86_400.0
# Calls without side effects are repeated, at the same or the next replica, while a service restarts.
PAUSES_S = (0.1, 0.2, 0.4)
_FAILED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_BROKEN = grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Address(NamedTuple):
    """The address of a replica, `host:port` or `unix:PATH`, and the name that its certificate must have, if any."""

    text: str
    host: str = ""


def addresses_of(settings: ServiceSettings, service: str) -> list[Address]:
    """The current addresses of a service's replicas; empty if none is known.

    A host name that cannot be resolved is kept, so that a call to it reports the error.
    """
    listed = [name.strip() for name in getattr(settings, f"{service}_addresses").split(",") if name.strip()]
    if listed:
        return list(dict.fromkeys(found for address in listed for found in _look_up(address)))
    run = settings.home.absolute() / "run"
    return [_local_or_port(facts) for facts in instances.running(run, service)]


def _look_up(address: str) -> list[Address]:
    if address.startswith("unix:"):
        return [Address(address)]
    try:
        host, port = split_address(address)
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return [Address(address)]
    reached = (f"[{to[0]}]:{port}" if family == socket.AF_INET6 else f"{to[0]}:{port}" for family, *_, to in found)
    return [Address(text, host.strip("[]")) for text in sorted(reached)]


def _local_or_port(facts: dict[str, Any]) -> Address:
    """The process's socket in this home if this user may use it: other users cannot use up its connections."""
    path = str(facts.get("socket", ""))
    usable = path and len(os.fsencode(path)) <= SOCKET_PATH_BYTES and os.access(path, os.W_OK)
    return Address(f"unix:{path}" if usable else str(facts["grpc"]))


class Replica:
    """One process of a service."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self._passed_over_until = 0.0
        self._methods: dict[tuple[str, str], Callable[..., Any]] = {}

    @property
    def usable(self) -> bool:
        """Whether it is not known to be unreachable."""
        return (
            time.monotonic() >= self._passed_over_until and self.channel.get_state(try_to_connect=True) is not _BROKEN
        )

    def note(self, error: grpc.aio.AioRpcError) -> None:
        """Records the status of a call. A replica that did not answer is skipped for a moment."""
        if error.code() in _FAILED:
            self._passed_over_until = time.monotonic() + PASSED_OVER_S

    def method(self, kind: str, path: str, arguments: dict[str, Any]) -> Callable[..., Any]:
        """The channel's method of that kind and path; made once."""
        if (made := self._methods.get((kind, path))) is None:
            made = self._methods[kind, path] = getattr(self.channel, kind)(path, **arguments)
        return made


class Replicas:
    """All replicas of a service. `channel` calls any of them; `ranked` gives the preferred ones for a key.

    `idempotent` has the methods ("/pkg.Service/Method") that `channel` repeats, up to three times, while UNAVAILABLE.

    Raises:
        SettingsError: the TLS settings cannot be used.
    """

    def __init__(
        self, service: str, settings: ServiceSettings, *, token: str, idempotent: Sequence[str] = (), operator: str = ""
    ) -> None:
        self.service = service
        self.idempotent = frozenset(idempotent)
        self._settings = settings
        self._tls = grpc_tls(settings)
        self._token = token
        self._operator = operator
        self._all: dict[str, Replica] = {}
        # Replicas that are not listed any more, and since when; then those whose last calls are waited for.
        self._unlisted: dict[str, tuple[Replica, float]] = {}
        self._closing: dict[Replica, asyncio.Task[None]] = {}
        self._turn = 0
        self._look_soon = asyncio.Event()
        # Stubs are made with this object: they use nothing else of a channel.
        self.channel: Any = _Calls(self)

    async def look(self) -> None:
        """Finds the current replicas. A replica that is not listed any more keeps its calls in progress."""
        found = await asyncio.to_thread(addresses_of, self._settings, self.service)
        now = time.monotonic()
        for address in [a for a in found if a.text not in self._all]:
            replica, _ = self._unlisted.pop(address.text, (None, now))
            self._all[address.text] = replica or Replica(address.text, self._open(address))
        for name in self._all.keys() - {a.text for a in found}:
            self._unlisted[name] = self._all.pop(name), now
        for name, (replica, since) in list(self._unlisted.items()):
            if now - since >= KEPT_S:
                del self._unlisted[name]
                self._closing[replica] = asyncio.create_task(self._close_unused(replica), name="replica-closing")

    def _open(self, address: Address) -> grpc.aio.Channel:
        return open_channel(address.text, token=self._token, operator=self._operator, tls=self._tls, host=address.host)

    async def _close_unused(self, replica: Replica) -> None:
        """Closes a channel after its last call: closing it earlier would raise CancelledError to the caller."""
        await replica.channel.close(ENDING_S)
        del self._closing[replica]

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks once a second, and at once if no replica is known."""
        from vantixs.runtime.logs import log  # noqa: PLC0415 - a client that only calls needs nothing to log with

        known: frozenset[str] = frozenset()
        while not stopping.is_set():
            self._look_soon.clear()
            await self.look()
            if known != (known := frozenset(self._all)):
                log.info("replicas.found", of=self.service, addresses=sorted(known))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_soon.wait(), LOOK_EVERY_S)

    def ranked(self, key: str) -> list[Replica]:
        """The replicas in the order in which to ask them about a key, usable ones first.

        The order is by rendezvous hashing: each key has its own order, and a replica that is added or removed changes
        nothing for the others.
        """
        if len(self._all) < 2:
            return list(self._all.values())
        return sorted(self._all.values(), key=lambda r: (not r.usable, _weight(key, r.address)))

    def next(self, tried: Collection[Replica] = ()) -> Replica | None:
        """The next replica in turn, preferably a usable one that was not tried; None if none is known."""
        self._turn += 1
        listed = list(self._all.values())
        if len(listed) < 2:
            return listed[0] if listed else None
        first = self._turn % len(listed)
        in_turn = listed[first:] + listed[:first]
        return min(in_turn, key=lambda r: (r in tried, not r.usable))

    def look_soon(self) -> None:
        """Makes `run` look at once."""
        self._look_soon.set()

    async def close(self) -> None:
        """Closes every channel."""
        for task in self._closing.values():
            task.cancel()
        unlisted = (replica for replica, _ in self._unlisted.values())
        for replica in [*self._all.values(), *unlisted, *self._closing]:
            await replica.channel.close()
        self._all.clear()
        self._unlisted.clear()
        self._closing.clear()


class _Calls:
    """The part of a grpc.aio.Channel that stubs use."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    def unary_unary(self, path: str, **arguments: Any) -> Callable[..., Any]:
        again = PAUSES_S if path in self._replicas.idempotent else ()

        async def call(request: Any, *, timeout: float, metadata: Iterable[tuple[str, str]] = ()) -> Any:
            return await _call_any(self._replicas, path, arguments, again, request, timeout, metadata)

        return call

    def unary_stream(self, path: str, **arguments: Any) -> Callable[..., Any]:
        return self._one("unary_stream", path, arguments)

    def stream_unary(self, path: str, **arguments: Any) -> Callable[..., Any]:
        return self._one("stream_unary", path, arguments)

    def _one(self, kind: str, path: str, arguments: dict[str, Any]) -> Callable[..., Any]:
        def call(request: Any, *, timeout: float, metadata: Iterable[tuple[str, str]] = ()) -> Any:
            replica = self._replicas.next()
            if replica is None:
                raise _none_known(self._replicas.service)
            return replica.method(kind, path, arguments)(request, timeout=timeout, metadata=metadata)

        return call

    stream_stream = unary_stream  # Stubs create all their methods; methods of this kind are never called here.


async def _call_any(
    replicas: Replicas,
    path: str,
    arguments: dict[str, Any],
    pauses: Sequence[float],
    request: Any,
    timeout: float,
    metadata: Iterable[tuple[str, str]],
) -> Any:
    """The answer of one of the replicas.

    Raises:
        AioRpcError: of the last replica that was asked; UNAVAILABLE if none is known.
    """
    deadline = time.monotonic() + timeout
    tried: list[Replica] = []
    for pause in (*pauses, None):
        replica = replicas.next(tried)
        try:
            if replica is None:
                raise _none_known(replicas.service)
            method = replica.method("unary_unary", path, arguments)
            return await method(request, timeout=max(0.001, deadline - time.monotonic()), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if replica:
                replica.note(error)
                tried.append(replica)
            if error.code() is not grpc.StatusCode.UNAVAILABLE or pause is None or time.monotonic() + pause >= deadline:
                replicas.look_soon()
                raise
        await asyncio.sleep(pause)
        await replicas.look()
    raise AssertionError


def _none_known(service: str) -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, f"no process of {service} is known to run")


def _weight(key: str, address: str) -> bytes:
    return hashlib.blake2b(f"{key} {address}".encode(), digest_size=8).digest()
