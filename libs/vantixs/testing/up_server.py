"""Runs `vantixs up` for tests, without the second of importing that each of its processes would need.

One process has imported every service, and forks for `vantixs up`, which forks for its services in turn: what is killed,
frozen and read is a process of its own each, with the environment, the log and the parent that it has in production. A
service that is started again is started as in production, from nothing. `python -m vantixs.testing.up_server` is that process.
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
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vantixs.testing.command_server import CommandServer, become, load_command

_MOST_FILES = 4096


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
        service.load()
    importlib.import_module("alembic.command")  # Services import it where they migrate.
    stack: Any = importlib.import_module("vantixs_console.stack")
    stack.asyncio = _Forking(stack.asyncio)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _ended(request["poll"])
        elif (answer := os.fork()) == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            become(request)
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


class _Forking:
    """`asyncio`, of which the first process of each service is a fork."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._started: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    async def create_subprocess_exec(self, *command: str, **options: Any) -> Any:
        """As asyncio's."""
        label = f"{command[-1]} {options['env'].get('VANTIXS_INSTANCE', '')}"
        if "serve" not in command or label in self._started or not hasattr(os, "pidfd_open"):
            return await self._module.create_subprocess_exec(*command, **options)
        self._started.add(label)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _serve(command, options)
        return _Child(pid)


def _serve(command: Sequence[str], options: dict[str, Any]) -> None:
    """The forked child: a process as `create_subprocess_exec` would have made it."""
    try:
        os.setsid()
        options["preexec_fn"]()
        # What the loop of `vantixs up` listens to is not ours. It stays referenced by the frames below, and is never closed.
        asyncio._set_running_loop(None)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for stream, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, options["stdout"]), (2, options["stderr"])):
            os.dup2(source, stream)
        os.closerange(3, _MOST_FILES)
    except BaseException:
        os._exit(1)
    become(
        {"arguments": command[command.index("serve") :], "environ": options["env"], "streams": [], "cwd": os.getcwd()}
    )


class _Child:
    """A forked service, with what `vantixs up` uses of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._fd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._fd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
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
