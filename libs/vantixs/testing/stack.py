"""The whole system as a user runs it, `vantixs up`, for tests to use, kill and freeze."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf import json_format

from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.command_server import CommandServer
from vantixs.testing.up_server import UpProcess, UpServer

START_S = 40.0
COMMANDS = CommandServer()
UPS = UpServer()


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """Polls until the condition gives something true, and returns it.

    Raises:
        AssertionError: it did not within the time.
    """
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.02)
    return result


class RunningStack:
    """`vantixs up` in a home directory of its own.

    Where `forked` is set, for all or for one, its processes are forks of one that has imported everything (see `up_server`).
    """

    forked = False

    def __init__(
        self,
        home: Path,
        *,
        router: int = 1,
        ingress: int = 1,
        risk: int = 1,
        audit: int = 1,
        console: int = 1,
        forked: bool | None = None,
        **settings: str,
    ) -> None:
        self.home = home
        self.forked = type(self).forked if forked is None else forked
        self.scale = {"router": router, "ingress": ingress, "risk": risk, "audit": audit, "console": console}
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")} | settings
        self._process: subprocess.Popen[str] | UpProcess | None = None
        self.output = ""

    def start(self) -> "RunningStack":
        """Starts it and waits until it is ready."""
        arguments = ["up", "--home", str(self.home), "--http-port", "0"]
        for name, number in self.scale.items():
            arguments += ["--scale", f"{name}={number}"]
        log = self.home.parent / f"{self.home.name}.up.log"
        log.write_bytes(b"")
        if self.forked:
            self._process = UPS.start(arguments, self._environ, log)
        else:
            command = [sys.executable, "-m", "vantixs_console", *arguments]
            with log.open("a") as sink:
                self._process = subprocess.Popen(
                    command, stdout=sink, stderr=subprocess.STDOUT, text=True, env=self._environ
                )

        def ready() -> bool:
            self.output = log.read_text()
            process = self._process
            assert process, "started above"
            assert process.poll() is None, f"`vantixs up` ended with {process.returncode}: {self.output}"
            return "Ctrl-C stops it" in self.output

        wait_for(ready, "the system to be ready", START_S)
        return self

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self._process, "not started"
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=15)

    @property
    def endpoints(self) -> dict[str, Any]:
        """run/endpoints.json."""
        return dict(json.loads((self.home / "run" / "endpoints.json").read_text()))

    @property
    def url(self) -> str:
        """URL of the webhook `demo`, token included."""
        token = (self.home / "secrets" / "webhook-demo-token").read_text().strip()
        return f"{self.endpoints['http']}/hooks/demo/{token}"

    def ingress_url(self, number: int) -> str:
        """HTTP address of an ingress process."""
        return str(json.loads((self.home / "run" / f"ingress-{number}.json").read_text())["http"])

    def pid(self, name: str) -> int:
        """Process id of a service, for example "risk", "router-1" or "nats"."""
        return int((self.home / "run" / f"{name}.pid").read_text())

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to a service."""
        os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        """kill -9, and waits until its successor runs."""
        before = self.pid(name)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: self.pid(name) != before, f"{name} to be started again")

    def send(self, body: str | bytes | dict[str, Any], url: str = "", **headers: str) -> httpx.Response:
        """One POST to a webhook; `demo` where no URL is given."""
        content = json.dumps(body) if isinstance(body, dict) else body
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        # There is no TLS here, and reading the authorities of the machine takes 50 ms of CPU for each client.
        return httpx.post(url or self.url, content=content, headers=names, timeout=10, verify=False)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `vantixs` command on this home."""
        return COMMANDS.run([*arguments, "--home", str(self.home)], self._environ)

    def json(self, *arguments: str) -> dict[str, Any]:
        """A command's response message."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return dict(json.loads(done.stdout))

    def signals(self) -> dict[str, dict[str, Any]]:
        """All signals by id."""
        found: dict[str, dict[str, Any]] = {}
        token = ""
        while True:
            page = self.json("signals", "list", "--page-size", "1000", *(("--page-token", token) if token else ()))
            found |= {s["signal_id"]: s for s in page.get("signals", [])}
            token = page.get("next_page_token", "")
            if not token:
                return found

    def timelines(self) -> dict[str, list[dict[str, Any]]]:
        """The entries of every signal, in order, by signal id; read over gRPC, which is faster than a command each."""
        return self.timelines_of(list(self.signals()))

    def timelines_of(self, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """The entries of these signals."""
        return asyncio.run(_read_timelines(self.home, ids))

    def accounts_of(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """These accounts with their books."""
        return asyncio.run(_read_accounts(self.home, ids))

    def ended(self, ids: list[str], timeout_s: float = 60.0) -> dict[str, dict[str, Any]]:
        """The signals, once each has come to its end."""

        def all_ended() -> dict[str, dict[str, Any]] | None:
            found = self.signals()
            open_ids = [
                i for i in ids if found.get(i, {}).get("status", "SIGNAL_STATUS_ACCEPTED") == "SIGNAL_STATUS_ACCEPTED"
            ]
            return None if open_ids else {i: found[i] for i in ids}

        return dict(wait_for(all_ended, f"{len(ids)} signals to end", timeout_s))


async def _read_timelines(home: Path, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    async with _opened(home, "audit") as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        found = {}
        for signal_id in ids:
            response = await stub.GetSignal(audit_pb2.GetSignalRequest(signal_id=signal_id), timeout=10)
            content = json_format.MessageToDict(response, preserving_proto_field_name=True)
            found[signal_id] = content.get("timeline", [])
        return found


async def _read_accounts(home: Path, ids: list[str]) -> dict[str, dict[str, Any]]:
    async with _opened(home, "risk") as channel:
        stub = risk_pb2_grpc.RiskServiceStub(channel)
        found = {}
        for account_id in ids:
            response = await stub.GetAccount(risk_pb2.GetAccountRequest(account_id=account_id), timeout=10)
            found[account_id] = json_format.MessageToDict(response, preserving_proto_field_name=True)
        return found


@contextlib.asynccontextmanager
async def _opened(home: Path, service: str, token: str = "viewer") -> AsyncIterator[grpc.aio.Channel]:
    addresses = json.loads((home / "run" / "endpoints.json").read_text())["grpc"][service]
    channel = open_channel(addresses, token=(home / "secrets" / f"{token}-token").read_text().strip())
    yield channel
    await channel.close()
