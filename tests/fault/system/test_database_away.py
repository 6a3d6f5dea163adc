"""The PostgreSQL server of a real system is restarted, frozen, cut off or not there yet, while signals flow."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.proxy import TcpProxy
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.sender import Sender
from tests.support.stores import STORES, serving

SAID_WITHIN_S = 12.0
pytestmark = pytest.mark.long


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """One of its own: it is stopped."""
    made = PostgresServer(tmp_path / "postgres")
    yield made
    made.stop()


@contextlib.contextmanager
def running(stack: RunningStack) -> Iterator[RunningStack]:
    """Started, and stopped whatever happens."""
    try:
        yield stack.start()
    finally:
        code = stack.stop()
    assert code == 0


def log_of(stack: RunningStack, name: str) -> str:
    return (stack.home / "logs" / f"{name}.log").read_text()


def pids(stack: RunningStack) -> dict[str, int]:
    return {name: stack.pid(name) for name in (*STORES, "ingress", "console")}


def more(sender: Sender, stack: RunningStack, count: int = 10) -> None:
    """So many more are accepted, and end."""
    before = len(sender.accepted)
    wait_for(lambda: len(sender.accepted) >= before + count, "signals to be accepted")
    stack.ended(list(sender.accepted))


def test_restarts_of_the_server_under_load_lose_and_double_nothing_and_end_no_process(
    server: PostgresServer, tmp_path: Path
) -> None:
    with running(RunningStack(tmp_path / "home", VANTIXS_DATABASE_URL=server.new_database())) as stack:
        sender, before = Sender(stack, 11, threads=1, pause_s=0.2), pids(stack)
        try:
            for _ in range(3):
                more(sender, stack)
                server.halt()
                for name in STORES:
                    wait_for(lambda name=name: not serving(stack, name), f"{name} to say that it has no database")
                accepted = len(sender.accepted)
                wait_for(
                    lambda accepted=accepted: len(sender.accepted) > accepted + 5, "signals to be accepted meanwhile"
                )
                server.resume()
                for name in STORES:
                    wait_for(lambda name=name: serving(stack, name), f"{name} to serve again")
            more(sender, stack)
        finally:
            sender.stop()
        assert pids(stack) == before, "nobody was started again"
        check_promises(stack, sender.accepted)
        assert set(sender.answers) == {"202"}


def test_services_behind_a_black_hole_say_so_within_seconds_and_go_on_after_it(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.new_database()
    address, _, directory = url.partition("?host=")
    proxies = {name: TcpProxy(Path(directory, ".s.PGSQL.5432")).start() for name in STORES}
    settings = {
        f"VANTIXS_{name.upper()}_DATABASE_URL": address.replace("postgres:@/", f"postgres:@127.0.0.1:{proxy.port}/")
        for name, proxy in proxies.items()
    }
    with running(RunningStack(tmp_path / "home", **settings)) as stack:
        sender, before = Sender(stack, 12, threads=1, pause_s=0.2), pids(stack)
        try:
            for name, proxy in proxies.items():
                more(sender, stack)
                started = time.monotonic()
                proxy.cut(silent=True)
                wait_for(lambda name=name: not serving(stack, name), f"{name} to say that it has no database")
                assert time.monotonic() - started < SAID_WITHIN_S
                wait_for(lambda name=name: "database.no_answer" in log_of(stack, name), f"{name} to end its connection")
                assert "database.unavailable" in log_of(stack, name)
                proxy.mend()
                wait_for(lambda name=name: serving(stack, name), f"{name} to serve again")
                assert "database.available" in log_of(stack, name)
            more(sender, stack)
        finally:
            sender.stop()
        assert pids(stack) == before, "nobody was started again"
        check_promises(stack, sender.accepted)
    for proxy in proxies.values():
        proxy.stop()


def test_frozen_backends_hold_up_nothing_for_good(server: PostgresServer, tmp_path: Path) -> None:
    url = server.new_database()
    with running(RunningStack(tmp_path / "home", router=2, VANTIXS_DATABASE_URL=url)) as stack:
        sender, before = Sender(stack, 13, threads=1, pause_s=0.2), stack.pid("router-0")
        routers = ("router-0", "router-1")
        try:
            for name in STORES:
                more(sender, stack)
                with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
                    query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
                    frozen = [row[0] for row in admin.execute(query, (f"vantixs-{name}",))]
                logs = routers if name == "router" else (name,)
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    for log in logs:
                        wait_for(
                            lambda log=log: "database.no_answer" in log_of(stack, log), f"{log} to end its connection"
                        )
                finally:
                    for pid in frozen:
                        os.kill(pid, signal.SIGCONT)
            more(sender, stack)
        finally:
            sender.stop()
        assert stack.pid("router-0") == before
        check_promises(stack, sender.accepted)


def test_system_that_is_started_before_its_database_waits_for_it(server: PostgresServer, tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home", VANTIXS_DATABASE_URL=server.new_database())
    server.halt()
    starting = threading.Thread(target=stack.start)
    starting.start()
    for name in STORES:
        wait_for(
            lambda name=name: (
                (stack.home / "logs" / f"{name}.log").exists() and "database.waiting" in log_of(stack, name)
            ),
            f"{name} to wait",
        )
    waiting = {name: stack.pid(name) for name in STORES}
    server.resume()
    starting.join(60)
    assert {name: stack.pid(name) for name in STORES} == waiting, "nobody was started again"
    check_promises(stack, [stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]])
    assert stack.stop() == 0
