"""Commands that start the system on this machine, and prepare it for containers."""

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from vantixs.runtime.addresses import split_address
from vantixs.runtime.home import EXPORT_BYTES, SECRETS, Home, read_export, read_secret, write_atomically
from vantixs.runtime.settings import SERVICES, SettingsError

from vantixs_console.bootstrap import ACCOUNT, TOKEN, WEBHOOK, bootstrap
from vantixs_console.clients import open_clients, read_endpoints
from vantixs_console.commands.stores import read_stores, store_lines
from vantixs_console.plain_text import complain
from vantixs_console.probe import probe
from vantixs_console.stack import START_S, Stack
from vantixs_console.standing import Standing, read_standing
from vantixs_console.terminal import (
    HomeOption,
    ask,
    home_path,
    out,
    service_settings,
)

app = typer.Typer(no_args_is_help=True)
MOST_REPLICAS = 16


@app.command()
def up(
    home: HomeOption = "",
    http_port: Annotated[int, typer.Option(help="port of the webhook URL; 0 for a free one")] = 8080,
    scale: Annotated[
        list[str] | None, typer.Option(help="number of processes of a service, for example router=2; may be repeated")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="send the demo alerts, show their outcomes, and stop")] = False,
) -> int:
    """Starts everything on this machine; Ctrl-C stops it."""
    replicas = {}
    for item in scale or []:
        name, _, number = item.partition("=")
        if name not in SERVICES or not number.isdecimal() or not 1 <= int(number) <= MOST_REPLICAS:
            expected = f"SERVICE=1 to {MOST_REPLICAS}, SERVICE one of {', '.join(SERVICES)}"
            raise SettingsError(f"--scale: expected {expected}, was {item!r}")
        replicas[name] = int(number)
    opened = Home.open(home_path(home), create=True)
    return asyncio.run(_up(Stack(opened, print, http_port, replicas), demo=demo))


