"""Terms of orders that rest: the end of an order of the day, and what an amendment makes of an order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs_router.working.amended import TermsRefused, change_terms, left_of
from vantixs_router.working.rules import end_of_trading_day

NOW, LOT = datetime(2026, 11, 27, 12, tzinfo=UTC), D("0.01")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-27T00:00:00+00:00", "2026-11-28T00:00:00+00:00"),
        ("2026-11-27T23:59:59.999999+00:00", "2026-11-28T00:00:00+00:00"),
        ("2026-12-31T20:00:00-05:00", "2027-01-02T00:00:00+00:00"),
    ],
)
def test_trading_day_ends_at_midnight_utc(now: str, end: str) -> None:
    assert end_of_trading_day(datetime.fromisoformat(now)).isoformat() == end


def order(kind: str, **fields: Any) -> order_pb2.Order:
    return order_pb2.Order(order_type=common_pb2.OrderType.Value(f"ORDER_TYPE_{kind}"), quantity="1", **fields)


@pytest.mark.parametrize(
    ("kind", "field", "fits"),
    [
        (kind, field, field in fields)
        for kind, fields in {
            "LIMIT": ("limit_price",),
            "STOP": ("stop_price",),
            "STOP_LIMIT": ("limit_price", "stop_price"),
            "TRAILING_STOP": ("trail_percent", "trail_amount"),
        }.items()
        for field in ("limit_price", "stop_price", "trail_percent", "trail_amount")
    ],
)
def test_each_type_has_its_terms(kind: str, field: str, fits: bool) -> None:
    asked = signal_pb2.Signal(**{field: "7"})
    if fits:
        assert getattr(change_terms(order(kind), asked, NOW, LOT), field) == "7"
    else:
        with pytest.raises(TermsRefused, match=f"{field}: a {kind} order has none"):
            change_terms(order(kind), asked, NOW, LOT)


def test_a_trail_takes_the_place_of_the_other() -> None:
    changed = change_terms(order("TRAILING_STOP", trail_amount="5"), signal_pb2.Signal(trail_percent="2"), NOW, LOT)
    assert (changed.trail_percent, changed.trail_amount) == ("2", "")
    with pytest.raises(TermsRefused, match="expected either it or"):
        change_terms(order("TRAILING_STOP"), signal_pb2.Signal(trail_percent="2", trail_amount="3"), NOW, LOT)


def test_quantity_counts_what_is_filled() -> None:
    partly = order("LIMIT", filled_quantity="0.4")
    changed = change_terms(partly, signal_pb2.Signal(quantity="0.9"), NOW, LOT)
    assert left_of(changed, partly) == D("0.5")
    assert left_of(changed, order("LIMIT", filled_quantity="1")) == 0
    with pytest.raises(TermsRefused, match=r"quantity: expected above the 0\.4 filled"):
        change_terms(partly, signal_pb2.Signal(quantity="0.4"), NOW, LOT)
    with pytest.raises(TermsRefused, match=r"quantity: expected to leave at least a lot of 0\.01, left 0\.009"):
        change_terms(partly, signal_pb2.Signal(quantity="0.409"), NOW, LOT)
    assert change_terms(partly, signal_pb2.Signal(quantity="0.41"), NOW, LOT).quantity == "0.41"


def test_time_has_to_come() -> None:
    asked = signal_pb2.Signal()
    asked.order_expire_time.FromDatetime(NOW)
    with pytest.raises(
        TermsRefused, match=r"expected later than 2026-11-27T12:00:00\+00:00, was 2026-11-27T12:00:00\+00:00"
    ):
        change_terms(order("LIMIT"), asked, NOW, LOT)
    asked.order_expire_time.FromDatetime(NOW + timedelta(microseconds=1))
    assert change_terms(order("LIMIT"), asked, NOW, LOT).time_in_force == common_pb2.TIME_IN_FORCE_GTD


def test_the_same_terms_are_no_change() -> None:
    with pytest.raises(TermsRefused, match="expected a term that it does not have"):
        change_terms(order("LIMIT", limit_price="5"), signal_pb2.Signal(limit_price="5"), NOW, LOT)
