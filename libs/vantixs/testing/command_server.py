"""Runs `vantixs` commands for tests, each in a process of its own, without the second that importing them takes.

One process has imported the command line and forks for every command: what runs, with which environment, output and
exit code, is as if it had been started from a shell. `python -m vantixs.testing.command_server` is that process.
"""

import atexit
import contextlib
import importlib.metadata
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# What a script runs as `vantixs`: it hands over its streams, and ends as the command does.
_STUB = """
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(SOCKET)
request = {"arguments": sys.argv[1:], "environ": dict(os.environ), "cwd": os.getcwd()}
socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
sys.exit(int(connection.recv(16) or 1))
"""


class CommandServer:
    """The process that forks, started with the first command. Commands run one after the other."""

    module = "vantixs.testing.command_server"

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self, arguments: Sequence[str], environ: Mapping[str, str], *, cwd: Path | None = None, answer: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """One command, from the arguments after `vantixs`; `answer` is what it reads from standard input."""
        with self._lock, tempfile.TemporaryDirectory() as directory:
            given, out, err = (Path(directory, name) for name in ("in", "out", "err"))
            given.write_text(answer)
            streams = [str(given), str(out), str(err)]
            request = {"arguments": arguments, "environ": dict(environ), "streams": streams}
            request["cwd"] = str(cwd or os.getcwd())
            code = int(self._exchange(request))
            return subprocess.CompletedProcess(["vantixs", *arguments], code, out.read_text(), err.read_text())

    def put_on_path(self, directory: Path) -> Path:
        """Makes `directory/vantixs`, a command for scripts that has this process run it; returns the directory."""
        stub = directory / "vantixs"
        directory.mkdir(parents=True, exist_ok=True)
        socket_path = directory / "commands"
        self._exchange({"listen": str(socket_path)})
        stub.write_text(f"#!{sys.executable} -IS\n{_STUB.replace('SOCKET', repr(str(socket_path)))}")
        stub.chmod(0o755)
        return directory

    def _exchange(self, request: Mapping[str, Any]) -> str:
        process = self._running()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"{self.module} ended"
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, "-m", self.module]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            atexit.register(self._close, self._process)
        return self._process

    @staticmethod
    def _close(process: "subprocess.Popen[str]") -> None:
        process.communicate()


def serve() -> None:
    """Reads requests from standard input until it ends; answers each with its exit code."""
    main = load_command()
    # Whatever a first command imports is imported before the fork, so that no child has to.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["status", "--home", os.devnull])
    for line in sys.stdin:
        request = json.loads(line)
        if "listen" in request:
            _listen(request["listen"])
            print(0, flush=True)  # noqa: T201 - the answer
            continue
        child = os.fork()
        if child == 0:
            become(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _listen(path: str) -> None:
    """Takes commands of stubs, until this process ends: a process forks for each, and tells its stub the exit code."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    server = os.getpid()
    if os.fork():
        listening.close()
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for them.
    listening.settimeout(1)
    while True:
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            if os.getppid() != server:
                os._exit(0)
            continue
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            content, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
            request = json.loads(content)
            child = os.fork()
            if child == 0:
                become(request | {"streams": streams})
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            connection.sendall(str(code).encode())
            os._exit(0)
        connection.close()


def load_command() -> Callable[[list[str]], int]:
    """The installed `vantixs` command."""
    (found,) = importlib.metadata.entry_points(group="console_scripts", name="vantixs")
    command: Callable[[list[str]], int] = found.load()
    return command


def become(request: dict[str, Any]) -> NoReturn:
    """The forked child: becomes the command, or the `module` as `python -m` runs it, and ends."""
    code = 1
    try:
        os.chdir(str(request["cwd"]))
        for stream, name in enumerate(request["streams"]):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if stream else os.O_RDONLY
            os.dup2(name if isinstance(name, int) else os.open(name, flags, 0o600), stream)
        sys.stdin = os.fdopen(0)
        os.environ.clear()
        os.environ.update(request["environ"])
        module = request.get("module")
        sys.argv = [module or "vantixs", *request["arguments"]]
        if module:
            sys.path.insert(0, os.getcwd())
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        else:
            code = load_command()(sys.argv[1:])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # as the interpreter does for a command that fails
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
