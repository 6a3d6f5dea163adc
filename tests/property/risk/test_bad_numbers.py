"""What is no number of the contract is refused by name, in every decimal field of every request that decides or books."""

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk.evaluation import check_request
from vantixs_risk.rule_conversion import rules_of
from vantixs_risk.settlement import check_fills

from tests.support.risk_fixture import START, Process, RiskFixture, account_of

NO_NUMBERS = (
    "NaN",
    "sNaN",
    "Infinity",
    "-Infinity",
    "inf",
    "1e30",
    "1E-3",
    "1" * 21,
    "1" * 5000,
    "0." + "1" * 19,
    "1,000",
    "1_000",
    " 1",
    "1 ",
    "+1",
    "--1",
    ".5",
    "1.",
    "0x10",
    "１",
    "5%",
    "one",
    "\x00",
    "1\n",
    "\n1",
)


def evaluation() -> risk_pb2.EvaluateOrderRequest:
    return risk_pb2.EvaluateOrderRequest(
        order=order_pb2.Order(
            order_id="o1",
            account_id="paper",
            instrument="BTC/USDT",
            side=common_pb2.SIDE_BUY,
            effect=order_pb2.ORDER_EFFECT_ENTRY,
            quantity="1",
        ),
        assumed_position_quantity="0",
        sizing=common_pb2.Sizing(
            method=common_pb2.SIZING_METHOD_KELLY,
            value="1",
            win_rate_ratio="0.5",
            payoff_ratio="2",
            maximum_equity_percent="10",
        ),
        signal_quantity="1",
        signal_price="1",
        quote=common_pb2.Quote(instrument="BTC/USDT", bid="1", ask="1"),
        instrument=common_pb2.Instrument(
            instrument="BTC/USDT",
            kind=common_pb2.INSTRUMENT_KIND_SPOT,
            base_asset="BTC",
            quote_asset="USDT",
            lot_size="1",
            minimum_notional="1",
        ),
        fee_bps="1",
        marks=[common_pb2.Quote(instrument="ETH/USDT", bid="1", ask="1")],
    )


def settlement() -> risk_pb2.SettleOrderRequest:
    fill = order_pb2.Fill(
        execution_id="e1", side=common_pb2.SIDE_BUY, quantity="1", price="1", fee="1", fee_asset="USDT"
    )
    return risk_pb2.SettleOrderRequest(order_id="o1", fills=[fill])


def account() -> risk_pb2.Account:
    amounts = {f.name: "1" for f in risk_pb2.Limits.DESCRIPTOR.fields if f.type == f.TYPE_STRING}
    return risk_pb2.Account(
        account_id="paper",
        mode=common_pb2.MODE_PAPER,
        currency="USDT",
        limits=risk_pb2.Limits(**amounts),
        leverage="1",
    )


def numbers(message: Any, path: str = "") -> Iterator[tuple[Message, str, str]]:
    """Every text field that holds a number: its message, its name, and its path."""
    for field, value in message.ListFields():
        name = f"{path}{field.name}"
        if field.type == field.TYPE_MESSAGE:
            children = value if field.is_repeated else [value]
            for number, child in enumerate(children):
                place = f"{name}[{number}]" if field.is_repeated else name
                yield from numbers(child, f"{place}.")
        elif field.type == field.TYPE_STRING and value.lstrip("-").replace(".", "", 1).isdigit():
            yield message, field.name, name


REQUESTS = {
    "evaluate": (evaluation, lambda request: check_request(request, START)),
    "settle": (settlement, check_fills),
    "account": (account, rules_of),
}
STOPS = ("price", "percent", "amount")


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_no_number_is_refused_and_named(name: str) -> None:
    make, check = REQUESTS[name]
    check(make())
    paths = [path for _, _, path in numbers(make())]
    assert len(paths) >= 3
    for path in paths:
        for text in NO_NUMBERS:
            request = make()
            owner, field = next((owner, field) for owner, field, found in numbers(request) if found == path)
            setattr(owner, field, text)
            with pytest.raises(ServiceError) as refused:
                check(request)
            assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT, (path, text)
            assert field in str(refused.value), (path, text)
            assert len(str(refused.value)) < 300, (path, text)


@pytest.mark.parametrize("kind", STOPS)
def test_a_stop_that_is_no_number_is_refused(kind: str) -> None:
    for text in (*NO_NUMBERS, ""):
        request = evaluation()
        setattr(request.stop_loss, kind, text)
        with pytest.raises(ServiceError, match=f"stop_loss.{kind}"):
            check_request(request, START)


@pytest.mark.parametrize("path", ["cash.amount", "position.quantity", "position.price"])
def test_an_adjustment_that_is_no_number_is_refused_and_books_nothing(path: str) -> None:
    kind, field = path.split(".")
    with contextlib.closing(RiskFixture()) as risk:
        process = Process(risk)
        process.create(account_of())
        before = risk.account("a")
        for number, text in enumerate(NO_NUMBERS):
            request = risk_pb2.RecordAdjustmentRequest(request_id=f"r{number}", account_id="a", comment="test")
            if kind == "cash":
                request.cash.asset, request.cash.amount = "USDT", "1"
            else:
                request.position.instrument, request.position.quantity = "BTC/USDT", "1"
                request.position.price = "1"
            setattr(getattr(request, kind), field, text)
            with pytest.raises(ServiceError, match=path) as refused:
                process.adjust(request)
            assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT, text
        assert risk.account("a") == before


@pytest.mark.parametrize("text", ["0", "-1", "-0", "0.000000000000000000"])
def test_what_has_to_be_above_zero_is(text: str) -> None:
    above_zero = {
        "evaluate": (
            "quantity",
            "value",
            "win_rate_ratio",
            "payoff_ratio",
            "signal_quantity",
            "signal_price",
            "lot_size",
        ),
        "settle": ("quantity", "price"),
        "account": (
            "max_order_notional",
            "max_leverage",
            "max_daily_loss",
            "max_drawdown_percent",
            "max_order_quantity",
            "leverage",
        ),
    }
    for name, fields in above_zero.items():
        make, check = REQUESTS[name]
        for wanted in fields:
            request = make()
            owner = next(owner for owner, field, _ in numbers(request) if field == wanted)
            setattr(owner, wanted, text)
            with pytest.raises(ServiceError, match=wanted):
                check(request)


@pytest.mark.parametrize("text", ["99999999999999999999.999999999999999999", "0.000000000000000001", "1"])
def test_every_digit_of_a_number_arrives(text: str) -> None:
    fill = settlement()
    fill.fills[0].quantity = fill.fills[0].price = fill.fills[0].fee = text
    (trade,) = check_fills(fill)
    assert [str(n) if "E" not in str(n) else f"{n:f}" for n in (trade.quantity, trade.price, trade.fee)] == [text] * 3
