"""Starts `vantixs` as a process of its own, for tests that need one service and not the whole system."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vantixs.testing.stack import UPS, RunningStack
from vantixs.testing.up_server import UpProcess


def start_vantixs(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    output: Path,
    errors: Path | None = None,
    *,
    forked: bool = True,
) -> "subprocess.Popen[bytes] | UpProcess":
    """A command with exactly this environment; what it prints is appended to `output`, its errors as well where no file is given.

    As in a `RunningStack` it is a fork of the process that has imported every service, unless not `forked`.
    """
    errors = errors or output
    if forked and RunningStack.forked:
        streams = [os.devnull, str(output), str(errors)]
        request = {"arguments": arguments, "environ": dict(environ), "streams": streams, "cwd": os.getcwd()}
        pid = UPS.ask(request)
        assert pid is not None
        return UpProcess(UPS, pid)
    command = [sys.executable, "-m", "vantixs_console", *arguments]
    with output.open("a") as out, errors.open("a") as err:
        return subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=out, stderr=err)


def run_vantixs(arguments: Sequence[str], environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """A command with exactly this environment, to its end.

    Raises:
        TimeoutExpired: it did not end within a minute; it was killed.
    """
    with tempfile.TemporaryDirectory() as directory:
        output, errors = Path(directory, "out"), Path(directory, "err")
        process = start_vantixs(arguments, environ, output, errors)
        try:
            code = process.wait(60)
        finally:
            process.send_signal(9)
        return subprocess.CompletedProcess(["vantixs", *arguments], code, output.read_text(), errors.read_text())
