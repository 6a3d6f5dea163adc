"""What someone sees who starts it for the first time."""

import shlex
import subprocess

from vantixs.testing.stack import RunningStack, wait_for


def test_printed_curl_is_answered_202_and_the_signal_is_executed(stack: RunningStack) -> None:
    line = next(line for line in stack.output.splitlines() if line.startswith("Try"))
    command = [*shlex.split(line.removeprefix("Try")), "-sw", "%{http_code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("202")
    signal_id = done.stdout.split('"signal_id": "')[1].split('"')[0]
    ended = stack.ended([signal_id])[signal_id]
    assert ended["status"] == "SIGNAL_STATUS_EXECUTED"
    shown = stack.run("signals", "show", signal_id).stdout
    for part in (
        "payload:",
        "demo revision",
        "<= 10,000: pass",
        "quote used:",
        "EXECUTED",
    ):
        assert part in shown, shown


def test_timeline_holds_every_step_once_and_in_order(stack: RunningStack) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "ETHUSDT"}).json()["signal_id"]
    stack.ended([signal_id])
    timeline = stack.json("signals", "show", signal_id)["timeline"]
    known = (
        "signal_accepted",
        "order_evaluated",
        "order_submitted",
        "fill_recorded",
        "order_updated",
        "signal_completed",
    )
    kinds = [next(k for k in step["entry"] if k in known) for step in timeline]
    assert tuple(kinds) == known
    sequences = [int(step["sequence"]) for step in timeline]
    assert sequences == sorted(sequences)
    times = [step["entry"]["event_time"] for step in timeline]
    assert times == sorted(times), "an order is submitted after it was approved"
    shown = stack.run("signals", "show", signal_id).stdout.splitlines()
    assert not [line for line in shown if line.endswith(":") or not line.strip()], shown
    steps = [word for line in shown[1:] if (word := line.split()[0]).startswith("2")]
    assert len(steps) >= len(known)
    assert steps == sorted(steps)
    assert any("token t1 (" in line for line in shown), shown


def test_everything_is_there_after_a_restart(stack: RunningStack) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT", "idempotency_key": "kept"}).json()["signal_id"]
    stack.ended([signal_id])
    url, held = stack.url, positions(stack)
    assert stack.stop() == 0
    stack.start()
    assert signal_id in stack.signals()
    assert stack.url.rpartition("/")[2] == url.rpartition("/")[2]
    assert held["BTC/USDT"]
    assert positions(stack) == held


def positions(stack: RunningStack) -> dict[str, str]:
    return {p["instrument"]: p["quantity"] for p in stack.json("account", "show", "paper")["positions"]}


def test_halt_denies_and_resume_lets_pass(stack: RunningStack) -> None:
    assert stack.run("halt").returncode == 0
    halted = stack.send({"action": "buy", "symbol": "SOLUSDT", "idempotency_key": "halted"}).json()["signal_id"]
    ended = stack.ended([halted])[halted]
    assert (ended["status"], ended["reason"]) == ("SIGNAL_STATUS_REJECTED", "TRADING_HALTED")
    assert stack.run("resume", "--yes").returncode == 0
    resumed = stack.send({"action": "buy", "symbol": "SOLUSDT", "idempotency_key": "resumed"}).json()["signal_id"]
    assert stack.ended([resumed])[resumed]["status"] == "SIGNAL_STATUS_EXECUTED"


def test_reducing_lets_exits_pass_and_entries_not(stack: RunningStack) -> None:
    opened = stack.send({"action": "buy", "symbol": "XRPUSDT", "idempotency_key": "x1"}).json()["signal_id"]
    stack.ended([opened])
    assert stack.run("reduce").returncode == 0
    entry = stack.send({"action": "buy", "symbol": "XRPUSDT", "idempotency_key": "x2"}).json()["signal_id"]
    body = {"action": "sell", "symbol": "XRPUSDT", "sentiment": "flat", "idempotency_key": "x3"}
    leave = stack.send(body).json()["signal_id"]
    ended = stack.ended([entry, leave])
    assert stack.run("resume", "--yes").returncode == 0
    assert ended[entry]["reason"] == "TRADING_REDUCING"
    assert ended[leave]["status"] == "SIGNAL_STATUS_EXECUTED"
    held = {p["instrument"] for p in stack.json("account", "show", "paper").get("positions", [])}
    assert "XRP/USDT" not in held


def test_paper_replay_leaves_the_account_alone_and_is_in_the_timeline(stack: RunningStack) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "LTCUSDT"}).json()["signal_id"]
    stack.ended([signal_id])
    before = stack.json("account", "show", "paper")
    replay = stack.json("replay", signal_id)["replay"]
    assert replay["results"][0]["status"] == "SIGNAL_STATUS_EXECUTED"
    assert stack.json("account", "show", "paper") == before
    wait_for(lambda: stack.signals()[signal_id]["status"] == "SIGNAL_STATUS_REPLAYED", "the replay to be recorded")
    assert stack.signals()[signal_id]["original_status"] == "SIGNAL_STATUS_EXECUTED"


def test_pushed_quote_is_used_and_refuses_entries_once_old(stack: RunningStack) -> None:
    assert stack.run("quote", "publish", "DOT/USDT", "5.99", "6.01").returncode == 0
    used = stack.send({"action": "buy", "symbol": "DOTUSDT", "idempotency_key": "d0"}).json()["signal_id"]
    assert stack.ended([used])[used]["average_price"] == "6.011"
    numbers = iter(range(1, 1000))

    def stale() -> bool:
        body = {"action": "buy", "symbol": "DOTUSDT", "idempotency_key": f"d{next(numbers)}"}
        late = stack.send(body).json()["signal_id"]
        return stack.ended([late])[late].get("reason") == "PRICE_STALE"

    wait_for(stale, "the quote to be refused as old")
