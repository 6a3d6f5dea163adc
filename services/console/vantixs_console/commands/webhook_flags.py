"""The flags of webhooks' commands, and what they set."""

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
    return f"{what}; may be given more than once; all where none is given"


DisplayName = Annotated[str | None, typer.Option(help="name for people")]
Enabled = Annotated[bool | None, typer.Option("--enabled/--disabled", help="whether it takes signals")]
ModeFlag = Annotated[str | None, typer.Option(help="paper or live")]
StrategyId = Annotated[str | None, typer.Option("--strategy-id", "--strategy", help="strategy; empty for DIRECT")]
SizingMethod = Annotated[str | None, typer.Option(help="for example fixed_notional; the account's where none is given")]
SizingValue = Annotated[str | None, typer.Option(help="what the method counts, for example 100")]
Instruments = Annotated[list[str] | None, typer.Option(help=_list_help("instrument it takes"))]
Actions = Annotated[list[str] | None, typer.Option(help=_list_help("action it takes, for example buy"))]
DefaultExchange = Annotated[str | None, typer.Option(help="exchange assumed where a symbol names none")]
DefaultKind = Annotated[str | None, typer.Option(help="kind preferred where a symbol could be either: spot, perpetual")]
SellOpensShort = Annotated[bool | None, typer.Option(help="whether SELL without a target may open a short")]
MaximumLeverage = Annotated[str | None, typer.Option(help="highest leverage a payload may ask for")]
DedupeWindow = Annotated[int | None, typer.Option(help="seconds in which the same bytes are a repeat, 0 turns it off")]
EntryExpires = Annotated[int | None, typer.Option(help="seconds after which an entry is too old, 0 for never")]
ExitExpires = Annotated[int | None, typer.Option(help="seconds after which an exit is too old, 0 for never")]
TimeIsEmitTime = Annotated[bool | None, typer.Option(help="whether `time` in a payload is when it was sent")]
SignalIdIsKey = Annotated[
    bool | None,
    typer.Option(help="whether `signal_id` in a payload is an idempotency key, and not a name of a position"),
]
SealPayload = Annotated[
    bool | None,
    typer.Option(help="whether payloads are encrypted in history; `vantixs signals payload` shows one, role AUDITOR"),
]
RateLimit = Annotated[int | None, typer.Option(help="requests a minute, 0 for no limit of its own")]
SourceNetworks = Annotated[list[str] | None, typer.Option(help="CIDR or tradingview; any where none is given")]
MinimumProof = Annotated[str | None, typer.Option(help="token, address, certificate or signature")]
Tolerance = Annotated[int | None, typer.Option(help="seconds that a signed time may be from now, 0 for 300")]
OnNewSignal = Annotated[
    str | None,
    typer.Option(
        help="what becomes of entries that rest when another signal comes in: cancel-own-entries, cancel-all-entries "
        "(of every webhook of the account) or keep"
    ),
]
PositionPolicy = Annotated[
    str | None,
    typer.Option(
        help="what a signal may do where the sender's position before it is not the account's: ignore (anything, it is "
        "recorded), refuse, reduce-only or reconcile (what brings the account to the sender's position after it)"
    ),
]
PositionOwner = Annotated[
    str | None,
    typer.Option(
        help="whose position its signals act on: account (all of it that no webhook owns), or webhook (what its own entries "
        "opened and is still open, which no other webhook closes)"
    ),
]
MaxAdds = Annotated[int | None, typer.Option(help="most entries that may add to one position, 0 for no limit")]
AddSpacing = Annotated[
    int | None,
    typer.Option("--add-spacing-s", help="least seconds between two entries of one position, 0 to 604800"),
]
StopMove = Annotated[
    str | None,
    typer.Option(
        help="where the stop goes once targets are reached, for entries that say nothing of it: breakeven, moving-target, "
        "moving-2-target, percent-below-trigger or percent-below-highest"
    ),
]
StopMoveAfter = Annotated[
    int | None, typer.Option(help="target from which on --stop-move moves the stop, 1 to 10; 0 for the first")
]
StopMovePercent = Annotated[
    str | None, typer.Option(help="percent of the two kinds of --stop-move that name one, for example 1.5")
]
ProtectionBase = Annotated[
    str | None,
    typer.Option(
        help="what percents and distances of stop and targets are measured from: average-entry or first-entry"
    ),
]
UnprotectedLimit = Annotated[
    int | None,
    typer.Option(
        "--unprotected-limit-s",
        help="seconds for which a position may be held without its stop before all of it is closed, 0 (takes 10) to 300",
    ),
]
TriggeredTimeout = Annotated[
    int | None,
    typer.Option(
        "--triggered-timeout-s",
        help="seconds after its trigger at which what is left of a stop-limit order goes to the market, 0 for never",
    ),
]
Mapping = Annotated[Path | None, typer.Option(help='JSON file {"fields": {...}, "values": {...}}; {} for none')]
Clear = Annotated[list[str] | None, typer.Option(help="field to set back to what it is unset, for example instruments")]
Revision = Annotated[int, typer.Option(help="revision it was read at; 0 for whatever it is now")]
ExpiresInS = Annotated[int, typer.Option(help="seconds until it ends; 0 for never")]
Grace = Annotated[int, typer.Option("--grace-s", help="seconds the old ones stay valid")]
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
    try:
        return json_format.Parse(path.read_text(), webhook_pb2.PayloadMapping())
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise SettingsError(f"--mapping: expected a JSON file with fields and values: {error}") from None


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
    """Sets a time so many seconds from now."""
    message.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
