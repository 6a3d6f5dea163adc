"""Runs `vantixs up` for tests, without the second of importing that each of its processes would need.

One process (`python -m vantixs.testing.up_server`) has imported every service. It forks for `vantixs up`, and that forks for
a process which forks for the services, also when they are started again. So every service is a process of its own to kill,
to freeze and to read, with the environment and the log that it has in production, and all end with `vantixs up`.
"""

import asyncio
import contextlib
import gc
import importlib.metadata
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vantixs.runtime import database_setup
from vantixs.testing.command_server import CommandServer, become, load_command
from vantixs.testing.migrations import record_migrations, repeat_migrations

_MOST_FILES = 4096
_MOST_BYTES = 1 << 20


class UpProcess:
    """A `vantixs up` that an `UpServer` started, with what tests use of `subprocess.Popen`."""

    def __init__(self, server: "UpServer", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._ended = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"poll": self.pid})
            if self.returncode is not None:
                os.close(self._ended)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.

        Raises:
            TimeoutExpired: it did not within so many seconds.
        """
        if self.returncode is None:
            # It is not our child, so that it cannot be waited for; its descriptor is readable once it has ended.
            ended = select.poll()
            ended.register(self._ended, select.POLLIN)
            if not ended.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("vantixs up", timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class UpServer(CommandServer):
    """The process that forks, started with the first `vantixs up`."""

    module = "vantixs.testing.up_server"

    def start(self, arguments: Sequence[str], environ: Mapping[str, str], output: Path) -> UpProcess:
        """Starts `vantixs` with these arguments; what it prints goes to a file."""
        streams = [os.devnull, str(output), str(output)]
        request = {"arguments": arguments, "environ": dict(environ), "streams": streams, "cwd": os.getcwd()}
        pid = self.ask(request)
        assert pid is not None
        return UpProcess(self, pid)

    def ask(self, request: dict[str, Any]) -> int | None:
        """One request and its answer."""
        with self._lock:
            return cast("int | None", json.loads(self._exchange(request)))


def serve() -> None:
    """Reads requests from standard input until it ends; answers with the id of the process, or with its exit code."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    main = load_command()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["status", "--home", os.devnull])
    for service in importlib.metadata.entry_points(group="vantixs.services"):
        module = importlib.import_module(service.module)
        if hasattr(module, "MIGRATIONS"):
            record_migrations(service.name, module.MIGRATIONS)
    database_setup.upgrade_schema = repeat_migrations
    stack: Any = importlib.import_module("vantixs_console.stack")
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _ended(request["poll"])
        elif (answer := os.fork()) == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if "up" in request["arguments"]:
                stack.asyncio = _Forking(asyncio, _start_forker(stack.die_with_parent))
            become(request)
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _start_forker(prepare: Callable[[], None]) -> socket.socket:
    """Starts the process that forks for services; returns the connection to it. `prepare` is run in each service.

    `vantixs up` cannot: it soon has threads of gRPC, of which a fork has only the locks.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        return ours
    try:
        ours.close()
        os.setsid()
        for stream in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        _fork_services(theirs, prepare)
    finally:
        os._exit(1)


def _fork_services(connection: socket.socket, prepare: Callable[[], None]) -> None:
    """Answers requests like `serve`, until `vantixs up` has ended: then this process ends, and the services with it."""
    while True:
        content, logs, _, _ = socket.recv_fds(connection, _MOST_BYTES, 2)
        if not content:
            return
        request = json.loads(content)
        if "poll" in request:
            answer = _ended(request["poll"])
        elif (answer := os.fork()) == 0:
            os.setsid()
            prepare()
            for stream, log in enumerate(logs, 1):
                os.dup2(log, stream)
            os.closerange(3, _MOST_FILES)
            become(request)
        for log in logs:
            os.close(log)
        connection.send(json.dumps(answer).encode())


class _Forking:
    """`asyncio`, of which the services are forks."""

    def __init__(self, module: Any, connection: socket.socket) -> None:
        self._module = module
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    async def create_subprocess_exec(self, *command: str, **options: Any) -> Any:
        """As asyncio's."""
        if "serve" not in command:
            return await self._module.create_subprocess_exec(*command, **options)
        request = {
            "arguments": command[command.index("serve") :],
            "environ": options["env"],
            "streams": [],
            "cwd": os.getcwd(),
        }
        pid = _ask(self._connection, request, options["stdout"], options["stderr"])
        assert pid is not None
        return _Child(self._connection, pid)


def _ask(connection: socket.socket, request: dict[str, Any], *logs: int) -> int | None:
    socket.send_fds(connection, [json.dumps(request).encode()], logs)
    return cast("int | None", json.loads(connection.recv(_MOST_BYTES)))


class _Child:
    """A forked service, with what `vantixs up` uses of `asyncio.subprocess.Process`."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection
        self._ended = asyncio.Event()
        self._fd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._fd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self.returncode = _ask(self._connection, {"poll": self.pid})
        self._ended.set()

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    serve()
