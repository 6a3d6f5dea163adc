"""Every subcommand but `serve`. With --json a command prints the response message and nothing else."""

import functools
from typing import Any

import grpc
import httpx
import typer
from typer.exceptions import Abort, TyperException
from vantixs.client import ClientError
from vantixs.runtime.errors import from_rpc_error

from vantixs_console.commands import (
    accounts,
    audit,
    backup,
    exports,
    journal,
    lint,
    orders,
    positions,
    quotes,
    replays,
    send,
    signals,
    status,
    stores,
    system,
    trading,
    webhook_credentials,
    webhooks,
)
from vantixs_console.plain_text import complain

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Vantixs Signals")
for part in (
    system,
    status,
    send,
    webhooks,
    webhook_credentials,
    lint,
    trading,
    accounts,
    signals,
    replays,
    orders,
    positions,
    quotes,
    journal,
    audit,
    exports,
    stores,
    backup,
):
    app.add_typer(part.app)


_NOT_KNOWN = "no answer in time: what was asked for may be done all the same; look, or repeat it"


@functools.cache
def _command() -> Any:
    """The command line as Typer builds it from its parts, which takes a tenth of a second."""
    return typer.main.get_command(app)


def run_commands(arguments: list[str]) -> int:
    """Runs a subcommand; errors are one line on standard error."""
    try:
        code = _command().main(arguments, prog_name="vantixs", standalone_mode=False)
    except TyperException as error:
        complain(f"{error.format_message()}; see `vantixs --help`")
        return error.exit_code
    except Abort:
        return 130
    except grpc.aio.AioRpcError as error:
        failure = from_rpc_error(error)
        detail = _NOT_KNOWN if failure.reason == "DEADLINE_EXCEEDED" else failure.detail
        complain(f"{failure.reason}: {detail}")
        return 1
    except ClientError as error:
        complain(str(error))
        return 1
    except httpx.HTTPError as error:
        complain(f"{type(error).__name__}: {error}")
        return 1
    return int(code or 0)
