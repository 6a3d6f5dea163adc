"""The command that posts a payload to a webhook."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from vantixs.runtime.home import read_secret
from vantixs.runtime.settings import SettingsError

from vantixs_console.bootstrap import TOKEN, WEBHOOK
from vantixs_console.clients import ingress_url
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, out, service_settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def send(
    file: Annotated[Path, typer.Argument(help="file with the payload, or - for standard input")],
    home: HomeOption = "",
    url: Annotated[str, typer.Option(help="webhook URL; by default the demo webhook")] = "",
    as_json: JsonOption = False,
) -> int:
    """Posts a payload to a webhook's URL, as a sender does."""
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
        out.print(f"{response.status_code} {_told(response.is_success, answer)}")
    return 0 if response.is_success else 1


def _told(success: bool, answer: dict[str, Any]) -> str:
    """An answer of the webhook in words, with the signal id; for a repeat it is the first signal's id."""
    signal_id = answer.get("signal_id", "")
    if not success:
        return f"{answer.get('reason')}: {answer.get('detail')} {signal_id}".rstrip()
    if answer.get("duplicate"):
        return f"duplicate of {signal_id}, not acted on again ({answer.get('reason')})"
    return f"{answer.get('status')} {signal_id}"
