"""What an account holds is valued while no signal comes, in the whole system with two routers."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from vantixs.testing.stack import RunningStack, wait_for

EVERY_S = "0.2"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home: Path = tmp_path_factory.mktemp("marks") / "home"
    running = RunningStack(home, router=2, VANTIXS_ROUTER_REFRESH_MARKS_S=EVERY_S).start()
    yield running
    assert running.stop() == 0


def publish(system: RunningStack, price: int) -> None:
    assert system.run("quote", "publish", "BTC/USDT", str(price), str(price)).returncode == 0


def equity(system: RunningStack) -> Decimal:
    return Decimal(system.json("account", "show", "marked")["equity"])


def test_equity_moves_and_the_breaker_goes_off_by_the_price_alone_and_an_exit_passes(system: RunningStack) -> None:
    limits = ("--max-daily-loss", "50", "--max-order-notional", "1000", "--sizing-method", "FIXED_NOTIONAL")
    created = system.run(
        *("account", "create", "marked", "--mode", "paper", "--balance", "10000"), *limits, "--sizing-value", "1000"
    )
    assert created.returncode == 0, created.stderr
    url = system.json("webhook", "create", "--account", "marked", "--mode", "paper")["url"]
    publish(system, 100_000)
    entry = system.send({"action": "buy", "symbol": "BTCUSDT"}, url).json()["signal_id"]
    assert system.ended([entry])[entry]["status"] == "SIGNAL_STATUS_EXECUTED"
    bought = equity(system)
    publish(system, 101_000)
    wait_for(lambda: equity(system) > bought + 9, "equity to follow the price")
    publish(system, 90_000)

    def restricted() -> list[tuple[str, str]]:
        shown = system.json("account", "show", "marked").get("restricted", [])
        return [(state["state"], state["actor"]) for state in shown]

    wait_for(restricted, "the breaker to go off")
    assert restricted() == [("TRADING_STATE_REDUCING", "breaker:daily_loss")]
    assert equity(system) < bought - 50
    # Nobody comes in any more, and who is in gets out.
    refused = system.send({"action": "buy", "symbol": "ETHUSDT"}, url).json()["signal_id"]
    assert system.ended([refused])[refused]["reason"] == "TRADING_REDUCING"
    out = system.send({"action": "close", "symbol": "BTCUSDT"}, url).json()["signal_id"]
    assert system.ended([out])[out]["status"] == "SIGNAL_STATUS_EXECUTED"
    assert system.json("account", "show", "marked").get("positions", []) == []


@pytest.mark.long
def test_router_that_starts_again_values_nothing_at_a_simulated_price_that_has_a_given_one(
    system: RunningStack,
) -> None:
    system.run("account", "create", "given", "--balance", "10000", "--max-daily-loss", "5")
    url = system.json("webhook", "create", "--account", "given")["url"]
    publish(system, 100_000)
    entry = system.send({"action": "buy", "symbol": "BTCUSDT"}, url).json()["signal_id"]
    assert system.ended([entry])[entry]["status"] == "SIGNAL_STATUS_EXECUTED"
    for round_ in range(1, 6):
        for number in range(system.scale["router"]):
            system.kill(f"router-{number}")
        price = 100_000 + round_

        def followed(price: int = price) -> bool:
            # A quote that is older than 5 s is not used: it is given again until a router takes it.
            system.run("quote", "publish", "BTC/USDT", str(price), str(price))
            shown = system.json("account", "show", "given")
            return shown["positions"][0]["mark_price"] == str(price)

        wait_for(followed, "the position to be valued again")
    # Simulated it is some 64,000: that would have been the day's loss.
    assert system.json("account", "show", "given").get("restricted", []) == []
