"""A connection that is slow, cut or silent: a relay of TCP connections on loopback, in a process of its own.

Run as `python -m vantixs.testing.slow_link HOST PORT DELAY_MS`; it prints the port it listens on. The target may be the
path of a Unix socket with port 0.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from types import TracebackType

CHUNK = 1 << 16


class SlowLink:
    """A relay to an address; every byte arrives so much later than it was sent, each way."""

    def __init__(self, host: str, port: int, delay_s: float = 0.0) -> None:
        command = [sys.executable, "-m", "vantixs.testing.slow_link", host, str(port), str(delay_s * 1000)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout, "asked for"
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> "SlowLink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def silence(self) -> None:
        """From now on nothing arrives, and nothing is refused: a black hole."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """What was on its way arrives, and the link works again."""
        os.kill(self._process.pid, signal.SIGCONT)

    def cut(self) -> None:
        """Ends every connection; new ones are taken."""
        os.kill(self._process.pid, signal.SIGUSR1)

    def round_trips(self) -> int:
        """How often so far a client had to wait for an answer before it sent more; only where there is a delay."""
        os.kill(self._process.pid, signal.SIGUSR2)
        assert self._process.stdout, "asked for"
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the relay and its connections."""
        self.resume()
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout, "asked for"
        self._process.stdout.close()


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float, note: Callable[[], None]
) -> None:
    """Passes on what comes, each piece after the delay, in order and without holding up the pieces behind it."""
    loop = asyncio.get_running_loop()
    waiting: deque[tuple[float, bytes]] = deque()
    more = asyncio.Event()

    async def send() -> None:
        while True:
            while not waiting:
                more.clear()
                await more.wait()
            due, data = waiting.popleft()
            if (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
            if not data:
                return
            writer.write(data)
            await writer.drain()

    sending = asyncio.create_task(send())
    try:
        while not sending.done():
            data = await reader.read(CHUNK)
            note()
            waiting.append((loop.time() + delay_s, data))
            more.set()
            if not data:
                break
        await sending
    except OSError:
        sending.cancel()
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def _serve(host: str, port: int, delay_s: float) -> None:
    open_writers: set[asyncio.StreamWriter] = set()
    loop = asyncio.get_running_loop()
    round_trips = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = asyncio.open_unix_connection(host) if port == 0 else asyncio.open_connection(host, port)
            far_reader, far_writer = await there
        except OSError:
            writer.close()
            return
        both = {writer, far_writer}
        open_writers.update(both)
        answered, begun = True, -1.0

        def asked() -> None:
            nonlocal answered, begun, round_trips
            # What is sent before an answer to the first of it can be here waits for nothing.
            if answered and loop.time() - begun >= 2 * delay_s:
                round_trips, begun, answered = round_trips + 1, loop.time(), False

        def answer() -> None:
            nonlocal answered
            answered = True

        try:
            await asyncio.gather(
                _relay(reader, far_writer, delay_s, asked), _relay(far_reader, writer, delay_s, answer)
            )
        finally:
            open_writers.difference_update(both)

    def report() -> None:
        sys.stdout.write(f"{round_trips}\n")
        sys.stdout.flush()

    def cut() -> None:
        for writer in open_writers:
            writer.transport.abort()

    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, cut)
    loop.add_signal_handler(signal.SIGUSR2, report)
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()
    cut()
    await asyncio.gather(
        *(task for task in asyncio.all_tasks() if task is not asyncio.current_task()), return_exceptions=True
    )


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
