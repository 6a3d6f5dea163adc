"""Real risk processes on one database, and a client that spreads calls over them."""

import json
import os
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.home import SECRETS, Home
from vantixs.testing.stack import wait_for

from tests.support.started import Started, start_vantixs

METHODS = tuple(f"/vantixs.api.risk.v1.RiskService/{m}" for m in ("EvaluateOrder", "SettleOrder"))


class RiskProcesses:
    """`vantixs serve risk`, so many times, on one database. There is no NATS: risk needs none to decide.

    Whoever measures the memory of one wants it not `forked`: as a fork it has every other service in it as well.
    """

    def __init__(self, home: Path, url: str, count: int, *, forked: bool = True) -> None:
        opened = Home.open(home, create=True)
        for name in SECRETS:
            opened.secret(name)
        self.token = opened.secret("service-token")
        self._home, self._url, self._forked = home, url, forked
        self._nowhere = reserve_port()  # Risk decides without a broker: none is there.
        self._processes = [self.start(number) for number in range(count)]
        try:
            self.addresses = [self._ready(number) for number in range(count)]
        except BaseException:
            self.stop()
            raise

    def start(self, number: int) -> Started:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
        environ |= {
            "VANTIXS_HOME": str(self._home),
            "VANTIXS_DATABASE_URL": self._url,
            "VANTIXS_INSTANCE": str(number),
            "VANTIXS_LOG_LEVEL": "error",
            "VANTIXS_NATS_URL": f"nats://127.0.0.1:{port_of(self._nowhere)}",
        }
        return start_vantixs(["serve", "risk"], environ, self._output(number), forked=self._forked)

    def _output(self, number: int) -> Path:
        return self._home.parent / f"risk-{number}.out"

    def _ready(self, number: int) -> str:
        path = self._home / "run" / f"risk-{number}.json"

        def address() -> str:
            assert self._processes[number].poll() is None, f"risk ended: {self._output(number).read_text()}"
            facts = json.loads(path.read_text()) if path.exists() else {}
            return str(facts["grpc"]) if facts.get("pid") == self._processes[number].pid else ""

        return str(wait_for(address, f"risk {number} to be ready", 90))

    def kill(self, number: int) -> None:
        """kill -9, and a successor."""
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()
        self._processes[number] = self.start(number)
        self.addresses[number] = self._ready(number)

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._nowhere.close()

    def stub(self, number: int) -> "tuple[grpc.aio.Channel, risk_pb2_grpc.RiskServiceAsyncStub]":
        channel = open_channel(self.addresses[number], token=self.token, idempotent=METHODS)
        return channel, risk_pb2_grpc.RiskServiceStub(channel)  # type: ignore[return-value]


class Callers:
    """Stubs of every process; `call` takes them in turn."""

    def __init__(self, processes: RiskProcesses, count: int) -> None:
        pairs = [processes.stub(number) for number in range(count)]
        self._channels = [channel for channel, _ in pairs]
        self.stubs = [stub for _, stub in pairs]
        self._turn = 0

    async def call(self, method: str, request: Any) -> Any:
        self._turn += 1
        stub = self.stubs[self._turn % len(self.stubs)]
        call: Callable[..., Any] = getattr(stub, method)
        return await call(request, timeout=60)

    async def create(self, account: risk_pb2.Account) -> None:
        request = risk_pb2.CreateAccountRequest(request_id=str(uuid.uuid4()), account=account)
        await self.call("CreateAccount", request)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
