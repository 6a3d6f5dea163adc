"""Deadlines, repeated calls, errors and pages, on a clock that moves only when somebody waits."""

from typing import Any

import grpc
import pytest
from vantixs import client as library
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.client import Policy
from vantixs.client.contracts import BY_REQUEST, may_repeat
from vantixs.runtime.errors import ServiceError, invalid
from vantixs.runtime.grpc_replicas import Address

AWAY = grpc.StatusCode.UNAVAILABLE


def test_call_carries_the_token_the_operator_and_the_deadline(rig: Any) -> None:
    asked = rig.begin(rig.client.accounts.get, "paper")
    metadata, request, call = rig.take("GetAccount")
    call.terminate(risk_pb2.GetAccountResponse(equity="5"), (), grpc.StatusCode.OK, "")
    assert asked.result().equity == "5"
    assert request.account_id == "paper"
    assert (metadata["authorization"], metadata["x-operator"]) == ("Bearer secret", "one")
    assert rig.timeouts == [10.0]


def test_deadline_is_that_of_all_attempts_together(rig: Any) -> None:
    asked = rig.begin(rig.client.accounts.get, "paper")
    for _ in range(3):
        _, _, call = rig.take("GetAccount")
        rig.time.sleep_for(2)
        rig.end(call, AWAY)
    _, _, call = rig.take("GetAccount")
    rig.time.sleep_for(4)
    rig.end(call, AWAY)
    with pytest.raises(library.ServiceUnavailable):
        asked.result()
    # Each attempt has what the ones before have left, pauses of 0.05 to 1 s included.
    assert rig.timeouts[0] == 10
    assert all(2.05 <= before - after <= 3 for before, after in zip(rig.timeouts, rig.timeouts[1:], strict=False))
    assert rig.time.time() <= 10.7


def test_no_attempt_begins_after_the_deadline(rig: Any) -> None:
    asked = rig.begin(rig.client.call, risk_pb2.GetAccountRequest(), timeout_s=3.0)
    _, _, call = rig.take("GetAccount")
    rig.time.sleep_for(3)
    rig.end(call, AWAY)
    with pytest.raises(library.ServiceUnavailable) as caught:
        asked.result()
    assert rig.timeouts == [3.0]
    assert caught.value.service == "risk"


def test_replicas_are_looked_up_again_and_the_others_have_their_turn(rig: Any) -> None:
    rig.addresses = [Address("one"), Address("two")]
    asked = rig.begin(rig.client.accounts.get, "paper")
    metadata, _, call = rig.take("GetAccount")
    assert metadata["x-operator"] == "one"
    rig.addresses = [Address("one"), Address("three")]
    rig.end(call, AWAY)
    metadata, _, call = rig.take("GetAccount")
    assert metadata["x-operator"] == "three"
    call.terminate(risk_pb2.GetAccountResponse(), (), grpc.StatusCode.OK, "")
    asked.result()
    assert rig.looked == ["risk", "risk"]


def test_one_that_failed_is_passed_over_for_a_second(rig: Any) -> None:
    rig.addresses = [Address("one"), Address("two")]
    seen = []
    for _ in range(6):
        asked = rig.begin(rig.client.orders.cancel, "o")
        metadata, _, call = rig.take("CancelOrder")
        seen.append(metadata["x-operator"])
        rig.end(call, AWAY if seen[-1] == "one" else grpc.StatusCode.NOT_FOUND)
        assert asked.exception()
        rig.time.sleep_for(0.3)
    assert seen == ["one", "two", "two", "two", "one", "two"]


def test_where_none_is_known_the_service_is_unavailable(rig: Any) -> None:
    rig.addresses = []
    with pytest.raises(library.ServiceUnavailable, match="no process of router is known to run"):
        rig.begin(rig.client.orders.get, "o").result()


def test_call_that_is_repeated_has_the_same_request_id(rig: Any) -> None:
    asked = rig.begin(rig.client.positions.close, "paper", "BTC/USDT", "news")
    first = rig.refuse("ClosePosition", AWAY)
    second = rig.answer("ClosePosition", router_pb2.ClosePositionResponse(signal_id="s"))
    assert asked.result() == "s"
    assert first == second
    assert len(first.request_id) == 36


def test_request_without_an_id_gets_one_and_is_left_as_it_was(rig: Any) -> None:
    request = risk_pb2.RecordAdjustmentRequest(account_id="paper")
    asked = rig.begin(rig.client.call, request)
    first = rig.refuse("RecordAdjustment", AWAY)
    assert rig.answer("RecordAdjustment", risk_pb2.RecordAdjustmentResponse()).request_id == first.request_id != ""
    asked.result()
    assert request.request_id == ""


@pytest.mark.parametrize(
    ("method", "work"),
    [
        ("CancelOrder", lambda client: client.orders.cancel("o")),
        ("CancelOrders", lambda client: client.orders.cancel_entries(everything=True)),
        ("SetTradingState", lambda client: client.trading.resume("again")),
        ("SetTradingState", lambda client: client.trading.reduce("careful")),
    ],
)
def test_what_may_not_be_said_twice_is_said_once(method: str, work: Any, rig: Any) -> None:
    asked = rig.begin(work, rig.client)
    rig.refuse(method, AWAY)
    assert isinstance(asked.exception(), library.ServiceUnavailable)
    assert len(rig.timeouts) == 1


