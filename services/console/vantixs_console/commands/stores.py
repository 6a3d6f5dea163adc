"""Commands that show whether each store is the one that was used last, and accept another one."""

import asyncio
import json
from typing import Annotated, NamedTuple

import grpc
import typer
from google.protobuf import json_format
from vantixs.api.stores.v1 import stores_pb2, stores_pb2_grpc
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_replicas import Address
from vantixs.runtime.settings import SettingsError
from vantixs.runtime.tls import grpc_tls

from vantixs_console.clients import grpc_addresses
from vantixs_console.settings import ConsoleSettings
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, make_table, out, service_settings, user_name

app = typer.Typer(no_args_is_help=True)
stores = typer.Typer(no_args_is_help=True, help="Databases and spools: whether they are the ones that were used last.")
app.add_typer(stores, name="store")
CHECK_S = 2.0


class Answer(NamedTuple):
    """The answer of the service at an address about its store; if it fails, `store` is None and `error` says why."""

    service: str
    address: Address
    store: stores_pb2.Store | None
    error: str = ""


@stores.command(name="list")
def list_stores(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Lists every store with its identity, and its problem if it has one; then the exit code is 1."""
    answers = asyncio.run(read_stores(service_settings(home)))
    if as_json:
        shown = [json_format.MessageToDict(a.store, preserving_proto_field_name=True) for a in answers if a.store]
        failed = [{"service": a.service, "address": a.address.text, "error": a.error} for a in answers if not a.store]
        print(json.dumps({"stores": shown, "unavailable": failed}))
    else:
        table = make_table("store", "id", "epoch", "accepted", "expected", "place")
        for store in (a.store for a in answers if a.store):
            expected = f"{store.expected.store_id} at {store.expected.epoch}" if store.HasField("expected") else ""
            table.add_row(
                store.name,
                store.found.store_id,
                str(store.found.epoch),
                str(store.found.accepted),
                expected,
                store.place,
            )
        out.print(table)
        for line in store_lines(answers):
            out.print(line)
        for answer in answers:
            if answer.error:
                out.print(f"{answer.service} at {answer.address.text}: {answer.error}")
    return 0 if all(a.store and not a.store.problem for a in answers) else 1


@stores.command()
def accept(
    name: Annotated[str, typer.Argument(help="name of the store, from `store list`")],
    comment: Annotated[str, typer.Option(help="why")] = "accepted by hand",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Accepts a store as it is, in place of the expected one; shows what is lost, and asks first."""
    settings = service_settings(home)
    answers = asyncio.run(read_stores(settings))
    found = next((a for a in answers if a.store and a.store.name == name), None)
    if found is None or found.store is None:
        known = ", ".join(sorted({a.store.name for a in answers if a.store})) or "none"
        raise SettingsError(f"store accept: expected one of {known}, was {name!r}")
    if found.store.problem and not yes:
        out.print_lines("\n".join(store_lines([found])))
        out.print(LOST.get(found.service, ""))
        if typer.prompt(f"Type {name} to continue with this store") != name:
            out.print("not accepted")
            return 1
    request = stores_pb2.AcceptStoreRequest(name=name, store_id=found.store.found.store_id, comment=comment)

    async def call() -> stores_pb2.AcceptStoreResponse:
        token = settings.operator_token
        address, tls = found.address, grpc_tls(settings)
        channel = open_channel(address.text, token=token, operator=user_name(), tls=tls, host=address.host)
        try:
            return await stores_pb2_grpc.StoreServiceStub(channel).AcceptStore(request, timeout=TIMEOUT_S)
        finally:
            await channel.close()

    response = asyncio.run(call())
    if as_json:
        print(json_format.MessageToJson(response, preserving_proto_field_name=True))
    else:
        out.print(f"{name} is accepted; history records this")
    return 0


# What is lost if a store is accepted, by service.
LOST = {
    "risk": "Accounts, positions, limits and halts are those of this store, not those of the expected one. Compare them with the "
    "venue (vantixs account show, account adjust), and halt what must not trade (vantixs halt) right after you accept it.",
    "router": "Orders that are only in the lost database are not known any more; orders that it may have sent are looked up at "
    "the venue before they are sent.",
    "audit": "History begins again, with what the journal still has.",
    "ingress": "Signals that were accepted and are not in the journal yet are lost, and so are the keys that recognise repeats.",
}


async def read_stores(settings: ConsoleSettings) -> list[Answer]:
    """The answer of every service about its store."""
    addresses = grpc_addresses(settings)
    asked = [_read(name, address, settings) for name, listed in addresses.items() for address in listed]
    return list(await asyncio.gather(*asked))


def store_lines(answers: list[Answer]) -> list[str]:
    """The problems, in words; empty if there are none. Replicas on one database are reported once."""
    problems = {a.store.name: a.store.problem for a in answers if a.store and a.store.problem}
    return [f"store     {problem}" for problem in problems.values()]


async def _read(service: str, address: Address, settings: ConsoleSettings) -> Answer:
    token = settings.operator_token or settings.viewer_token
    channel = open_channel(address.text, token=token, tls=grpc_tls(settings), host=address.host)
    try:
        stub = stores_pb2_grpc.StoreServiceStub(channel)
        response = await stub.GetStore(stores_pb2.GetStoreRequest(), timeout=CHECK_S)
    except grpc.aio.AioRpcError as error:
        return Answer(service, address, None, f"{error.code().name}: {error.details()}")
    finally:
        await channel.close()
    return Answer(service, address, response.store)
