"""Webhooks, and trying them out."""

import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.home import read_secret, write_atomically
from vantixs.runtime.settings import SettingsError

from vantixs_console.bootstrap import TOKEN, WEBHOOK
from vantixs_console.clients import Clients, ingress_url
from vantixs_console.listing import credential_table, webhook_rows
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    check_exists,
    enum_value,
    make_table,
    out,
    print_rows,
    service_settings,
    show,
)
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
webhook = typer.Typer(no_args_is_help=True, help="Webhooks: where signals come in")
app.add_typer(webhook, name="webhook")


@app.command()
def send(
    file: Annotated[Path, typer.Argument(help="file with the payload, or - for standard input")],
    home: HomeOption = "",
    url: Annotated[str, typer.Option(help="webhook URL; the demo webhook where none is given")] = "",
    as_json: JsonOption = False,
) -> int:
    """Sends a payload to the webhook's URL, as a sender would."""
    if str(file) != "-" and not file.is_file():
        raise SettingsError(f"send: expected a file, was {file}")
    body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    if not url:
        settings = service_settings(home)
        token, base = settings.home / "secrets" / TOKEN, ingress_url(settings)
        if not base or not token.is_file():
            raise SettingsError(f"send: nothing runs in {settings.home}: start it with `vantixs up`, or give --url")
        url = f"{base}/hooks/{WEBHOOK}/{read_secret(token)}"
    response = httpx.post(url, content=body, timeout=TIMEOUT_S)
    answer = response.json()
    if as_json:
        print(json.dumps(answer))
    else:
        out.print(f"{response.status_code} {_told(response.is_success, answer)}", markup=False)
    return 0 if response.is_success else 1


def _told(success: bool, answer: dict[str, Any]) -> str:
    """An answer of the webhook in words, with the id to look up; of a repeat it is the first signal's."""
    signal_id = answer.get("signal_id", "")
    if not success:
        return f"{answer.get('reason')}: {answer.get('detail')} {signal_id}".rstrip()
    if answer.get("duplicate"):
        return f"duplicate of {signal_id}, not acted on again ({answer.get('reason')})"
    return f"{answer.get('status')} {signal_id}"


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
_ENUMS: dict[str, tuple[Any, str]] = {
    "mode": (common_pb2.Mode, "MODE_"),
    "default_instrument_kind": (common_pb2.InstrumentKind, "INSTRUMENT_KIND_"),
    "minimum_proof": (webhook_pb2.ProofLevel, "PROOF_LEVEL_"),
    "on_new_signal": (webhook_pb2.OnNewSignal, "ON_NEW_SIGNAL_"),
    "position_policy": (webhook_pb2.PositionPolicy, "POSITION_POLICY_"),
    "position_owner": (webhook_pb2.PositionOwner, "POSITION_OWNER_"),
    "stop_move": (webhook_pb2.StopMove, "STOP_MOVE_"),
    "protection_base": (webhook_pb2.ProtectionBase, "PROTECTION_BASE_"),
}


def _fill(target: webhook_pb2.Webhook, flags: dict[str, Any]) -> None:
    """Sets the fields whose flags were given; a list that is given replaces the whole list."""
    for name, value in flags.items():
        if value is None or name == "clear":
            continue
        if name in _ENUMS:
            enum, prefix = _ENUMS[name]
            setattr(target, name, enum_value(enum, prefix, name.replace("_", "-"), value))
        elif name in ("instruments", "source_networks"):
            target.ClearField(name)
            getattr(target, name).extend(value)
        elif name == "actions":
            target.ClearField("actions")
            target.actions.extend(_actions(value))
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


def _actions(names: list[str]) -> list[Any]:
    return [enum_value(common_pb2.Action, "ACTION_", "actions", name) for name in names]


def _read_mapping(path: Path) -> webhook_pb2.PayloadMapping:
    try:
        return json_format.Parse(path.read_text(), webhook_pb2.PayloadMapping())
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise SettingsError(f"--mapping: expected a JSON file with fields and values: {error}") from None


def _expiry(message: Any, seconds: int) -> None:
    message.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))


