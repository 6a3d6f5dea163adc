"""A copy that is taken while signals flow becomes a home that trades on: nothing lost without a word, nothing twice."""

import shutil
import threading
from pathlib import Path

import pytest
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


class Stream:
    """Sends one signal after the other, with a key of its own each, until stopped."""

    def __init__(self, stack: RunningStack, symbol: str) -> None:
        self.accepted: list[str] = []
        self._stop = threading.Event()
        self._stack, self._symbol, self._url = stack, symbol, stack.url
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            body = {"action": "buy", "symbol": self._symbol, "idempotency_key": f"{self._symbol}-{number}"}
            answer = self._stack.send(body, self._url)
            if answer.status_code == 202:
                self.accepted.append(answer.json()["signal_id"])
            self._stop.wait(0.1)  # What is sent meanwhile has to be run as well, on a machine that is to copy.

    def stop(self) -> list[str]:
        self._stop.set()
        self._thread.join()
        return self.accepted


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_copy_of_a_running_system_trades_on(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    restored = {}
    if dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        stack = RunningStack(tmp_path / "home", VANTIXS_DATABASE_URL=server.new_database()).start()
        request.addfinalizer(stack.stop)
        restored = {"VANTIXS_DATABASE_URL": server.new_database()}
    else:
        stack = request.getfixturevalue("stack")
    terms = ("--tick-size", "0.01", "--lot-size", "0.01", "--minimum-notional", "5", "--reference-price", "3")
    assert stack.run("instrument", "add", "TON/USDT", *terms).returncode == 0
    flows = [Stream(stack, symbol) for symbol in SYMBOLS]
    wait_for(lambda: all(len(flow.accepted) > 5 for flow in flows), "signals to flow")
    before = [signal_id for flow in flows for signal_id in list(flow.accepted)]
    done = stack.run("backup", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    wait_for(lambda: all(len(flow.accepted) > 10 for flow in flows), "signals after the copy")
    later = {signal_id for flow in flows for signal_id in flow.stop()} - set(before)
    assert later
    again = RunningStack(tmp_path / "again", **restored)
    made = again.run("restore", str(tmp_path / "copy"))
    assert (made.returncode, made.stderr) == (0, "")
    again.start()
    try:
        status = again.run("status")
        assert status.returncode == 0, status.stdout
        # Also with what the restored router reads again: one order a signal, and the books are the fills.
        check_promises(again, before)
        fresh = again.send({"action": "buy", "symbol": "LTCUSDT"}).raise_for_status().json()["signal_id"]
        check_promises(again, [*before, fresh])
        added = again.send({"action": "buy", "symbol": "TONUSDT"}).raise_for_status().json()["signal_id"]
        assert again.ended([added])[added]["status"] == "SIGNAL_STATUS_EXECUTED"
        # Its key is known: what came before the copy is not taken twice.
        repeat = again.send({"action": "buy", "symbol": "BTCUSDT", "idempotency_key": "BTCUSDT-1"})
        assert (repeat.status_code, repeat.json()["duplicate"]) == (200, True)
    finally:
        assert again.stop() == 0


def test_copy_is_refused_where_it_would_mix_with_something_else(stack: RunningStack, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    done = stack.run("backup", str(tmp_path / "other"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected an empty directory" in done.stderr
    assert stack.run("backup", str(tmp_path / "copy")).returncode == 0
    over = stack.run("restore", str(tmp_path / "copy"))
    assert over.returncode == 2
    assert "expected no directory or an empty one" in over.stderr
    (tmp_path / "copy" / "backup.json").unlink()
    half = RunningStack(tmp_path / "half").run("restore", str(tmp_path / "copy"))
    assert half.returncode == 2
    assert "expected a whole copy" in half.stderr
    shutil.rmtree(tmp_path / "copy")
