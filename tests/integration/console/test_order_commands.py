"""Commands about orders, positions, quotes and instruments: what they ask for, print and end with.

The answers are given, so that states are shown that a paper venue is rarely seen in; the calls are real.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.errors import not_found
from vantixs.testing.stack import COMMANDS

ENTRY = order_pb2.Order(
    order_id="s1.1",
    signal_id="s1",
    account_id="paper",
    instrument="BTC/USDT",
    mode=common_pb2.MODE_PAPER,
    side=common_pb2.SIDE_BUY,
    effect=order_pb2.ORDER_EFFECT_ENTRY,
    order_type=common_pb2.ORDER_TYPE_LIMIT,
    time_in_force=common_pb2.TIME_IN_FORCE_GTC,
    quantity="0.5",
    filled_quantity="0.2",
    average_price="60000",
    limit_price="60000",
    state=common_pb2.ORDER_STATE_PARTIALLY_FILLED,
    webhook_id="demo",
    tag="trend [1]",
)


def leg(number: int, kind: Any, **fields: Any) -> order_pb2.Order:
    return order_pb2.Order(
        order_id=f"s1.1-{number}",
        signal_id="s1",
        account_id="paper",
        instrument="BTC/USDT",
        side=common_pb2.SIDE_SELL,
        effect=order_pb2.ORDER_EFFECT_EXIT,
        reduce_only=True,
        entry_order_id="s1.1",
        leg=kind,
        state=fields.pop("state", common_pb2.ORDER_STATE_ACCEPTED),
        **fields,
    )


LEGS = [
    leg(3, order_pb2.BRACKET_LEG_TAKE_PROFIT, target=2, quantity="0.1", limit_price="64000"),
    leg(2, order_pb2.BRACKET_LEG_TAKE_PROFIT, target=1, quantity="0.1", limit_price="62000", filled_quantity="0.05"),
    leg(
        1,
        order_pb2.BRACKET_LEG_STOP_LOSS,
        order_type=common_pb2.ORDER_TYPE_STOP,
        quantity="0.2",
        stop_price="58000",
        state=common_pb2.ORDER_STATE_IN_DOUBT,
    ),
]
FILL = order_pb2.Fill(
    execution_id="x1",
    order_id="s1.1",
    quantity="0.2",
    price="60000",
    fee="1.2",
    fee_asset="USDT",
    liquidity="maker",
    assumptions=["traded through"],
)


def canceled(order: order_pb2.Order, state: Any = common_pb2.ORDER_STATE_CANCELED) -> order_pb2.Order:
    made = order_pb2.Order()
    made.CopyFrom(order)
    made.state, made.reason = state, "ORDER_CANCELED"
    return made


class Services(
    router_pb2_grpc.RouterServiceServicer,
    risk_pb2_grpc.RiskServiceServicer,
    audit_pb2_grpc.AuditServiceServicer,
    ingress_pb2_grpc.WebhookServiceServicer,
):
    """Answers what it was given, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.canceled = [canceled(ENTRY)]
        self.positions = [
            order_pb2.Position(
                account_id="paper", instrument="BTC/USDT", quantity="0.2", average_price="60000", mark_price="60100",
                unrealized_profit="20",
            ),
            order_pb2.Position(account_id="paper", instrument="ETH/USDT", quantity="-1", average_price="3000"),
            order_pb2.Position(account_id="paper", instrument="SOL/USDT", quantity="0", average_price="0"),
        ]  # fmt: skip
        self.refused: tuple[grpc.StatusCode, str] | None = None
        # Statuses of a signal, one each time it is asked for, the last one from then on; 0 is not recorded yet.
        self.statuses: list[Any] = [0, common_pb2.SIGNAL_STATUS_ACCEPTED, common_pb2.SIGNAL_STATUS_EXECUTED]

    def _hear(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        if self.refused:
            context.abort(*self.refused)

    def ListOrders(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if request.page_token:
            return router_pb2.ListOrdersResponse(orders=LEGS[2:])
        return router_pb2.ListOrdersResponse(orders=[ENTRY, *LEGS[:2]], next_page_token="next")

    def GetOrder(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        order = ENTRY if request.order_id == "s1.1" else LEGS[2]
        return router_pb2.GetOrderResponse(order=order, fills=[FILL] if order is ENTRY else [])

    def CancelOrder(self, request: Any, context: Any) -> Any:
        self._hear(request, context)
        return router_pb2.CancelOrderResponse(order=self.canceled[0])

    def CancelOrders(self, request: Any, context: Any) -> Any:
        self._hear(request, context)
        return router_pb2.CancelOrdersResponse(orders=self.canceled)

    def AmendOrder(self, request: Any, context: Any) -> Any:
        self._hear(request, context)
        made = order_pb2.Order()
        made.CopyFrom(ENTRY)
        made.order_id, made.limit_price, made.replaces_order_id = "s2.1", request.limit_price, "s1.1"
        return router_pb2.AmendOrderResponse(order=made, signal_id="s2")

    def ClosePosition(self, request: Any, context: Any) -> Any:
        self._hear(request, context)
        return router_pb2.ClosePositionResponse(signal_id="s2")

    def ListInstruments(self, request: Any, context: Any) -> Any:
        names = ("BTC/USDT", "ETH/USDT") if not request.page_token else ("BTC/USDT:USDT",)
        kinds = common_pb2.INSTRUMENT_KIND_SPOT, common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL
        listed = [common_pb2.Instrument(instrument=n, kind=kinds[":" in n], tick_size="0.01") for n in names]
        return router_pb2.ListInstrumentsResponse(
            instruments=listed, next_page_token="" if request.page_token else "next"
        )

    def ListQuotes(self, request: Any, context: Any) -> Any:
        found = [
            router_pb2.CurrentQuote(quote=common_pb2.Quote(instrument=name, source=source, **prices), age_ms=age)
            for name, source, prices, age in (
                ("BTC/USDT", "pushed", {"bid": "99", "ask": "101", "bid_size": "2.5", "ask_size": "3"}, 1234),
                ("ETH/USDT", "pushed", {"bid": "99", "ask": "101"}, 5001),
                ("SOL/USDT", "file", {}, None),
                ("BTC/USDT:USDT", "simulated", {"bid": "98", "ask": "102"}, 100),
            )
        ]
        if request.page_token:
            return router_pb2.ListQuotesResponse(quotes=found[3:])
        return router_pb2.ListQuotesResponse(quotes=found[:3], next_page_token="next")

    def GetQuote(self, request: Any, context: Any) -> Any:
        pages = [self.ListQuotes(router_pb2.ListQuotesRequest(page_token=token), context) for token in ("", "next")]
        found = {item.quote.instrument: item for page in pages for item in page.quotes}
        if request.instrument not in found:
            error = not_found("instrument", request.instrument)
            context.abort_with_status(rpc_status.to_status(error.status()))
        return router_pb2.GetQuoteResponse(current=found[request.instrument])

    def PublishQuote(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return router_pb2.PublishQuoteResponse(quote=request.quote)

    def GetTradingState(self, request: Any, context: Any) -> Any:
        return risk_pb2.GetTradingStateResponse(max_price_age_ms=5000)

    def ListAccounts(self, request: Any, context: Any) -> Any:
        return risk_pb2.ListAccountsResponse(accounts=[risk_pb2.Account(account_id="paper")])

    def GetAccount(self, request: Any, context: Any) -> Any:
        if request.account_id != "paper":
            context.abort(grpc.StatusCode.NOT_FOUND, f"account {request.account_id!r} does not exist")
        return risk_pb2.GetAccountResponse()

    def ListPositions(self, request: Any, context: Any) -> Any:
        return risk_pb2.ListPositionsResponse(positions=self.positions)

    def GetWebhook(self, request: Any, context: Any) -> Any:
        if request.webhook_id != "demo":
            context.abort(grpc.StatusCode.NOT_FOUND, f"webhook {request.webhook_id!r} does not exist")
        return ingress_pb2.GetWebhookResponse()

    def GetSignal(self, request: Any, context: Any) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not status:
            context.abort(grpc.StatusCode.NOT_FOUND, "signal 's2' does not exist")
        ended = audit_pb2.SignalSummary(
            signal_id=request.signal_id, status=status, filled_quantity="-0.2", average_price="60100", reason="WHY"
        )
        return audit_pb2.GetSignalResponse(signal=ended)


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    server = grpc.server(ThreadPoolExecutor(4))
    router_pb2_grpc.add_RouterServiceServicer_to_server(made, server)
    risk_pb2_grpc.add_RiskServiceServicer_to_server(made, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(made, server)
    ingress_pb2_grpc.add_WebhookServiceServicer_to_server(made, server)
    made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"  # type: ignore[attr-defined]
    server.start()
    yield made
    server.stop(None).wait()


@pytest.fixture
def run(services: Any, tmp_path: Path) -> Any:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    environ |= {f"VANTIXS_{name}_ADDRESSES": services.address for name in ("INGRESS", "RISK", "ROUTER", "AUDIT")}

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return COMMANDS.run([*arguments, "--home", str(tmp_path)], environ)

    return call


def lines(done: "subprocess.CompletedProcess[str]") -> list[str]:
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


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
    assert (done.returncode, done.stdout) == (0, "no entry that fits rests\n")


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


AMEND = ("order", "amend", "s1.1", "--limit-price", "61000", "--until", "2026-11-28T10:00:00Z", "--reason", "news")


def test_amend_asks_for_the_terms_and_prints_the_new_order_and_the_end(services: Services, run: Any) -> None:
    done = run(*AMEND)
    assert done.returncode == 0, done.stderr
    assert lines(done) == [
        "s2.1 takes the place of s1.1: BUY 0.5 BTC/USDT at 61000 (limit, GTC)",
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
    assert "ask again with --request-id given" in done.stderr


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
