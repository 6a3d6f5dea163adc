"""Quotes that are fed become bars that any of two routers tells, in the whole system."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vantixs.testing.stack import RunningStack, wait_for


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home: Path = tmp_path_factory.mktemp("bars") / "home"
    settings = {"VANTIXS_ROUTER_BAR_TIMEFRAMES": "1s,1h", "VANTIXS_ROUTER_BAR_GRACE_S": "0.5"}
    running = RunningStack(home, router=2, **settings).start()
    yield running
    assert running.stop() == 0


def bars_of(system: RunningStack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = system.json("quote", "bars", "BTC/USDT", "--timeframe", "1s").get("bars", [])
    return found


def test_fed_quotes_become_bars_and_are_shown_with_their_source(system: RunningStack) -> None:
    assert system.json("quote", "get", "ETH/USDT")["source"] == "simulated"
    assert system.json("quote", "get", "ETH/USDT")["bid"]
    refused = system.run("quote", "get", "ETH/FOO")
    assert (refused.returncode, "INSTRUMENT_NOT_FOUND" in refused.stderr) == (1, True)
    feeder = subprocess.Popen(
        [sys.executable, "-m", "vantixs_console", "quote", "feed", "--json", "--home", str(system.home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert feeder.stdin is not None
    fed = 0

    def pushed_bars() -> bool:
        nonlocal fed
        fed += 1
        line = {"instrument": "BTC/USDT", "bid": str(100 + fed % 7), "ask": str(102 + fed % 7), "bid_size": "2"}
        feeder.stdin.write(json.dumps(line) + "\n")  # type: ignore[union-attr]
        feeder.stdin.flush()  # type: ignore[union-attr]
        return any(bar["source"] == "pushed" and bar.get("complete") for bar in bars_of(system))

    wait_for(pushed_bars, "a whole bar of what is fed")
    stdout, _ = feeder.communicate()
    assert (feeder.returncode, json.loads(stdout)) == (0, {"taken": fed, "refused": 0, "detail": ""})
    shown = system.json("quote", "get", "BTC/USDT")
    assert (shown["source"], shown["bid_size"]) == ("pushed", "2")
    # The routers are asked in turn, and say the same once the last bar is closed.

    def agree() -> bool:
        pages = [bars_of(system) for _ in range(3)]
        return pages[0] == pages[1] == pages[2] != []

    wait_for(agree, "both routers to tell the same bars")
    assert "quotes" in system.run("quote", "bars", "BTC/USDT", "--timeframe", "1s").stdout
    assert "expected one of 1s, 1h" in system.run("quote", "bars", "BTC/USDT", "--timeframe", "2h").stderr
