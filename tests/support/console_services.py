"""Services that give set answers, for tests of what commands ask for and print: an entry filled in part, and its bracket."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_status import rpc_status
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.errors import not_found
from vantixs.testing.stack import COMMANDS

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def listening(server: grpc.Server) -> Iterator[str]:
    """Starts a server on a free port; gives its address, and stops it."""
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield address
    server.stop(None).wait()


def command_of(address: str, home: Path) -> Command:
    """Runs a `vantixs` command for which every service is at this address."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    environ |= {f"VANTIXS_{name}_ADDRESSES": address for name in ("INGRESS", "RISK", "ROUTER", "AUDIT")}
    return lambda *arguments: COMMANDS.run([*arguments, "--home", str(home)], environ)


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
        self.checked = audit_pb2.CheckHistoryResponse(checked=20, total=20, finished=True)
        self.refused: tuple[grpc.StatusCode, str] | None = None
        # Statuses of a signal, one each time it is asked for, the last one from then on; 0 is not recorded yet.
        self.statuses: list[Any] = [0, common_pb2.SIGNAL_STATUS_ACCEPTED, common_pb2.SIGNAL_STATUS_EXECUTED]

        self.exported: list[audit_pb2.ExportSignalsResponse] = []

    def ExportSignals(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        yield from self.exported

    def ReplaySignals(self, request: Any, context: Any) -> Any:
        """Counts: no signal is meant."""
        self.asked.append(request)
        return audit_pb2.ReplaySignalsResponse(count=0)

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

    def CheckHistory(self, request: Any, context: Any) -> Any:
        yield self.checked


def lines(done: "subprocess.CompletedProcess[str]") -> list[str]:
    return [" ".join(line.split()) for line in done.stdout.splitlines()]
