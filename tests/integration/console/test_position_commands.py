"""Commands about positions: how they are listed with what protects them, and how one is closed.

The answers are given, so that states are shown that a paper venue is rarely seen in; the calls are real.
"""

import json
from typing import Any

import grpc
from vantixs.api.common.v1 import common_pb2

from tests.support.console_services import Services, lines


def test_positions_stand_beside_what_protects_them(services: Services, run: Any) -> None:
    done = run("position", "list")
    assert done.returncode == 0, done.stderr
    # What was filled of a leg and a state in which it may not protect are told; a flat position is not listed.
    assert lines(done)[1:] == [
        "paper BTC/USDT 0.2 60000 60100 20 58000 for 0.2 (IN_DOUBT) 62000 for 0.1 (0.05 filled), 64000 for 0.1",
        "paper ETH/USDT -1 3000 unknown none none",
    ]
    assert all(request.open_only and request.account_id == "paper" for request in services.asked)
    assert [request.page_token for request in services.asked] == ["", "next"], "every page is read"


def test_positions_as_json_have_their_orders(services: Services, run: Any) -> None:
    positions = json.loads(run("position", "list", "--account", "paper", "--json").stdout)["positions"]
    assert [(held["instrument"], len(held["orders"]) > 0) for held in positions] == [
        ("BTC/USDT", True),
        ("ETH/USDT", False),
    ]


CLOSE = ("position", "close", "--account", "paper", "--instrument", "BTC/USDT", "--reason", "news")


def test_close_waits_for_the_end_and_prints_it(services: Services, run: Any) -> None:
    done = run(*CLOSE)
    assert done.returncode == 0, done.stderr
    assert lines(done) == ["s2 closes BTC/USDT of paper", "EXECUTED -0.2 at 60100 WHY"]
    (request,) = services.asked
    assert (request.account_id, request.instrument, request.reason) == ("paper", "BTC/USDT", "news")
    assert len(request.request_id) == 36
    shown = json.loads(run(*CLOSE, "--json", "--request-id", "given").stdout)
    assert shown["signal"]["signal_id"] == "s2"
    assert services.asked[1].request_id == "given"


def test_close_that_failed_is_a_failure(services: Services, run: Any) -> None:
    services.statuses = [common_pb2.SIGNAL_STATUS_REJECTED]
    done = run(*CLOSE)
    assert (done.returncode, lines(done)[1]) == (1, "REJECTED -0.2 at 60100 WHY")


def test_close_without_an_answer_says_how_to_ask_for_the_same_one(services: Services, run: Any) -> None:
    services.refused = (grpc.StatusCode.UNAVAILABLE, "the router is away")
    done = run(*CLOSE, "--request-id", "given")
    assert done.returncode == 1
    assert "repeat the command with --request-id given" in done.stderr
