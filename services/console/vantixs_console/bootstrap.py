"""What a new system starts with: the account `paper` and the webhook `demo`."""

import contextlib

import grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.home import Home, read_secret, write_atomically
from vantixs.runtime.retry import Pauses, retry

from vantixs_console.clients import Clients

ACCOUNT, WEBHOOK = "paper", "demo"
TOKEN = f"webhook-{WEBHOOK}-token"
# What passes: a service that is not there yet, and a webhook that ingress puts back at the broker from its spool meanwhile.
_WAIT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
)


async def bootstrap(clients: Clients, home: Home, *, wait_s: float = 30) -> str:
    """Creates both where they are missing, and returns the token of `demo`, kept in secrets/."""

    async def create() -> str:
        await _create_account(clients)
        return await _create_webhook(clients, home)

    def passes(error: Exception) -> bool:
        return isinstance(error, grpc.aio.AioRpcError) and error.code() in _WAIT

    return await retry(create, passes, Pauses(0.05, 0.1), limit_s=wait_s)


async def _create_account(clients: Clients) -> None:
    account = risk_pb2.Account(
        account_id=ACCOUNT,
        mode=common_pb2.MODE_PAPER,
        currency="USDT",
        enabled=True,
        balance="100000",
        sizing=common_pb2.Sizing(method=common_pb2.SIZING_METHOD_FIXED_NOTIONAL, value="100"),
        limits=risk_pb2.Limits(
            max_order_notional="10000",
            max_position_notional="50000",
            max_gross_exposure="100000",
            max_open_positions=20,
            max_leverage="1",
            max_daily_loss="10000",
            max_drawdown_percent="25",
        ),
    )
    with contextlib.suppress(grpc.aio.AioRpcError):
        await clients.risk.GetAccount(risk_pb2.GetAccountRequest(account_id=ACCOUNT), timeout=2)
        return
    try:
        await clients.risk.CreateAccount(risk_pb2.CreateAccountRequest(account=account), timeout=5)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.ALREADY_EXISTS:
            raise


async def _create_webhook(clients: Clients, home: Home) -> str:
    kept = home.secrets / TOKEN
    request = ingress_pb2.CreateWebhookRequest(request_id="bootstrap")
    request.webhook.webhook_id, request.webhook.account_id = WEBHOOK, ACCOUNT
    request.webhook.display_name = "Demo"
    request.webhook.dedupe_window_s = 20
    request.webhook.entry_expires_after_s, request.webhook.exit_expires_after_s = 300, 86_400
    request.webhook.sizing.method, request.webhook.sizing.value = common_pb2.SIZING_METHOD_FIXED_NOTIONAL, "100"
    try:
        if kept.is_file():
            await clients.ingress.GetWebhook(ingress_pb2.GetWebhookRequest(webhook_id=WEBHOOK), timeout=5)
            return read_secret(kept)
        token = (await clients.ingress.CreateWebhook(request, timeout=5)).token
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            token = (await clients.ingress.CreateWebhook(request, timeout=5)).token
        elif error.code() == grpc.StatusCode.ALREADY_EXISTS:
            # Its token was lost, as after a crash between creating the webhook and keeping the token.
            rotate = ingress_pb2.RotateTokenRequest(webhook_id=WEBHOOK)
            token = (await clients.ingress.RotateToken(rotate, timeout=5)).token
        else:
            raise
    write_atomically(kept, token + "\n", mode=0o600)
    return token
