"""Commands about quotes and instruments: what they ask for and print."""

import json
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2

from tests.support.console_services import Services, lines


def test_quotes_are_listed_with_source_and_age(run: Any) -> None:
    done = run("quote", "list")
    assert lines(done)[1:] == [
        "BTC/USDT pushed 99 101 2.5 3 1.2 s",
        "ETH/USDT pushed 99 101 5.0 s stale: orders are refused as PRICE_STALE",
        "SOL/USDT file no price yet: orders are refused",
        "BTC/USDT:USDT simulated 98 102 0.1 s",
    ]
    assert lines(run("quote", "get", "BTC/USDT:USDT"))[1:] == ["BTC/USDT:USDT simulated 98 102 0.1 s"]
    shown = json.loads(run("quote", "get", "ETH/USDT", "--json").stdout)
    assert (shown["source"], shown["age_ms"], shown["stale"]) == ("pushed", 5001, True)
    unknown = run("quote", "get", "DOGE/FOO")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "vantixs: INSTRUMENT_NOT_FOUND: instrument 'DOGE/FOO' does not exist\n"


@pytest.mark.parametrize("word", ["set", "publish"])
def test_quote_is_set_with_what_is_offered(word: str, services: Services, run: Any) -> None:
    done = run("quote", word, "BTC/USDT", "99", "101", "--bid-size", "2")
    assert (done.returncode, done.stdout) == (0, "BTC/USDT bid 99 ask 101\n")
    assert services.asked[0].quote == common_pb2.Quote(instrument="BTC/USDT", bid="99", ask="101", bid_size="2")


def test_instruments_are_listed(run: Any) -> None:
    done = run("instrument", "list")
    assert lines(done)[1:] == ["BTC/USDT spot 0.01", "ETH/USDT spot 0.01", "more: --page-token next"]
    assert lines(run("instrument", "list", "--page-token", "next"))[1] == "BTC/USDT:USDT linear perpetual 0.01"
    assert len(json.loads(run("instrument", "list", "--json").stdout)["instruments"]) == 2