async def _up(stack: Stack, *, demo: bool) -> int:
    started = time.monotonic()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    stack.prepare()
    out.print(f"Vantixs Signals starts in {stack.home.path}")
    watches: list[asyncio.Task[Any]] = []
    try:
        await asyncio.gather(*(stack.start(child) for child in stack.children))
        watches = [asyncio.create_task(stack.watch(child)) for child in stack.children]
        if not any("DATABASE_URL" in name for name in os.environ):
            watches.append(asyncio.create_task(stack.end_stopped()))
        ready = asyncio.create_task(_make_ready(stack))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((ready, stop, *watches), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        _raise_first(watches)
        if not ready.done():
            ready.cancel()
            return 0 if stopping.is_set() else _too_slow(stack)
        token, standing, gap = ready.result()
        _welcome(stack, token, [*standing.lines, *gap], standing, time.monotonic() - started)
        if demo:
            from vantixs_console.demo import run_demo  # noqa: PLC0415

            return await run_demo(str(stack.endpoints["http"]), token, stack.home.path)
        await asyncio.wait((stop, *watches), return_when=asyncio.FIRST_COMPLETED)
        _raise_first(watches)
        return 0
    finally:
        out.print("stopping")
        for task in watches:
            task.cancel()
        await stack.stop()


async def _make_ready(stack: Stack) -> tuple[str, Standing, list[str]]:
    """Waits until signals are accepted, or until it is known that an operator has to accept a gap of the journal first."""
    await stack.ready()
    stack.publish()
    if wrong := store_lines(await read_stores(service_settings(str(stack.home.path)))):
        # Nothing is created in refused stores: the system runs so that an operator can look at them and accept them.
        kept = stack.home.secrets / TOKEN
        return kept.read_text().strip() if kept.is_file() else "TOKEN", Standing([], [], wrong), []
    # Addresses in the caller's environment, as in a container, belong to another system.
    found_by_home: dict[str, Any] = {f"{name}_addresses": "" for name in stack.grpc}
    clients = await open_clients(replace(service_settings(str(stack.home.path)), **found_by_home))
    try:
        token = await bootstrap(clients, stack.home)
        standing = await read_standing(clients)
    finally:
        await clients.close()
    async with httpx.AsyncClient() as http:
        url = f"{stack.endpoints['http']}/readyz"
        while not (answer := await http.get(url)).is_success:
            gap = answer.json().get("dependencies", {}).get("journal-gap", {"ok": True})
            if not gap["ok"]:
                return token, standing, [f"no signal is accepted: {gap['detail']}"]
            await asyncio.sleep(0.02)
    return token, standing, []


def _raise_first(tasks: list["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        if task.done():
            task.result()


def _too_slow(stack: Stack) -> int:
    complain(f"not ready after {START_S:.0f} s, see {stack.home.logs}")
    return 1


def _welcome(stack: Stack, token: str, attention: list[str], standing: Standing, seconds: float) -> None:
    url = f"{stack.endpoints['http']}/hooks/{WEBHOOK}/{token}"
    console = read_secret(stack.home.secrets / "console-token")
    body = '{"action": "buy", "symbol": "BTCUSDT"}'
    quotes = "Quotes are simulated" if not standing.pushed else "Quotes are simulated except those below"
    out.print_lines(
        f"""
Ready in {seconds:.1f} s. {quotes} and the account is paper: no real money moves.

Webhook   {url}
Try       curl -d '{body}' {url}
Then      vantixs signals list --home {stack.home.path}
Console   {stack.endpoints["console"]}/?token={console}
Data      {stack.home.data}
Logs      {stack.home.logs}"""
    )
    out.print()
    for line in attention:
        out.print(f"Attention {line}")
    out.print("Ctrl-C stops it; all data are kept.")


@app.command()
def init(
    home: HomeOption = "",
    new_signing_key: Annotated[
        bool, typer.Option("--new-signing-key", help="replace the signing key: signing secrets of webhooks are lost")
    ] = False,
    new_payload_key: Annotated[
        bool, typer.Option("--new-payload-key", help="replace the payload key: payloads encrypted until now are lost")
    ] = False,
    export: Annotated[str, typer.Option("--export", help="write the shared secrets to FILE, or to a pipe with -")] = "",
    source: Annotated[
        str, typer.Option("--import", help="read the shared secrets from FILE, or from standard input with -")
    ] = "",
    nats_routes: Annotated[str, typer.Option(help="host:port of every NATS node, for secrets/nats-routes.conf")] = "",
) -> int:
    """Creates a home directory with its secrets: for containers, and for several machines with the same secrets."""
    if export and source:
        raise SettingsError("init: expected --export or --import, was both")
    given = read_export(_read_source(source), source) if source else {}
    if export and export != "-" and os.path.lexists(export):
        raise SettingsError(f"--export: expected a file that does not exist yet, was {export}")
    if export == "-" and sys.stdout.isatty():
        raise SettingsError("--export -: expected a pipe or a file as standard output, was a terminal")
    routes = [_route(address.strip()) for address in nats_routes.split(",")] if nats_routes else []
    opened = Home.open(home_path(home), create=True)
    opened.import_secrets(given)
    if new_signing_key:
        opened.replace_secret("signing-key")
        out.print("secrets/signing-key is replaced: rotate every signing secret (`vantixs webhook rotate-secret`)")
    if new_payload_key:
        opened.replace_secret("payload-key")
        out.print("secrets/payload-key is replaced: payloads that were encrypted until now cannot be read with it")
    for name in SECRETS:
        opened.secret(name)
    opened.secret("history-key")
    password = opened.secret("postgres-password")
    # The formats that the programs of PostgreSQL and NATS read.
    write_atomically(opened.secrets / "pgpass", f"*:*:*:*:{password}\n", mode=0o600)
    token = opened.secret("nats-token")
    write_atomically(opened.secrets / "nats.conf", f'authorization {{ token: "{token}" }}\n', mode=0o600)
    if routes:
        login = f"routes:{opened.secret('nats-route-password')}"
        lines = [f'  "nats-route://{login}@{route}"' for route in routes]
        user, _, password = login.partition(":")
        text = f'authorization {{ user: "{user}", password: "{password}" }}\nroutes: [\n' + "\n".join(lines) + "\n]\n"
        write_atomically(opened.secrets / "nats-routes.conf", text, mode=0o600)
    if export == "-":
        sys.stdout.write(opened.export_secrets())
        return 0
    if export:
        try:
            write_atomically(Path(export), opened.export_secrets(), mode=0o600)
        except OSError as error:
            raise SettingsError(f"--export: expected a file that can be written, {export}: {error.strerror}") from None
    out.print(f"{opened.path} is ready")
    return 0


def _read_source(source: str) -> str:
    try:
        if source == "-":
            return sys.stdin.read(EXPORT_BYTES)
        with open(source, encoding="utf-8") as file:
            return file.read(EXPORT_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "was not UTF-8"
        raise SettingsError(f"--import: expected a text file that this user can read, {source}: {reason}") from None


def _route(address: str) -> str:
    try:
        host, port = split_address(address)
    except ValueError as error:
        raise SettingsError(f"--nats-routes: {error}") from None
    if not all(c.isalnum() or c in "-._:[]" for c in host):
        raise SettingsError(f"--nats-routes: expected a host name or address, was {host!r}")
    return f"{host}:{port}"


@app.command()
def health(address: Annotated[str, typer.Argument(help="host:port of a gRPC server, or an HTTP URL")]) -> int:
    """Checks the health of a server, for containers; exit code 0 if it is healthy."""
    return probe(address)


@app.command(name="bootstrap")
def bootstrap_command(
    home: HomeOption = "",
    wait_s: Annotated[float, typer.Option(help="seconds to wait")] = 60,
    http_url: Annotated[str, typer.Option(help="address at which senders reach ingress, for `vantixs urls`")] = "",
    console_url: Annotated[str, typer.Option(help="address at which browsers reach the page")] = "",
) -> int:
    """Creates the account `paper` and the webhook `demo` if they are missing, for containers."""
    opened = Home.open(home_path(home))
    ask(home, lambda clients: bootstrap(clients, opened, wait_s=wait_s))
    known = {"http": http_url, "console": console_url}
    endpoints = read_endpoints(opened.path) | {name: url for name, url in known.items() if url}
    write_atomically(opened.run / "endpoints.json", json.dumps(endpoints, indent=2) + "\n")
    # The output of a container is stored, often elsewhere and for long, so it does not contain the tokens.
    out.print(f"account {ACCOUNT} and webhook {WEBHOOK} are ready; `vantixs urls` shows their URLs with tokens;")
    out.print(f"`vantixs webhook rotate {WEBHOOK}` makes a new token for the webhook")
    return 0


@app.command()
def urls(home: HomeOption = "") -> int:
    """Shows the URL of the webhook `demo` and of the web page, with their tokens."""
    path = service_settings(home).home
    endpoints, shown = read_endpoints(path), []
    for name, key, form in (("webhook", "http", f"/hooks/{WEBHOOK}/"), ("console", "console", "/?token=")):
        kept = path / "secrets" / (TOKEN if name == "webhook" else "console-token")
        if key in endpoints and kept.is_file():
            shown.append(f"{name}   {endpoints[key]}{form}{read_secret(kept)}")
    if not shown:
        raise SettingsError(f"urls: nothing runs in {path}: start it with `vantixs up`, or name its home with --home")
    out.print_lines("\n".join(shown))
    return 0
