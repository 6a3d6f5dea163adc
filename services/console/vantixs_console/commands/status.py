"""The command that shows which processes run, whether they are healthy, and what prevents trading."""

import asyncio
import contextlib
import json
from dataclasses import asdict
from typing import Any, NamedTuple

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_replicas import Address
from vantixs.runtime.home import read_secret
from vantixs.runtime.instances import running
from vantixs.runtime.tls import Tls, grpc_tls

from vantixs_console.clients import Clients, grpc_addresses, ingress_url, read_endpoints
from vantixs_console.commands.journal import gap_lines
from vantixs_console.commands.stores import read_stores, store_lines
from vantixs_console.probe import probe
from vantixs_console.standing import Standing, read_standing
from vantixs_console.terminal import HomeOption, JsonOption, ask, make_table, out, service_settings

app = typer.Typer(no_args_is_help=True)
CHECK_S = 2.0
# The health service answers for one name at a time; a service without this dependency answers NOT_FOUND.
_DEPENDENCIES = (
    "store", "spool", "webhooks", "webhooks-in-broker", "journal", "journal-gap", "journal-space", "backlog", "database",
    "clock",
)  # fmt: skip

# What to do if a dependency fails that cannot report its own remedy.
_REMEDIES = {
    "journal": "the broker is down, full or cannot write (see its log): start it, make data/nats writable, or restore a copy",
    "database": "it cannot be read or written; the service's log says why: not reached, refused, full, or read-only",
}


_REFUSED_TLS = ": the service may refuse the certificate of VANTIXS_GRPC_TLS_CERTIFICATE, or want one"
_REFUSED_PLAIN = ": the service may want TLS, and VANTIXS_GRPC_TLS_CA is not set here"


class Instance(NamedTuple):
    """One process of a service; `detail` says why its state is not known."""

    service: str
    address: str
    state: str
    failing: list[str]
    detail: str = ""


@app.command()
def status(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows which processes run, whether they are healthy, and what prevents trading: halts, and old quotes."""
    settings = service_settings(home)
    addresses = grpc_addresses(settings)
    known = {name: ",".join(address.text for address in listed) for name, listed in addresses.items()}
    endpoints = read_endpoints(settings.home) | {"grpc": known}
    if url := ingress_url(settings):
        endpoints["http"] = url

    async def read(clients: Clients) -> tuple[list[Instance], Standing | str, list[str]]:
        tls = grpc_tls(settings)
        asked = [look(name, address, tls) for name, listed in addresses.items() for address in listed]
        pages = [_look_at_page(facts) for facts in running(settings.home / "run", "console")]
        instances = await asyncio.gather(*asked, *pages)
        instances += [
            Instance(name, "none is known to run", "UNAVAILABLE", []) for name in addresses if not addresses[name]
        ]
        missing = await _missing(clients)
        try:
            return instances, await read_standing(clients), missing
        except grpc.aio.AioRpcError as error:
            return instances, f"unknown: {error.code().name}: {error.details()}", missing

    instances, standing, missing = ask(home, read)
    wrong = store_lines(asyncio.run(read_stores(settings)))
    states = {name: _worst([i.state for i in instances if i.service == name]) for name in addresses}
    if as_json:
        held = asdict(standing) if isinstance(standing, Standing) else {"restrictions": None, "pushed": None}
        content: dict[str, Any] = {"journal_gap": missing}
        content |= {"services": states, "instances": [i._asdict() for i in instances], "endpoints": endpoints} | held
        print(json.dumps(content))
    else:
        _print(instances, standing)
        for line in [*missing, *wrong]:
            out.print(line)
        kept = settings.home / "secrets" / "console-token"
        if "console" in endpoints and kept.is_file():
            out.print(f"console   {endpoints['console']}/?token={read_secret(kept)}")
    return 0 if all(state == "SERVING" for state in states.values()) and isinstance(standing, Standing) else 1


async def _missing(clients: Clients) -> list[str]:
    """What the journal has lost, in words; empty if audit does not answer, because its state shows that."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        return gap_lines((await clients.audit.GetJournal(audit_pb2.GetJournalRequest(), timeout=CHECK_S)).journal)
    return []


async def look(service: str, address: Address, tls: Tls | None) -> Instance:
    """The state of one replica, as its health service says it."""
    channel = open_channel(address.text, token="", tls=tls, host=address.host)
    try:
        state, detail = await _check(channel, "")
        failing = []
        if state != "UNAVAILABLE":
            answers = await asyncio.gather(*(_check(channel, f"dependency.{name}") for name in _DEPENDENCIES))
            failing = [
                name for name, (answer, _) in zip(_DEPENDENCIES, answers, strict=True) if answer == "NOT_SERVING"
            ]
        if "Socket closed" in detail:  # gRPC's words also for a TLS handshake that the server ended.
            detail += _REFUSED_TLS if tls else _REFUSED_PLAIN
        return Instance(service, address.text, state, failing, detail)
    finally:
        await channel.close()


async def _look_at_page(facts: dict[str, Any]) -> Instance:
    """A console of this home. A console in a container listens at an address that cannot be called from here."""
    url, state = str(facts["http"]), "RUNNING"
    if "0.0.0.0" not in url:
        state = "SERVING" if await asyncio.to_thread(probe, f"{url}/healthz") == 0 else "UNAVAILABLE"
    return Instance("console", url, state, [])


async def _check(channel: grpc.aio.Channel, name: str) -> tuple[str, str]:
    """What the health service says of the name, or the code and the text of its failure."""
    request: Any = health_pb2.HealthCheckRequest(service=name)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=CHECK_S)
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)), ""


def _worst(states: list[str]) -> str:
    return next((state for state in states if state != "SERVING"), "SERVING")


def _print(instances: list[Instance], standing: Standing | str) -> None:
    table = make_table("service", "state", "address", "failing")
    for item in instances:
        table.add_row(item.service, item.state, item.address, ", ".join(item.failing))
    out.print(table)
    for item in instances:
        if item.detail:
            out.print(f"{item.service:<9} {item.address}: {item.detail}")
    failing = {name for item in instances for name in item.failing}
    for name, remedy in _REMEDIES.items():
        if name in failing:
            out.print(f"{name:<9} {remedy}")
    if isinstance(standing, str):
        out.print(f"trading   {standing}")
        return
    for restriction in standing.restrictions:
        out.print(f"trading   {restriction.line}")
    if not standing.restrictions:
        out.print("trading   ACTIVE in every scope")
    for pushed in standing.pushed:
        out.print(f"quote     {pushed.line}")
