"""Commands about orders: what they ask for, print and end with.

The answers are given, so that states are shown that a paper venue is rarely seen in; the calls are real.
"""

from typing import Any

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2

from tests.support.console_services import ENTRY, LEGS, Services, canceled, lines


def test_orders_are_listed_with_what_they_are_for(services: Services, run: Any) -> None:
    done = run("order", "list", "--account", "paper", "--instrument", "BTC/USDT", "--open", "--signal", "s1")
    assert done.returncode == 0, done.stderr
    assert services.asked == [
        router_pb2.ListOrdersRequest(
            signal_id="s1", account_id="paper", instrument="BTC/USDT", open_only=True, page_size=50
        )
    ]
    assert lines(done)[1:] == [
        "s1.1 paper BTC/USDT entry BUY limit 0.5 at 60000 PARTIALLY_FILLED 0.2 at 60000",
        "s1.1-3 paper BTC/USDT target 2 SELL unspecified 0.1 at 64000 ACCEPTED",
        "s1.1-2 paper BTC/USDT target 1 SELL unspecified 0.1 at 62000 ACCEPTED",
        "more: --page-token next",
    ]
    following = lines(run("order", "list", "--page-token", "next"))
    assert following[1:] == ["s1.1-1 paper BTC/USDT stop SELL stop 0.2 from 58000 on IN_DOUBT"]


def test_order_is_shown_with_its_terms_and_fills(run: Any) -> None:
    done = run("order", "show", "s1.1")
    assert done.returncode == 0, done.stderr
    shown = lines(done)
    assert shown[0] == "s1.1 PARTIALLY_FILLED BUY 0.5 BTC/USDT at 60000 (limit, GTC)"
    for line in (
        "for entry",
        "account paper (PAPER)",
        "webhook demo",
        "tag trend [1]",
        "time in force GTC",
        "limit price 60000",
        "filled 0.2 at 60000",
        "fill of 0.2 at 60000",
        "fee 1.2 USDT",
        "liquidity maker",
        "assumed traded through",
    ):
        assert line in shown, done.stdout
    assert not any(line.startswith(("stop price", "post only", "trails")) for line in shown), (
        "what it has not is left out"
    )
    stop = lines(run("order", "show", "s1.1-1"))
    assert {"for stop of s1.1", "stop price 58000", "reduce only yes"} <= set(stop)


@pytest.mark.parametrize(
    "arguments",
    [(), ("s1.1", "--all"), ("s1.1", "--account", "paper"), ("--all", "--tag", "x"), ("--account", "")],
)
def test_cancel_takes_one_order_or_filters_or_all(arguments: tuple[str, ...], services: Services, run: Any) -> None:
    done = run("order", "cancel", *arguments)
    assert (done.returncode, services.asked) == (2, [])
    assert done.stderr.startswith("vantixs: order cancel: expected an order, or any of --account")


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        (("s1.1",), router_pb2.CancelOrderRequest(order_id="s1.1")),
        (("--all",), router_pb2.CancelOrdersRequest(all=True)),
        (("--account", "paper", "--tag", "x"), router_pb2.CancelOrdersRequest(account_id="paper", tag="x")),
        (
            ("--webhook", "demo", "--instrument", "BTC/USDT"),
            router_pb2.CancelOrdersRequest(webhook_id="demo", instrument="BTC/USDT"),
        ),
    ],
)
def test_cancel_says_what_became_of_each(arguments: Any, request_: Any, services: Services, run: Any) -> None:
    done = run("order", "cancel", *arguments)
    assert done.returncode == 0, done.stderr
    assert services.asked == [request_]
    assert lines(done)[1] == (
        "s1.1 paper BUY 0.5 BTC/USDT at 60000 (limit, GTC) CANCELED 0.2 at 60000 ORDER_CANCELED"
    )  # fmt: skip
    assert "CANCELED" in run("order", "cancel", *arguments, "--json").stdout


@pytest.mark.parametrize("state", ["FILLED", "IN_DOUBT", "ACCEPTED"])
def test_order_that_is_not_canceled_is_a_failure_and_shown(state: str, services: Services, run: Any) -> None:
    services.canceled = [canceled(ENTRY), canceled(LEGS[0], common_pb2.OrderState.Value(f"ORDER_STATE_{state}"))]
    done = run("order", "cancel", "--all")
    assert done.returncode == 1
    assert f" {state} " in lines(done)[2]


def test_cancel_of_nothing_says_so_and_is_no_failure(services: Services, run: Any) -> None:
    services.canceled = []
    done = run("order", "cancel", "--account", "paper")
    assert (done.returncode, done.stdout) == (0, "no resting entry matches\n")


@pytest.mark.parametrize("what", ["account", "webhook"])
def test_cancel_of_a_name_there_is_not_cancels_nothing(what: str, services: Services, run: Any) -> None:
    done = run("order", "cancel", f"--{what}", "nope")
    assert (done.returncode, services.asked) == (1, [])
    assert f"{what} 'nope' does not exist" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("order", "cancel", "s1.1"), ("order", "cancel", "--all"), ("order", "amend", "s1.1", "--quantity", "1"),
     ("position", "close", "--account", "paper", "--instrument", "BTC/USDT", "--reason", "news")],
)  # fmt: skip
def test_refusal_is_one_line_and_exit_code_1(arguments: Any, services: Services, run: Any) -> None:
    services.refused = (grpc.StatusCode.FAILED_PRECONDITION, "order 's1.1' has ended")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vantixs: ")
    assert done.stderr.endswith("order 's1.1' has ended\n")


AMEND = ("order", "amend", "s1.1", "--limit-price", "61000", "--until", "2026-11-28T10:00:00Z", "--reason", "news")


def test_amend_asks_for_the_terms_and_prints_the_new_order_and_the_end(services: Services, run: Any) -> None:
    done = run(*AMEND)
    assert done.returncode == 0, done.stderr
    assert lines(done) == [
        "s2.1 replaces s1.1: BUY 0.5 BTC/USDT at 61000 (limit, GTC)",
        "EXECUTED -0.2 at 60100 WHY",
    ]
    (request,) = services.asked
    assert (request.order_id, request.limit_price, request.reason) == ("s1.1", "61000", "news")
    assert request.expire_time.ToJsonString() == "2026-11-28T10:00:00Z"
    assert (request.stop_price, request.quantity, len(request.request_id)) == ("", "", 36)
    services.statuses = [common_pb2.SIGNAL_STATUS_FAILED]
    assert run(*AMEND).returncode == 1


def test_amend_with_a_time_that_is_none_asks_nothing(services: Services, run: Any) -> None:
    done = run("order", "amend", "s1.1", "--until", "tomorrow")
    assert (done.returncode, services.asked) == (2, [])
    assert "--until: expected a time" in done.stderr
