"""A router of a real system is cut off from the broker, or from its database, while the others are not."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.proxy import TcpProxy
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.sender import Sender

LANES, INSTANCE = 32, "9"


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningStack]:
    settings = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    running = RunningStack(tmp_path / "home", router=2, forked=False, **settings).start()  # Its environment is read.
    yield running
    assert running.stop() == 0


@contextmanager
def another_router(stack: RunningStack, **settings: str) -> Iterator[None]:
    """One more router, with the settings of the first one but these."""
    environ = Path(f"/proc/{stack.pid('router-0')}/environ").read_bytes().decode().strip("\0").split("\0")
    own = {"VANTIXS_INSTANCE": INSTANCE, "VANTIXS_ROUTER_GRPC_LISTEN": "127.0.0.1:0", "VANTIXS_ROUTER_LOG_FILE": ""}
    command = [sys.executable, "-m", "vantixs_console", "serve", "router"]
    with (stack.home / "logs" / "another.log").open("w") as log:
        values = dict(line.split("=", 1) for line in environ) | own | settings
        process = subprocess.Popen(command, env=values, stdout=log, stderr=log)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


def owners(stack: RunningStack) -> Counter[str]:
    """How many lanes each router has, by its instance."""
    return Counter(lane.get("owner", "").partition("-")[0] for lane in stack.json("lanes")["lanes"])


def check_cut(
    stack: RunningStack, proxy: TcpProxy, seed: int, *, silent: bool, said: Callable[[], bool] = lambda: True
) -> None:
    """Its lanes move, it says why, everything that is accepted meanwhile ends, it comes back, and the promises hold."""
    wait_for(lambda: sorted(owners(stack).values()) == [10, 11, 11], "three routers to share the lanes")
    sender = Sender(stack, seed)
    try:
        wait_for(lambda: len(sender.accepted) > 20, "signals to flow")
        proxy.cut(silent=silent)
        wait_for(lambda: owners(stack)[INSTANCE] == 0 and sum(owners(stack).values()) == LANES, "its lanes to move")
        wait_for(said, "it to say why")
        before = len(sender.accepted)
        wait_for(lambda: len(sender.accepted) > before + 20, "signals to flow on")
        # Of lanes that were its own as well: nothing waits for the connection.
        stack.ended(list(sender.accepted))
        proxy.mend()
        wait_for(lambda: sorted(owners(stack).values()) == [10, 11, 11], "it to have its share again")
        before = len(sender.accepted)
        wait_for(lambda: len(sender.accepted) > before + 20, "signals to flow with all three")
    finally:
        sender.stop()
    check_promises(stack, sender.accepted)


def says_why(stack: RunningStack) -> bool:
    """It is NOT_SERVING, and its log tells of its database and of its lease."""
    address = json.loads((stack.home / "run" / f"router-{INSTANCE}.json").read_text())["grpc"]
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    log = (stack.home / "logs" / "another.log").read_text()
    told = "database.unavailable" in log and "lanes.lease_not_renewed" in log
    return told and bool(answer.status == health_pb2.HealthCheckResponse.NOT_SERVING)


@pytest.mark.long  # The same is shown of the lanes' runner in tests/integration/router/test_lanes_cut_off.py.
@pytest.mark.parametrize("silent", [False, True])
def test_router_that_alone_is_cut_off_from_the_broker_leaves_its_lanes_and_comes_back(
    stack: RunningStack, silent: bool
) -> None:
    proxy = TcpProxy(int(stack.endpoints["nats"].rpartition(":")[2])).start()
    try:
        with another_router(stack, VANTIXS_NATS_URL=f"nats://127.0.0.1:{proxy.port}"):
            check_cut(stack, proxy, 5, silent=silent)
    finally:
        proxy.stop()


@pytest.mark.long
@pytest.mark.parametrize("stack", ["postgresql"], indirect=True)
@pytest.mark.parametrize("silent", [False, True])
def test_router_that_alone_is_cut_off_from_its_database_loses_its_lanes_and_comes_back(
    stack: RunningStack, silent: bool
) -> None:
    environ = Path(f"/proc/{stack.pid('router-0')}/environ").read_bytes().decode().split("\0")
    url = next(line.partition("=")[2] for line in environ if line.startswith("VANTIXS_DATABASE_URL="))
    address, _, directory = url.partition("?host=")
    proxy = TcpProxy(Path(directory, ".s.PGSQL.5432")).start()
    try:
        through_proxy = address.replace("postgres:@/", f"postgres:@127.0.0.1:{proxy.port}/")
        with another_router(stack, VANTIXS_DATABASE_URL=through_proxy):
            check_cut(stack, proxy, 7, silent=silent, said=lambda: says_why(stack))
    finally:
        proxy.stop()
