"""The flags of the webhook commands, and the fields that they set."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.terminal import enum_value


def _list_help(what: str) -> str:
    return f"{what}; may be repeated; by default all"


DisplayName = Annotated[str | None, typer.Option(help="display name")]
Enabled = Annotated[bool | None, typer.Option("--enabled/--disabled", help="whether it takes signals")]
ModeFlag = Annotated[str | None, typer.Option(help="paper or live")]
StrategyId = Annotated[str | None, typer.Option("--strategy-id", "--strategy", help="strategy; empty for DIRECT")]
SizingMethod = Annotated[str | None, typer.Option(help="for example fixed_notional; by default the account's")]
SizingValue = Annotated[str | None, typer.Option(help="value for the method, for example 100")]
Instruments = Annotated[list[str] | None, typer.Option(help=_list_help("instrument it takes"))]
Actions = Annotated[list[str] | None, typer.Option(help=_list_help("action it takes, for example buy"))]
DefaultExchange = Annotated[str | None, typer.Option(help="exchange that is assumed if a symbol names none")]
DefaultKind = Annotated[
    str | None, typer.Option(help="kind that is chosen if a symbol could be either: spot, perpetual")
]
SellOpensShort = Annotated[bool | None, typer.Option(help="whether SELL without a target position may open a short")]
MaximumLeverage = Annotated[str | None, typer.Option(help="highest leverage that a payload may request")]
DedupeWindow = Annotated[int | None, typer.Option(help="seconds within which the same bytes are a repeat; 0 for off")]
EntryExpires = Annotated[int | None, typer.Option(help="seconds after which an entry is too old; 0 for never")]
ExitExpires = Annotated[int | None, typer.Option(help="seconds after which an exit is too old, 0 for never")]
TimeIsEmitTime = Annotated[
    bool | None, typer.Option(help="whether `time` in a payload is when it was sent, not the bar's time")
]
SignalIdIsKey = Annotated[
    bool | None,
    typer.Option(help="whether `signal_id` in a payload is an idempotency key, and not the id of a position"),
]
SealPayload = Annotated[
    bool | None,
    typer.Option(help="whether payloads are encrypted in history; `vantixs signals payload` shows one, role AUDITOR"),
]
RateLimit = Annotated[int | None, typer.Option(help="requests a minute, 0 for no limit of its own")]
SourceNetworks = Annotated[
    list[str] | None, typer.Option(help="networks from which it takes requests, CIDR or tradingview; by default any")
]
MinimumProof = Annotated[str | None, typer.Option(help="token, address, certificate or signature")]
Tolerance = Annotated[
    int | None, typer.Option(help="highest difference of a signed time from the current time, seconds; 0 for 300")
]
OnNewSignal = Annotated[
    str | None,
    typer.Option(
        help="what happens to resting entries when another signal arrives: cancel-own-entries, cancel-all-entries "
        "(of every webhook of the account) or keep"
    ),
]
PositionPolicy = Annotated[
    str | None,
    typer.Option(
        help="what a signal may do if the sender's position before it differs from the account's: ignore (anything; it is "
        "recorded), refuse, reduce-only or reconcile (whatever brings the account to the sender's position after it)"
    ),
]
PositionOwner = Annotated[
    str | None,
    typer.Option(
        help="which part of a position its signals act on: account (the part that no webhook owns), or webhook (the part that "
        "its own entries opened, which no other webhook closes)"
    ),
]
MaxAdds = Annotated[
    int | None, typer.Option(help="highest number of entries that may add to one position; 0 for no limit")
]
AddSpacing = Annotated[
    int | None,
    typer.Option("--add-spacing-s", help="minimum seconds between two entries of one position, 0 to 604800"),
]
StopMove = Annotated[
    str | None,
    typer.Option(
        help="where the stop moves when targets are reached, for entries that do not specify it: breakeven, moving-target, "
        "moving-2-target, percent-below-trigger or percent-below-highest"
    ),
]
StopMoveAfter = Annotated[
    int | None, typer.Option(help="first target at which --stop-move moves the stop, 1 to 10; 0 for the first target")
]
StopMovePercent = Annotated[
    str | None, typer.Option(help="percent for the two kinds of --stop-move that need one, for example 1.5")
]
ProtectionBase = Annotated[
    str | None,
    typer.Option(
        help="price from which percentages and distances of stop and targets are measured: average-entry or first-entry"
    ),
]
UnprotectedLimit = Annotated[
    int | None,
    typer.Option(
        "--unprotected-limit-s",
        help="seconds after which a position without its stop is closed, 1 to 300; 0 for 10",
    ),
]
TriggeredTimeout = Annotated[
    int | None,
    typer.Option(
        "--triggered-timeout-s",
        help="seconds after a stop-limit order's trigger after which its rest becomes a market order; 0 for never",
    ),
]
Mapping = Annotated[Path | None, typer.Option(help='JSON file {"fields": {...}, "values": {...}}; {} for none')]
Clear = Annotated[list[str] | None, typer.Option(help="field to reset to its default, for example instruments")]
Revision = Annotated[int, typer.Option(help="change it only if it has this revision; 0 for any")]
ExpiresInS = Annotated[int, typer.Option(help="seconds until it expires; 0 for never")]
Grace = Annotated[int, typer.Option("--grace-s", help="seconds for which the old ones stay valid")]
ENUMS: dict[str, tuple[Any, str]] = {
    "mode": (common_pb2.Mode, "MODE_"),
    "default_instrument_kind": (common_pb2.InstrumentKind, "INSTRUMENT_KIND_"),
    "minimum_proof": (webhook_pb2.ProofLevel, "PROOF_LEVEL_"),
    "on_new_signal": (webhook_pb2.OnNewSignal, "ON_NEW_SIGNAL_"),
    "position_policy": (webhook_pb2.PositionPolicy, "POSITION_POLICY_"),
    "position_owner": (webhook_pb2.PositionOwner, "POSITION_OWNER_"),
    "stop_move": (webhook_pb2.StopMove, "STOP_MOVE_"),
    "protection_base": (webhook_pb2.ProtectionBase, "PROTECTION_BASE_"),
}


def fill(target: webhook_pb2.Webhook, flags: dict[str, Any]) -> None:
    """Sets the fields whose flags were given; a list that is given replaces the whole list."""
    for name, value in flags.items():
        if value is None or name == "clear":
            continue
        if name in ENUMS:
            enum, prefix = ENUMS[name]
            setattr(target, name, enum_value(enum, prefix, name.replace("_", "-"), value))
        elif name in ("instruments", "source_networks"):
            target.ClearField(name)
            getattr(target, name).extend(value)
        elif name == "actions":
            target.ClearField("actions")
            target.actions.extend(actions_of(value))
        elif name == "sizing_method":
            target.sizing.method = enum_value(common_pb2.SizingMethod, "SIZING_METHOD_", "sizing-method", value)
        elif name == "sizing_value":
            target.sizing.value = value
        elif name == "mapping":
            target.mapping.CopyFrom(_read_mapping(value))
        else:
            setattr(target, name, value)
    if flags.get("strategy_id") is not None:
        direct, strategy = common_pb2.ROUTING_MODE_DIRECT, common_pb2.ROUTING_MODE_STRATEGY
        target.routing_mode = strategy if target.strategy_id else direct


def actions_of(names: list[str]) -> list[Any]:
    """Actions by their names."""
    return [enum_value(common_pb2.Action, "ACTION_", "actions", name) for name in names]


def _read_mapping(path: Path) -> webhook_pb2.PayloadMapping:
    expected = "--mapping: expected a JSON file with fields and values"
    mapping = webhook_pb2.PayloadMapping()
    try:
        json_format.Parse(path.read_text(), mapping)
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise SettingsError(f"{expected}: {error}") from None
    # An empty list and null are read as an empty message, and that is a webhook without a mapping.
    if not mapping.fields and not mapping.values:
        raise SettingsError(f'{expected}, such as {{"fields": {{"action": "a", "symbol": "s"}}}}, was one with neither')
    return mapping


CLEARABLE = {
    "instruments", "actions", "source_networks", "mapping", "sizing", "display_name", "default_exchange", "on_new_signal",
    "position_policy", "position_owner", "stop_move", "stop_move_percent", "protection_base",
}  # fmt: skip
_NOT_FIELDS = {
    "home", "as_json", "revision", "clear", "token_expires_in_s", "token_exits_only", "signing", "webhook",
}  # fmt: skip


def given_fields(given: dict[str, Any]) -> dict[str, Any]:
    """The flags that are fields of a webhook."""
    return {name: value for name, value in given.items() if name not in _NOT_FIELDS}


def set_expiry(message: Any, seconds: int) -> None:
    """Sets the message to the time that many seconds from now."""
    message.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