def test_halt_is_said_until_risk_has_heard_it(rig: Any) -> None:
    asked = rig.begin(rig.client.trading.halt, "news", scope="account:paper")
    for _ in range(5):
        rig.refuse("SetTradingState", AWAY)
    said = rig.answer("SetTradingState", risk_pb2.SetTradingStateResponse(open_orders=2))
    assert asked.result().open_orders == 2
    assert (said.scope, said.state, said.comment) == ("account:paper", common_pb2.TRADING_STATE_HALTED, "news")


def test_of_what_changes_something_only_what_is_known_to_be_safe_is_repeated() -> None:
    safe = set()
    for name, rpc in BY_REQUEST.items():
        module = {"router": router_pb2, "risk": risk_pb2, "audit": audit_pb2}.get(rpc.service)
        request = getattr(module, name.rpartition(".")[2])() if module else None
        if request is not None and may_repeat(rpc, request):
            safe.add(rpc.method)
    read = ("Get", "List", "Watch", "Export", "Check", "Verify", "Prove")
    assert {m for m in safe if not m.startswith(read)} == set()
    quote = router_pb2.PublishQuoteRequest()
    rpc = BY_REQUEST[quote.DESCRIPTOR.full_name]
    assert not may_repeat(rpc, quote)
    quote.quote.quote_time.GetCurrentTime()
    assert may_repeat(rpc, quote)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENT", library.InvalidRequest), ("NOT_FOUND", library.NotFound), ("ALREADY_EXISTS", library.Conflict),
        ("ABORTED", library.Conflict), ("FAILED_PRECONDITION", library.NotPossibleNow),
        ("PERMISSION_DENIED", library.NotPermitted), ("UNAUTHENTICATED", library.NotPermitted),
        ("RESOURCE_EXHAUSTED", library.LimitReached), ("UNIMPLEMENTED", library.NotBuilt),
        ("DEADLINE_EXCEEDED", library.DeadlineExceeded), ("INTERNAL", library.ClientError),
    ],
)  # fmt: skip
def test_every_status_has_its_type_and_says_why(code: str, kind: type[library.ClientError], rig: Any) -> None:
    asked = rig.begin(rig.client.positions.close, "paper", "BTC/USDT", "news", request_id="mine")
    rig.refuse("ClosePosition", ServiceError(grpc.StatusCode[code], "SOME_REASON", "because"))
    error = asked.exception()
    assert type(error) is kind
    assert (error.reason, error.detail, error.service, error.request_id) == ("SOME_REASON", "because", "router", "mine")
    assert str(error) == "SOME_REASON: because"


def test_field_that_is_wrong_is_named(rig: Any) -> None:
    asked = rig.begin(rig.client.accounts.get, "?")
    rig.refuse("GetAccount", invalid("account_id", "expected an id"))
    assert (asked.exception().field, asked.exception().reason) == ("account_id", "FIELD_INVALID")


def test_status_without_a_reason_has_the_code_as_one(rig: Any) -> None:
    asked = rig.begin(rig.client.accounts.get, "a")
    rig.refuse("GetAccount", grpc.StatusCode.CANCELLED)
    assert asked.exception().reason == "CANCELLED"


def test_pages_are_asked_for_as_they_are_read(rig: Any) -> None:
    found = rig.client.orders.list(account_id="paper", open_only=True)
    asked = []

    def page(following: str, *ids: str) -> None:
        orders = [order_pb2.Order(order_id=order_id) for order_id in ids]
        asked.append(rig.answer("ListOrders", router_pb2.ListOrdersResponse(orders=orders, next_page_token=following)))

    reading = rig.begin(next, found)
    page("2", "a", "b")
    assert (reading.result().order_id, next(found).order_id) == ("a", "b")
    assert len(rig.timeouts) == 1, "the next page is not asked for before it is wanted"
    reading = rig.begin(next, found)
    asked.append(rig.refuse("ListOrders", AWAY))  # A page is repeated as any other call that reads.
    page("3")
    page("", "c")
    assert reading.result().order_id == "c"
    assert next(found, None) is None
    assert [request.page_token for request in asked] == ["", "2", "2", "3"]
    assert all(request.page_size == 1000 and request.open_only for request in asked)


def test_only_requests_of_the_contracts_and_listings_are_taken(rig: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a request of a service, was .*\.Quote"):
        rig.client.call(common_pb2.Quote())
    with pytest.raises(TypeError, match="expected a request that lists"):
        next(rig.client.pages(risk_pb2.GetAccountRequest()))


def test_attempts_may_be_limited() -> None:
    assert len(list(Policy(attempts=4).waits())) == 3
    assert list(Policy(attempts=1).waits()) == []
    some = [wait for wait, _ in zip(Policy().waits(), range(20), strict=False)]
    assert len(some) == 20
    assert max(some) <= 1


def test_both_clients_have_the_same_methods() -> None:
    for area in ("signals", "orders", "positions", "accounts", "trading", "replays"):
        kinds = [f"{prefix}{area.capitalize()}" for prefix in ("Async", "")]
        modules = __import__(f"vantixs.client.{'accounts' if area == 'positions' else area}", fromlist=kinds)
        with_loop, without = ({n for n in vars(getattr(modules, kind)) if n[0] != "_"} for kind in kinds)
        assert with_loop == without
