"""Accounts by the command line, against a real risk process: every field, every refusal, what halting shows."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import from_rpc_error
from vantixs.testing.stack import COMMANDS
from vantixs_console.commands.accounts import bar, sparkline
from vantixs_risk import store
from vantixs_risk.rule_conversion import rules_of

from tests.support.risk_fixture import account_of, ask, fill
from tests.support.risk_processes import Callers, RiskProcesses


@pytest.fixture(scope="module")
def risk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiskProcesses]:
    directory = tmp_path_factory.mktemp("console")
    running = RiskProcesses(directory / "home", f"sqlite:///{directory / 'risk.db'}", 1)
    running.database = directory / "risk.db"  # type: ignore[attr-defined]
    running.home = directory / "home"  # type: ignore[attr-defined]
    yield running
    running.stop()


def run(risk: Any, *arguments: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    services = ("INGRESS", "RISK", "ROUTER", "AUDIT")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    environ |= {f"VANTIXS_{name}_ADDRESSES": risk.addresses[0] for name in services}
    return COMMANDS.run([*arguments, "--home", str(risk.home)], environ, answer=answer)


def shown(risk: Any, *arguments: str) -> dict[str, Any]:
    done = run(risk, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


FLAGS = {
    "venue": "binance",
    "credential-id": "main",
    "instruments": "BTC/USDT,ETH/USDT:USDT",
    "strategies": "trend,mean",
    "leverage": "3",
    "day-start": "17:00",
    "day-time-zone": "America/New_York",
    "trading-windows": "mon-fri 09:30-16:00 America/New_York; sat,sun 22:00-02:00 Europe/Berlin",
    "sizing-method": "kelly",
    "sizing-value": "0.5",
    "win-rate-ratio": "0.55",
    "payoff-ratio": "1.5",
    "maximum-equity-percent": "10",
    "min-order-notional": "10",
    "max-order-notional": "5000",
    "max-position-notional": "20000",
    "max-gross-exposure": "40000",
    "max-open-positions": "3",
    "max-leverage": "2",
    "max-daily-loss": "500",
    "max-drawdown-percent": "10.5",
    "loss-cooldown-s": "60",
    "max-orders-per-minute": "30",
    "max-price-deviation-bps": "100",
    "max-price-age-ms": "3000",
    "min-order-quantity": "0.001",
    "max-order-quantity": "5",
    "duplicate-order-window-s": "5",
    "max-mark-age-s": "120",
    "daily-loss-state": "halted",
    "drawdown-state": "active",
    "max-failures-in-a-row": "3",
    "failures-state": "reducing",
    "max-repeated-orders": "5",
    "repeated-orders-window-s": "60",
    "repeated-orders-state": "halted",
}


def test_every_field_can_be_given_and_changed(risk: Any) -> None:
    flags = [part for name, value in FLAGS.items() for part in (f"--{name}", value)]
    made = shown(risk, "account", "create", "all", "--mode", "live", "--currency", "USDT", "--balance", "2500.5", "--may-short", *flags)  # fmt: skip
    account = made["account"]
    assert account["limits"]["max_drawdown_percent"] == "10.5"
    assert account["trading_windows"][1] == {
        "days": ["WEEKDAY_SATURDAY", "WEEKDAY_SUNDAY"],
        "start": "22:00",
        "end": "02:00",
        "time_zone": "Europe/Berlin",
    }
    unset = {
        f.name
        for message in (risk_pb2.Account, risk_pb2.Limits, risk_pb2.Breakers)
        for f in message.DESCRIPTOR.fields
        if f.name not in {**account, **account["limits"], **account["breakers"]}
    }
    assert unset == {"scratch_of", "live_enabled"}, "every field has a flag"
    listing = [" ".join(line.split()) for line in run(risk, "account", "show", "all").stdout.splitlines()]
    for row in (
        "instruments " + ", ".join(FLAGS["instruments"].split(",")),
        "trading_windows mon,tue,wed,thu,fri 09:30-16:00 America/New_York; sat,sun 22:00-02:00 Europe/Berlin",
        "method kelly",
        "max_daily_loss 500",
        "loss_cooldown_s 60",
        "drawdown_state active",
        "max_repeated_orders 5",
    ):
        assert row in listing, (row, listing)
    changed = shown(risk, "account", "update", "all", "--no-enabled", "--max-daily-loss", "", "--instruments", "")
    assert "enabled" not in changed["account"]
    assert "max_daily_loss" not in changed["account"]["limits"]
    assert "instruments" not in changed["account"]
    assert changed["account"]["revision"] == "2"
    stale = run(risk, "account", "update", "all", "--enabled", "--revision", "1")
    assert (stale.returncode, "REVISION_CONFLICT" in stale.stderr) == (1, True)
    engine = sa.create_engine(f"sqlite:///{risk.database}")
    with engine.connect() as connection:
        rows = list(connection.execute(sa.select(store.OUTBOX).where(store.OUTBOX.c.message_id.like("account:all:%"))))
    engine.dispose()
    changes = [journal_pb2.JournalBatch.FromString(r.payload).entries[0].configuration_changed for r in rows]
    assert [(c.revision, bool(c.before_json)) for c in changes] == [(1, False), (2, True)]
    assert json.loads(changes[1].before_json)["enabled"] is True
    assert "enabled" not in json.loads(changes[1].after_json)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("mode", {"mode": 0}),
        ("currency", {"currency": "usdt"}),
        ("day_start", {"day_start": "24:30"}),
        ("day_time_zone", {"day_time_zone": "Mars/Olympus"}),
        ("day_time_zone", {"day_time_zone": "../etc/passwd"}),
        ("leverage", {"leverage": "0.5"}),
        ("instruments", {"instruments": ["btc"]}),
        ("instruments", {"instruments": ["BTC/USD:BTC"]}),
        ("strategies", {"strategies": ["a b"]}),
        ("sizing.value", {"sizing": common_pb2.Sizing(method=2)}),
        ("sizing.value", {"sizing": common_pb2.Sizing(method=3, value="100.1")}),
        ("sizing.value", {"sizing": common_pb2.Sizing(method=5, value="1.1", win_rate_ratio="0.5", payoff_ratio="1", maximum_equity_percent="1")}),
        ("sizing.win_rate_ratio", {"sizing": common_pb2.Sizing(method=5, value="1", win_rate_ratio="1", payoff_ratio="1", maximum_equity_percent="1")}),
        ("sizing.payoff_ratio", {"sizing": common_pb2.Sizing(method=5, value="1", win_rate_ratio="0.5", maximum_equity_percent="1")}),
        ("sizing.maximum_equity_percent", {"sizing": common_pb2.Sizing(method=5, value="1", win_rate_ratio="0.5", payoff_ratio="1", maximum_equity_percent="101")}),
        *((f"limits.{name}", {"limits": risk_pb2.Limits(**{name: value})}) for name in ("max_order_notional", "max_daily_loss", "max_order_quantity") for value in ("NaN", "Infinity", "-1", "0", "1e30", "1" * 21, "0.1234567890123456789", "1,5", " 1")),
        ("limits.min_order_notional", {"limits": risk_pb2.Limits(min_order_notional="-1")}),
        ("limits.min_order_notional", {"limits": risk_pb2.Limits(min_order_notional="2", max_order_notional="1")}),
        ("limits.min_order_quantity", {"limits": risk_pb2.Limits(min_order_quantity="2", max_order_quantity="1")}),
        ("limits.max_drawdown_percent", {"limits": risk_pb2.Limits(max_drawdown_percent="100.1")}),
        ("limits.max_open_positions", {"limits": risk_pb2.Limits(max_open_positions=-1)}),
        ("limits.loss_cooldown_s", {"limits": risk_pb2.Limits(loss_cooldown_s=10**9)}),
        ("breakers.max_repeated_orders", {"breakers": risk_pb2.Breakers(max_repeated_orders=2)}),
        ("breakers.max_repeated_orders", {"breakers": risk_pb2.Breakers(max_repeated_orders=1, repeated_orders_window_s=1)}),
        ("breakers.daily_loss_state", {"breakers": risk_pb2.Breakers(daily_loss_state=9)}),
        ("trading_windows[0].start", {"trading_windows": [risk_pb2.TradingWindow(start="9:30", end="16:00", time_zone="UTC")]}),
        ("trading_windows[0].time_zone", {"trading_windows": [risk_pb2.TradingWindow(start="09:30", end="16:00")]}),
        ("trading_windows[0].days", {"trading_windows": [risk_pb2.TradingWindow(days=[9], start="09:30", end="16:00", time_zone="UTC")]}),
        ("trading_windows[0]", {"trading_windows": [risk_pb2.TradingWindow(start="24:00", end="16:00", time_zone="UTC")]}),
    ],
)  # fmt: skip
def test_field_that_does_not_fit_is_named(field: str, change: dict[str, Any]) -> None:
    account = account_of()
    rules_of(account)
    for name, value in change.items():
        account.ClearField(name)
        account.MergeFrom(risk_pb2.Account(**{name: value}))
    from vantixs.runtime.errors import ServiceError

    with pytest.raises(ServiceError) as raised:
        rules_of(account)
    assert (raised.value.code.name, raised.value.violations[0].field) == ("INVALID_ARGUMENT", field)


async def test_account_is_made_once_and_live_is_not_for_operators_to_enable(risk: RiskProcesses) -> None:
    callers = Callers(risk, 1)
    stub = callers.stubs[0]

    async def refusal(request: Any) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.CreateAccount(request, timeout=10)
        return from_rpc_error(raised.value).reason

    request = risk_pb2.CreateAccountRequest(request_id="once", account=account_of("once"))
    first = await stub.CreateAccount(request, timeout=10)
    assert await stub.CreateAccount(request, timeout=10) == first
    request.request_id = "twice"
    assert await refusal(request) == "ACCOUNT_ALREADY_EXISTS"
    request.account.account_id = "Bad Name"
    assert await refusal(request) == "FIELD_INVALID"
    request.account.account_id, request.account.live_enabled = "live", True
    assert await refusal(request) == "LIVE_NOT_READY"
    request.account.live_enabled, request.account.balance = False, "1e30"
    assert await refusal(request) == "FIELD_INVALID"
    request.copy_from_account_id = "nobody"
    assert await refusal(request) == "ACCOUNT_NOT_FOUND"
    await callers.close()


async def test_show_has_bars_and_halt_prints_what_it_stopped(risk: RiskProcesses) -> None:
    callers = Callers(risk, 1)
    await callers.create(account_of("seen", max_gross_exposure="4000", max_daily_loss="100"))
    now = datetime.now(UTC)
    entry = ask("seen-1", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=now, account_id="seen")
    await callers.call("EvaluateOrder", entry)
    part = fill("seen-x", buy=True, quantity="4", price="100", fee="0.4")
    await callers.call("SettleOrder", risk_pb2.SettleOrderRequest(order_id="seen-1", fills=[part]))
    await callers.close()
    text = run(risk, "account", "show", "seen").stdout
    for expected in (
        "equity 9999.6, today -0.4",
        "max_gross_exposure",
        "1000",
        "██████",
        "25 %",
        "seen-1",
        "equity over time",
    ):
        assert expected in text, text
    assert shown(risk, "account", "equity", "seen")["samples"][0]["equity"] == "9999.6"
    stopped = run(risk, "halt", "--scope", "account:seen", "--comment", "test")
    assert stopped.returncode == 0
    assert "account:seen: ACTIVE -> HALTED" in stopped.stdout
    assert "1 orders were open" in stopped.stdout
    assert "seen-1" in stopped.stdout
    assert "HALTED in account:seen by operator:" in run(risk, "account", "show", "seen").stdout
    assert run(risk, "resume", "--scope", "account:seen", answer="nothing\n").returncode == 1
    assert run(risk, "resume", "--scope", "account:seen").returncode == 1, "nobody is there to confirm"
    assert run(risk, "resume", "--scope", "account:seen", answer="account:seen\n").returncode == 0
    adjusted = run(risk, "account", "adjust", "seen", "--asset", "USDT", "--amount", "-12.5", "--comment", "a fee")
    assert "USDT is 9587.1" in adjusted.stdout
    assert run(risk, "account", "adjust", "seen", "--comment", "nothing").returncode == 2


def test_bars_and_sparklines_say_what_is_used() -> None:
    assert bar(Decimal(0), Decimal(100), 4) == "░░░░   0 %"
    assert bar(Decimal(1), Decimal(100), 4) == "█░░░   1 %"
    assert bar(Decimal(99), Decimal(100), 4) == "███░  99 %"
    assert bar(Decimal(100), Decimal(100), 4) == "████ 100 %"
    assert bar(Decimal(300), Decimal(100), 4) == "████ 100 %"
    assert bar(Decimal(0), Decimal(0), 4) == "░░░░   0 %"
    assert bar(Decimal(1), Decimal(0), 4) == "████ 100 %"
    assert sparkline([Decimal(n) for n in (1, 2, 8)]) == "▁▂█"
    assert sparkline([Decimal(5), Decimal(5)]) == "▅▅"
