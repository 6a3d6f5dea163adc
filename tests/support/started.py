"""Starts a process of its own for a test: one `vantixs` command and not the whole system, or a module of the tests.

As the processes of a `RunningStack` they are forks of the one that has imported every service.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vantixs.testing.stack import UPS, RunningStack
from vantixs.testing.up_server import UpProcess

from tests.support.paths import ROOT

Started = subprocess.Popen[bytes] | UpProcess


def start_vantixs(
    arguments: Sequence[str], environ: Mapping[str, str], output: Path, *, forked: bool = True
) -> Started:
    """A command with exactly this environment; what it prints is appended to `output`. Executed if not `forked`."""
    return _start("", arguments, environ, Path.cwd(), (output, output), forked=forked)


def run_vantixs(arguments: Sequence[str], environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """A command with exactly this environment, to its end.

    Raises:
        TimeoutExpired: it did not end within a minute; it was killed.
    """
    return _run("", arguments, environ, Path.cwd(), 60)


def start_module(module: str, arguments: Sequence[str], output: Path) -> Started:
    """`python -m MODULE`; what it prints is appended to `output`."""
    return _start(module, arguments, os.environ, ROOT, (output, output))


def run_module(module: str, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """`python -m MODULE`, to its end."""
    return _run(module, arguments, os.environ, ROOT, None)


def _start(
    module: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path,
    outputs: tuple[Path, Path],
    *,
    forked: bool = True,
) -> Started:
    out, err = outputs
    if forked and RunningStack.forked:
        request = {"module": module, "arguments": arguments, "environ": dict(environ), "cwd": str(cwd)}
        pid = UPS.ask(request | {"streams": [os.devnull, str(out), str(err)]})
        assert pid is not None
        return UpProcess(UPS, pid)
    command = [sys.executable, "-m", module or "vantixs_console", *arguments]
    with out.open("a") as o, err.open("a") as e:
        return subprocess.Popen(command, env=dict(environ), cwd=cwd, stdin=subprocess.DEVNULL, stdout=o, stderr=e)


def _run(
    module: str, arguments: Sequence[str], environ: Mapping[str, str], cwd: Path, timeout_s: float | None
) -> "subprocess.CompletedProcess[str]":
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory, "out"), Path(directory, "err")
        process = _start(module, arguments, environ, cwd, (out, err))
        try:
            code = process.wait(timeout_s)
        finally:
            process.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess([module or "vantixs", *arguments], code, out.read_text(), err.read_text())
