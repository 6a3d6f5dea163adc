"""Commands for webhooks."""

import uuid
from typing import Annotated, Any

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.commands.webhook_flags import (
    CLEARABLE,
    Actions,
    AddSpacing,
    Clear,
    DedupeWindow,
    DefaultExchange,
    DefaultKind,
    DisplayName,
    Enabled,
    EntryExpires,
    ExitExpires,
    ExpiresInS,
    Instruments,
    Mapping,
    MaxAdds,
    MaximumLeverage,
    MinimumProof,
    ModeFlag,
    OnNewSignal,
    PositionOwner,
    PositionPolicy,
    ProtectionBase,
    RateLimit,
    Revision,
    SealPayload,
    SellOpensShort,
    SignalIdIsKey,
    SizingMethod,
    SizingValue,
    SourceNetworks,
    StopMove,
    StopMoveAfter,
    StopMovePercent,
    StrategyId,
    TimeIsEmitTime,
    Tolerance,
    TriggeredTimeout,
    UnprotectedLimit,
    fill,
    given_fields,
    set_expiry,
)
from vantixs_console.listing import credential_table, webhook_rows
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    check_exists,
    make_table,
    out,
    print_rows,
    show,
)
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
webhook = typer.Typer(no_args_is_help=True, help="Webhooks: the URLs to which senders post signals")
app.add_typer(webhook, name="webhook")


async def _check_account(clients: Clients, account_id: str) -> None:
    """Refuses an account that does not exist; if risk does not answer, prints a warning and continues.

    Ingress does not know accounts: without this check a mistyped id would only show when the first signal fails.
    """
    request = risk_pb2.GetAccountRequest(account_id=account_id)
    await check_exists(f"account {account_id}", "risk", lambda t: clients.risk.GetAccount(request, timeout=t))


@webhook.command(name="create")
def webhook_create(
    account_id: Annotated[str, typer.Option("--account-id", "--account", help="account of its signals")],
    webhook_id: Annotated[str, typer.Option(help="id; by default a generated one")] = "",
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
    seal_payload: SealPayload = None,
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
    signing: Annotated[bool, typer.Option("--signing", help="create a signing secret too")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates a webhook; its token and signing secret are shown only now."""
    flags = given_fields(locals())
    request = ingress_pb2.CreateWebhookRequest(request_id=str(uuid.uuid4()), signing=signing)
    request.webhook.routing_mode = common_pb2.ROUTING_MODE_DIRECT
    fill(request.webhook, flags)
    if token_exits_only:
        request.token_scope.exits_only = True
    if token_expires_in_s:
        set_expiry(request.token_expire_time, token_expires_in_s)

    async def create(clients: Clients) -> Any:
        await _check_account(clients, account_id)
        return await clients.ingress.CreateWebhook(request, timeout=TIMEOUT_S)

    response = ask(home, create)

    def text() -> None:
        out.print(f"{response.webhook.webhook_id} {response.url}")
        if response.signing_secret:
            out.print(f"signing secret {response.signing_secret}")

    show(response, as_json=as_json, text=text)
    return 0


@webhook.command(name="update")
def webhook_update(
    webhook_id: str,
    account_id: Annotated[str | None, typer.Option("--account-id", "--account", help="account of its signals")] = None,
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
    seal_payload: SealPayload = None,
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
    """Changes the given fields; the others stay as they are."""
    flags = given_fields(locals())

    async def change(clients: Clients) -> Any:
        read = await clients.ingress.GetWebhook(ingress_pb2.GetWebhookRequest(webhook_id=webhook_id), timeout=TIMEOUT_S)
        if account_id:
            await _check_account(clients, account_id)
        request = ingress_pb2.UpdateWebhookRequest(request_id=str(uuid.uuid4()), webhook=read.webhook)
        for name in clear or []:
            field = name.replace("-", "_")
            if field not in CLEARABLE:
                raise SettingsError(f"--clear: expected one of {', '.join(sorted(CLEARABLE))}, was {name!r}")
            request.webhook.ClearField(field)
        fill(request.webhook, flags)
        request.webhook.revision = revision or read.webhook.revision
        return await clients.ingress.UpdateWebhook(request, timeout=TIMEOUT_S)

    response = ask(home, change)
    show(response, as_json=as_json, text=lambda: print_webhook(response.webhook))
    return 0


@webhook.command(name="delete")
def webhook_delete(webhook_id: str, revision: Revision = 0, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Removes a webhook; its signals stay in history."""
    request = ingress_pb2.DeleteWebhookRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id, revision=revision)
    response = ask(home, lambda c: c.ingress.DeleteWebhook(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{webhook_id} is removed"))
    return 0


@webhook.command(name="enable")
def webhook_enable(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Enables a webhook: it takes signals again."""
    return webhook_update(webhook_id, enabled=True, home=home, as_json=as_json)


@webhook.command(name="disable")
def webhook_disable(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Disables a webhook: it answers 403, and keeps its tokens."""
    return webhook_update(webhook_id, enabled=False, home=home, as_json=as_json)


@webhook.command(name="get")
def webhook_get(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows a webhook."""
    request = ingress_pb2.GetWebhookRequest(webhook_id=webhook_id)
    response = ask(home, lambda c: c.ingress.GetWebhook(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: print_webhook(response.webhook))
    return 0


def print_webhook(found: webhook_pb2.Webhook) -> None:
    """Prints the whole configuration of a webhook."""
    out.print(f"{found.webhook_id}: {'enabled' if found.enabled else 'disabled'}, revision {found.revision}")
    out.print()
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
