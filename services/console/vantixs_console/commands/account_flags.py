"""The flags of `account create` and `account update`: one for every field of an account that may be set."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import typer
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.listing import DAYS
from vantixs_console.terminal import enum_value


class Flag(NamedTuple):
    """A flag: which message of the account it sets (empty for the account itself), and the descriptor of its field."""

    message: str
    field: Any

    @property
    def parameter(self) -> str:
        """The parameter's name, for example "sizing_value"."""
        short = self.message == "sizing" and self.field.name in ("method", "value")
        return f"sizing_{self.field.name}" if short else self.field.name


_WINDOW = re.compile(r"(?:(\S+)\s+)?(\d\d:\d\d)-(\d\d:\d\d)\s+(\S+)")
_OWN = (
    "venue",
    "credential_id",
    "enabled",
    "may_short",
    "instruments",
    "strategies",
    "leverage",
    "day_start",
    "day_time_zone",
    "trading_windows",
)
_HELP = {
    "venue": "venue, for live",
    "credential_id": "credential, for live",
    "enabled": "whether it takes entries",
    "may_short": "whether it may be short",
    "instruments": "instruments it may trade, separated by commas; empty for all",
    "strategies": "strategies from which it takes entries, separated by commas; empty for all; names are not checked",
    "leverage": "leverage with which margin is calculated; empty for max-leverage, or 1",
    "day_start": "local time at which its day begins, for example 17:00",
    "day_time_zone": "IANA time zone of day-start, for example America/New_York",
    "trading_windows": 'when it takes entries, for example "mon-fri 09:30-16:00 America/New_York"; separate several by ";"',
    "sizing_method": "fixed_quantity, fixed_notional, equity_percent, risk_percent, kelly, signal_quantity",
    "sizing_value": "base units, quote units, percent, or fraction of Kelly",
    "win_rate_ratio": "kelly: part of the trades that win, for example 0.55",
    "payoff_ratio": "kelly: average win over average loss, for example 1.5",
    "maximum_equity_percent": "kelly: maximum of the result, percent of equity",
    "min_order_notional": "lowest notional of an order, quote units",
    "max_order_notional": "highest notional of an order, quote units",
    "max_position_notional": "highest notional of one position, quote units",
    "max_gross_exposure": "highest sum of position notionals",
    "max_open_positions": "highest number of open positions; 0 for no limit",
    "max_leverage": "highest exposure over equity",
    "max_daily_loss": "highest loss of a day, base currency",
    "max_drawdown_percent": "highest fall from the peak of equity, percent",
    "loss_cooldown_s": "seconds without entries after a loss; 0 for none",
    "max_orders_per_minute": "highest number of orders a minute; 0 for no limit",
    "max_price_deviation_bps": "highest difference between the signal's price and the market, basis points; 0 for no limit",
    "max_price_age_ms": "highest age of the quote, milliseconds; 0 for the service's setting",
    "min_order_quantity": "lowest quantity of an order, base units",
    "max_order_quantity": "highest quantity of an order, base units",
    "duplicate_order_window_s": "seconds within which the same entry is denied again; 0 for none",
    "max_mark_age_s": "highest age of other positions' prices, seconds; 0 for the service's setting",
    "daily_loss_state": "state that is set when max-daily-loss is reached: reducing, halted, or active for none",
    "drawdown_state": "state that is set when max-drawdown-percent is reached: reducing, halted, or active for none",
    "max_failures_in_a_row": "consecutive orders rejected by the venue that trip the breaker; 0 for no breaker",
    "failures_state": "state that is set when max-failures-in-a-row is reached: reducing, halted",
    "max_repeated_orders": "same entries within the window that trip the breaker; 0 for no breaker",
    "repeated_orders_window_s": "window of max-repeated-orders, seconds",
    "repeated_orders_state": "state that is set when max-repeated-orders is reached: reducing, halted",
}


def flags() -> list[Flag]:
    """Every flag, in the order of the help."""
    account = risk_pb2.Account.DESCRIPTOR.fields_by_name
    found = [Flag("", account[name]) for name in _OWN]
    for message, kind in (("sizing", common_pb2.Sizing), ("limits", risk_pb2.Limits), ("breakers", risk_pb2.Breakers)):
        found += [Flag(message, field) for field in kind.DESCRIPTOR.fields]
    return found


def with_account_flags(command: Callable[..., int]) -> Callable[..., int]:
    """The command with a flag for every field. Its argument `given` has the flags that were used, with their values."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "given"]
    known = flags()
    parameters = [
        *(p for p in own if p.default is inspect.Parameter.empty),
        *(_parameter(flag) for flag in known),
        *(p for p in own if p.default is not inspect.Parameter.empty),
    ]

    def run(**values: Any) -> int:
        given = {flag: value for flag in known if (value := values.pop(flag.parameter)) is not None}
        return command(given=given, **values)

    run.__doc__ = command.__doc__
    ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    return run


def apply(account: risk_pb2.Account, given: Mapping[Flag, Any]) -> None:
    """Sets the fields whose flags were used; an empty text clears one."""
    for flag, value in given.items():
        target = getattr(account, flag.message) if flag.message else account
        field = flag.field
        if field.is_repeated:
            target.ClearField(field.name)
            parts = [part.strip() for part in str(value).split(";" if field.message_type else ",") if part.strip()]
            getattr(target, field.name).extend(map(_window, parts) if field.message_type else parts)
        elif field.enum_type:
            enum: Any = _ENUMS[field.enum_type.name]
            number = enum_value(enum, _prefix(field.enum_type), flag.parameter.replace("_", "-"), value) if value else 0
            setattr(target, field.name, number)
        else:
            setattr(target, field.name, value)


_ENUMS = {"SizingMethod": common_pb2.SizingMethod, "TradingState": common_pb2.TradingState}


def _parameter(flag: Flag) -> inspect.Parameter:
    option = typer.Option(help=_HELP[flag.parameter], show_default=False)
    annotation: Any = Annotated[str | None, option]
    if flag.field.type == FieldDescriptor.TYPE_INT32:
        annotation = Annotated[int | None, option]
    elif flag.field.type == FieldDescriptor.TYPE_BOOL:
        annotation = Annotated[bool | None, option]
    return inspect.Parameter(flag.parameter, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)


def _prefix(enum: EnumDescriptor) -> str:
    return enum.values[0].name.removesuffix("UNSPECIFIED")


def _window(text: str) -> risk_pb2.TradingWindow:
    """A trading window from "mon-fri 09:30-16:00 America/New_York"; without days it is every day."""
    match = _WINDOW.fullmatch(text)
    if not match:
        expected = 'expected a window like "mon-fri 09:30-16:00 America/New_York"'
        raise SettingsError(f"--trading-windows: {expected}, was {text[:60]!r}")
    days, start, end, zone = match.groups()
    numbers = [day + 1 for part in days.lower().split(",") for day in _days(part)] if days else []
    return risk_pb2.TradingWindow(days=numbers, start=start, end=end, time_zone=zone)  # type: ignore[arg-type]


def _days(part: str) -> range:
    first, _, last = part.partition("-")
    if first not in DAYS or (last or first) not in DAYS or DAYS.index(last or first) < DAYS.index(first):
        raise SettingsError(f"--trading-windows: expected days like mon-fri or sat,sun, was {part[:20]!r}")
    return range(DAYS.index(first), DAYS.index(last or first) + 1)
