"""An operator adds an instrument to the running system: alerts for it are executed at once, and after a restart."""

import uuid
from pathlib import Path

import pytest
from vantixs.testing.stack import RunningStack, wait_for

TERMS = ("--tick-size", "0.001", "--lot-size", "0.01", "--minimum-notional", "5", "--reference-price", "3.2")


def alert(symbol: str, action: str = "buy") -> dict[str, str]:
    return {"action": action, "symbol": symbol, "idempotency_key": uuid.uuid4().hex}


def alert_is_executed(stack: RunningStack, symbol: str, action: str = "buy") -> None:
    answer = stack.send(alert(symbol, action))
    assert answer.status_code == 202, answer.text
    signal_id = answer.json()["signal_id"]
    assert stack.ended([signal_id])[signal_id]["status"] == "SIGNAL_STATUS_EXECUTED"


def test_added_instrument_trades_on_every_replica_and_after_a_restart(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    stack = RunningStack(tmp_path / "home", router=2).start()
    request.addfinalizer(stack.stop)
    assert stack.send(alert("TONUSDT")).json()["reason"] == "SYMBOL_UNSUPPORTED"
    for name in ("TON/USDT", "1INCH/USDT:USDT"):
        done = stack.run("instrument", "add", name, *TERMS)
        assert done.returncode == 0, done.stderr
        assert f"{name} is added" in done.stdout
    wait_for(lambda: stack.send(alert("TONUSDT")).status_code == 202, "ingress to hear of it", 5)
    wait_for(lambda: stack.send(alert("1INCHUSDT.P")).status_code == 202, "the perpetual", 5)
    alert_is_executed(stack, "OKX:TON-USDT")
    alert_is_executed(stack, "1INCHUSDT.P")
    # The same again is no mistake; other terms are, and the field is named.
    assert stack.run("instrument", "add", "TON/USDT", *TERMS).returncode == 0
    other = stack.run("instrument", "add", "TON/USDT", *TERMS[:3], "0.1", *TERMS[4:])
    assert other.returncode == 1
    assert "INSTRUMENT_ALREADY_EXISTS" in other.stderr
    assert "lot_size is 0.01 and never changes, was 0.1" in other.stderr
    wrong = stack.run("instrument", "add", "TON/USDT:BTC", *TERMS)
    assert wrong.returncode == 1
    assert "instrument.instrument: expected BASE/QUOTE" in wrong.stderr
    # Risk knows it as well: it can be halted, and its quote can be given.
    halted = stack.run("halt", "--scope", "instrument:TON/USDT", "--comment", "test")
    assert halted.returncode == 0, halted.stderr
    assert stack.run("resume", "--yes", "--scope", "instrument:TON/USDT").returncode == 0
    assert stack.run("quote", "set", "1INCH/USDT:USDT", "3.3", "3.31").returncode == 0

    assert stack.stop() == 0
    stack.start()
    listed = {
        item["instrument"]: item for item in stack.json("instrument", "list", "--page-size", "100")["instruments"]
    }
    assert (listed["TON/USDT"]["lot_size"], listed["TON/USDT"]["reference_price"]) == ("0.01", "3.2")
    assert int(listed["TON/USDT"]["revision"]) > 0
    assert listed["1INCH/USDT:USDT"]["kind"] == "INSTRUMENT_KIND_LINEAR_PERPETUAL"
    assert "added" in stack.run("instrument", "list").stdout
    # What was given is not replaced by simulated prices because the instrument was heard of after it.
    quotes = {item["instrument"]: item["source"] for item in stack.json("quote", "list")["quotes"]}
    assert quotes["1INCH/USDT:USDT"] == "pushed"
    alert_is_executed(stack, "TONUSDT")
    alert_is_executed(stack, "TONUSDT", "close")