async def _check_account(clients: Clients, account_id: str) -> None:
    """Refuses an account that risk does not have; where risk does not answer this says so, and goes on.

    Ingress does not know accounts: a name mistyped here would only show when the first signal fails.
    """
    request = risk_pb2.GetAccountRequest(account_id=account_id)
    await check_exists(f"account {account_id}", "risk", lambda t: clients.risk.GetAccount(request, timeout=t))


def _scope(exits_only: bool, paper_only: bool, actions: list[str] | None, instruments: list[str] | None) -> Any:
    return webhook_pb2.TokenScope(
        exits_only=exits_only, paper_only=paper_only, actions=_actions(actions or []), instruments=instruments or []
    )


@webhook.command(name="create")
def webhook_create(
    account_id: Annotated[str, typer.Option("--account-id", "--account", help="account its signals act on")],
    webhook_id: Annotated[str, typer.Option(help="id; made up where none is given")] = "",
    display_name: DisplayName = None,
    mode: ModeFlag = "paper",
    strategy_id: StrategyId = None,
    sizing_method: SizingMethod = None,
    sizing_value: SizingValue = None,
    instruments: Instruments = None,
    actions: Actions = None,
    default_exchange: DefaultExchange = None,
    default_instrument_kind: DefaultKind = None,
    sell_opens_short: SellOpensShort = None,
    maximum_leverage: MaximumLeverage = None,
    dedupe_window_s: DedupeWindow = 20,
    entry_expires_after_s: EntryExpires = 300,
    exit_expires_after_s: ExitExpires = 86_400,
    time_is_emit_time: TimeIsEmitTime = None,
    signal_id_is_key: SignalIdIsKey = None,
    rate_limit_per_minute: RateLimit = None,
    source_networks: SourceNetworks = None,
    minimum_proof: MinimumProof = None,
    signature_tolerance_s: Tolerance = None,
    on_new_signal: OnNewSignal = None,
    position_policy: PositionPolicy = None,
    position_owner: PositionOwner = None,
    max_adds: MaxAdds = None,
    add_spacing_s: AddSpacing = None,
    stop_move: StopMove = None,
    stop_move_after_target: StopMoveAfter = None,
    stop_move_percent: StopMovePercent = None,
    protection_base: ProtectionBase = None,
    unprotected_limit_s: UnprotectedLimit = None,
    triggered_timeout_s: TriggeredTimeout = None,
    mapping: Mapping = None,
    token_expires_in_s: ExpiresInS = 0,
    token_exits_only: Annotated[bool, typer.Option(help="its first token may send exits only")] = False,
    signing: Annotated[bool, typer.Option("--signing", help="make a signing secret as well")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates a webhook; its token and signing secret are shown this once."""
    flags = _flags(locals())
    request = ingress_pb2.CreateWebhookRequest(request_id=str(uuid.uuid4()), signing=signing)
    request.webhook.routing_mode = common_pb2.ROUTING_MODE_DIRECT
    _fill(request.webhook, flags)
    if token_exits_only:
        request.token_scope.exits_only = True
    if token_expires_in_s:
        _expiry(request.token_expire_time, token_expires_in_s)

    async def create(clients: Clients) -> Any:
        await _check_account(clients, account_id)
        return await clients.ingress.CreateWebhook(request, timeout=TIMEOUT_S)

    response = ask(home, create)

    def text() -> None:
        out.print(f"{response.webhook.webhook_id} {response.url}", markup=False)
        if response.signing_secret:
            out.print(f"signing secret {response.signing_secret}", markup=False)

    show(response, as_json=as_json, text=text)
    return 0


@webhook.command(name="update")
def webhook_update(
    webhook_id: str,
    account_id: Annotated[
        str | None, typer.Option("--account-id", "--account", help="account its signals act on")
    ] = None,
    display_name: DisplayName = None,
    enabled: Enabled = None,
    mode: ModeFlag = None,
    strategy_id: StrategyId = None,
    sizing_method: SizingMethod = None,
    sizing_value: SizingValue = None,
    instruments: Instruments = None,
    actions: Actions = None,
    default_exchange: DefaultExchange = None,
    default_instrument_kind: DefaultKind = None,
    sell_opens_short: SellOpensShort = None,
    maximum_leverage: MaximumLeverage = None,
    dedupe_window_s: DedupeWindow = None,
    entry_expires_after_s: EntryExpires = None,
    exit_expires_after_s: ExitExpires = None,
    time_is_emit_time: TimeIsEmitTime = None,
    signal_id_is_key: SignalIdIsKey = None,
    rate_limit_per_minute: RateLimit = None,
    source_networks: SourceNetworks = None,
    minimum_proof: MinimumProof = None,
    signature_tolerance_s: Tolerance = None,
    on_new_signal: OnNewSignal = None,
    position_policy: PositionPolicy = None,
    position_owner: PositionOwner = None,
    max_adds: MaxAdds = None,
    add_spacing_s: AddSpacing = None,
    stop_move: StopMove = None,
    stop_move_after_target: StopMoveAfter = None,
    stop_move_percent: StopMovePercent = None,
    protection_base: ProtectionBase = None,
    unprotected_limit_s: UnprotectedLimit = None,
    triggered_timeout_s: TriggeredTimeout = None,
    mapping: Mapping = None,
    clear: Clear = None,
    revision: Revision = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Changes the fields that are given, and leaves the others as they are."""
    flags = _flags(locals())

    async def change(clients: Clients) -> Any:
        read = await clients.ingress.GetWebhook(ingress_pb2.GetWebhookRequest(webhook_id=webhook_id), timeout=TIMEOUT_S)
        if account_id:
            await _check_account(clients, account_id)
        request = ingress_pb2.UpdateWebhookRequest(request_id=str(uuid.uuid4()), webhook=read.webhook)
        for name in clear or []:
            field = name.replace("-", "_")
            if field not in _CLEARABLE:
                raise SettingsError(f"--clear: expected one of {', '.join(sorted(_CLEARABLE))}, was {name!r}")
            request.webhook.ClearField(field)
        _fill(request.webhook, flags)
        request.webhook.revision = revision or read.webhook.revision
        return await clients.ingress.UpdateWebhook(request, timeout=TIMEOUT_S)

    response = ask(home, change)
    show(response, as_json=as_json, text=lambda: print_webhook(response.webhook))
    return 0


_CLEARABLE = {
    "instruments", "actions", "source_networks", "mapping", "sizing", "display_name", "default_exchange", "on_new_signal",
    "position_policy", "position_owner", "stop_move", "stop_move_percent", "protection_base",
}  # fmt: skip
_NOT_FIELDS = {
    "home", "as_json", "revision", "clear", "token_expires_in_s", "token_exits_only", "signing", "webhook",
}  # fmt: skip


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The flags that are fields of a webhook."""
    return {name: value for name, value in given.items() if name not in _NOT_FIELDS}


@webhook.command(name="delete")
def webhook_delete(webhook_id: str, revision: Revision = 0, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Removes a webhook; its signals stay in history."""
    request = ingress_pb2.DeleteWebhookRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id, revision=revision)
    response = ask(home, lambda c: c.ingress.DeleteWebhook(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{webhook_id} is removed", markup=False))
    return 0


@webhook.command(name="enable")
def webhook_enable(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Has a webhook take signals again."""
    return webhook_update(webhook_id, enabled=True, home=home, as_json=as_json)


@webhook.command(name="disable")
def webhook_disable(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Has a webhook answer 403; it keeps its tokens."""
    return webhook_update(webhook_id, enabled=False, home=home, as_json=as_json)


@webhook.command(name="get")
def webhook_get(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows a webhook."""
    request = ingress_pb2.GetWebhookRequest(webhook_id=webhook_id)
    response = ask(home, lambda c: c.ingress.GetWebhook(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: print_webhook(response.webhook))
    return 0


def print_webhook(found: webhook_pb2.Webhook) -> None:
    """All that a webhook is configured with."""
    out.print(
        f"{found.webhook_id}: {'enabled' if found.enabled else 'disabled'}, revision {found.revision}\n", markup=False
    )
    print_rows(webhook_rows(found))
    out.print()
    out.print(credential_table(found))


@webhook.command(name="list")
def webhook_list(home: HomeOption = "", page_size: int = 50, page_token: str = "", as_json: JsonOption = False) -> int:
    """Lists webhooks."""
    request = ingress_pb2.ListWebhooksRequest(page_size=page_size, page_token=page_token)
    response = ask(home, lambda c: c.ingress.ListWebhooks(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("webhook", "account", "mode", "enabled", "proof", "tokens", "revision")
        for item in response.webhooks:
            mode = short_name(common_pb2.Mode.Name(item.mode))
            proof = webhook_pb2.ProofLevel.Name(item.minimum_proof).removeprefix("PROOF_LEVEL_").lower()
            tokens = str(len(item.tokens))
            table.add_row(item.webhook_id, item.account_id, mode, str(item.enabled), proof, tokens, str(item.revision))
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0


@webhook.command(name="rotate")
def webhook_rotate(
    webhook_id: str,
    token_id: Annotated[str, typer.Option(help="token that is replaced; all where none is given")] = "",
    grace_s: Grace = 600,
    expires_in_s: ExpiresInS = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Makes a new token for the old ones; it is shown this once."""
    request = ingress_pb2.RotateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id, token_id=token_id)
    request.grace.FromSeconds(grace_s)
    if expires_in_s:
        _expiry(request.expire_time, expires_in_s)
    response = ask(home, lambda c: c.ingress.RotateToken(request, timeout=TIMEOUT_S))
    kept = service_settings(home).home / "secrets" / TOKEN
    if webhook_id == WEBHOOK and not token_id and kept.is_file():
        # `vantixs up` and `vantixs send` show and use the demo webhook's token from here.
        write_atomically(kept, response.token + "\n", mode=0o600)
    show(response, as_json=as_json, text=lambda: out.print(response.url, markup=False))
    return 0


@webhook.command(name="create-token")
def webhook_create_token(
    webhook_id: str,
    exits_only: Annotated[bool, typer.Option("--exits-only", help="it may send exits only")] = False,
    paper_only: Annotated[bool, typer.Option("--paper-only", help="it opens the webhook in paper mode only")] = False,
    actions: Actions = None,
    instruments: Instruments = None,
    expires_in_s: ExpiresInS = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Makes one more token, which may send less than the webhook takes; it is shown this once."""
    request = ingress_pb2.CreateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id)
    request.scope.CopyFrom(_scope(exits_only, paper_only, actions, instruments))
    if expires_in_s:
        _expiry(request.expire_time, expires_in_s)
    response = ask(home, lambda c: c.ingress.CreateToken(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(response.url, markup=False))
    return 0


@webhook.command(name="revoke")
def webhook_revoke(webhook_id: str, token_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Ends a token at once."""
    request = ingress_pb2.RevokeTokenRequest(webhook_id=webhook_id, token_id=token_id)
    response = ask(home, lambda c: c.ingress.RevokeToken(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{token_id} is revoked", markup=False))
    return 0


@webhook.command(name="rotate-secret")
def webhook_rotate_secret(
    webhook_id: str,
    secret: Annotated[str, typer.Option(help="the sender's own, whsec_...; - reads it from standard input")] = "",
    grace_s: Grace = 600,
    expires_in_s: ExpiresInS = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Makes a signing secret (Standard Webhooks), or takes the sender's; it is shown this once."""
    given = sys.stdin.read().strip() if secret == "-" else secret  # noqa: S105 - the sign for standard input
    request = ingress_pb2.RotateSigningSecretRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id, secret=given)
    request.grace.FromSeconds(grace_s)
    if expires_in_s:
        _expiry(request.expire_time, expires_in_s)
    response = ask(home, lambda c: c.ingress.RotateSigningSecret(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(response.secret, markup=False))
    return 0


@webhook.command(name="revoke-secret")
def webhook_revoke_secret(webhook_id: str, secret_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Ends a signing secret at once."""
    request = ingress_pb2.RevokeSigningSecretRequest(webhook_id=webhook_id, secret_id=secret_id)
    response = ask(home, lambda c: c.ingress.RevokeSigningSecret(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{secret_id} is revoked", markup=False))
    return 0
