"""Commands for tokens and signing secrets of webhooks."""

import sys
import uuid
from typing import Annotated, Any

import typer
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.runtime.home import write_atomically

from vantixs_console.bootstrap import TOKEN, WEBHOOK
from vantixs_console.commands.webhook_flags import (
    Actions,
    ExpiresInS,
    Grace,
    Instruments,
    actions_of,
    set_expiry,
)
from vantixs_console.commands.webhooks import webhook
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, out, service_settings, show

app = typer.Typer()


def _scope(exits_only: bool, paper_only: bool, actions: list[str] | None, instruments: list[str] | None) -> Any:
    return webhook_pb2.TokenScope(
        exits_only=exits_only, paper_only=paper_only, actions=actions_of(actions or []), instruments=instruments or []
    )


@webhook.command(name="rotate")
def webhook_rotate(
    webhook_id: str,
    token_id: Annotated[str, typer.Option(help="token that is replaced; by default all")] = "",
    grace_s: Grace = 600,
    expires_in_s: ExpiresInS = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates a new token that replaces the old ones; it is shown only now."""
    request = ingress_pb2.RotateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id, token_id=token_id)
    request.grace.FromSeconds(grace_s)
    if expires_in_s:
        set_expiry(request.expire_time, expires_in_s)
    response = ask(home, lambda c: c.ingress.RotateToken(request, timeout=TIMEOUT_S))
    kept = service_settings(home).home / "secrets" / TOKEN
    if webhook_id == WEBHOOK and not token_id and kept.is_file():
        # `vantixs up` and `vantixs send` read the demo webhook's token from this file.
        write_atomically(kept, response.token + "\n", mode=0o600)
    show(response, as_json=as_json, text=lambda: out.print(response.url))
    return 0


@webhook.command(name="create-token")
def webhook_create_token(
    webhook_id: str,
    exits_only: Annotated[bool, typer.Option("--exits-only", help="it may send exits only")] = False,
    paper_only: Annotated[
        bool, typer.Option("--paper-only", help="it is valid only while the webhook is in paper mode")
    ] = False,
    actions: Actions = None,
    instruments: Instruments = None,
    expires_in_s: ExpiresInS = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates an additional token, which may send less than the webhook takes; it is shown only now."""
    request = ingress_pb2.CreateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id)
    request.scope.CopyFrom(_scope(exits_only, paper_only, actions, instruments))
    if expires_in_s:
        set_expiry(request.expire_time, expires_in_s)
    response = ask(home, lambda c: c.ingress.CreateToken(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(response.url))
    return 0


@webhook.command(name="revoke")
def webhook_revoke(webhook_id: str, token_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Ends a token at once."""
    request = ingress_pb2.RevokeTokenRequest(webhook_id=webhook_id, token_id=token_id)
    response = ask(home, lambda c: c.ingress.RevokeToken(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{token_id} is revoked"))
    return 0


@webhook.command(name="rotate-secret")
def webhook_rotate_secret(
    webhook_id: str,
    secret: Annotated[str, typer.Option(help="a secret of the sender, whsec_...; - reads it from standard input")] = "",
    grace_s: Grace = 600,
    expires_in_s: ExpiresInS = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates a signing secret (Standard Webhooks), or stores the sender's; it is shown only now."""
    given = sys.stdin.read().strip() if secret == "-" else secret  # noqa: S105 - the sign for standard input
    request = ingress_pb2.RotateSigningSecretRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id, secret=given)
    request.grace.FromSeconds(grace_s)
    if expires_in_s:
        set_expiry(request.expire_time, expires_in_s)
    response = ask(home, lambda c: c.ingress.RotateSigningSecret(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(response.secret))
    return 0


@webhook.command(name="revoke-secret")
def webhook_revoke_secret(webhook_id: str, secret_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Ends a signing secret at once."""
    request = ingress_pb2.RevokeSigningSecretRequest(webhook_id=webhook_id, secret_id=secret_id)
    response = ask(home, lambda c: c.ingress.RevokeSigningSecret(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{secret_id} is revoked"))
    return 0
