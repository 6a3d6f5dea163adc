"""What all commands share: the terminal, the options, the way to the services."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text
from vantixs.runtime.settings import SettingsError, load

from vantixs_console.clients import Clients, grpc_addresses, open_clients
from vantixs_console.plain_text import complain, printable
from vantixs_console.settings import ConsoleSettings

TIMEOUT_S = 10.0
CHECK_S = 2.0  # For a check that nothing depends on.


class Terminal(Console):
    """Prints every text as it is: none is markup, and control characters are shown as escapes, in tables as well.

    A text is one line; `print_lines` is for texts of several lines.
    """

    def __init__(self) -> None:
        width = None if sys.stdout.isatty() else 200
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every text that is printed, and every cell of a table, comes through here."""
        return super().render_str(printable(text), **options)

    def print_lines(self, text: str) -> None:
        """Prints a text whose line ends are meant."""
        for line in text.splitlines():
            self.print(line)


out = Terminal()

HomeOption = Annotated[str, typer.Option("--home", help="home directory", envvar="VANTIXS_HOME")]
JsonOption = Annotated[bool, typer.Option("--json", help="print the response message as JSON")]


def ask(home: str, work: Callable[[Clients], Awaitable[Any]]) -> Any:
    """Runs calls against the services of a home directory."""

    async def run() -> Any:
        settings = service_settings(home)
        grpc_addresses(settings)  # It says so where nothing runs.
        clients = await open_clients(settings, operator=user_name())
        try:
            return await work(clients)
        finally:
            await clients.close()

    return asyncio.run(run())


def show(message: Message, *, as_json: bool, text: Callable[[], None]) -> None:
    """Prints a response, as JSON or as people read it."""
    if as_json:
        print(json_format.MessageToJson(message, preserving_proto_field_name=True))
    else:
        text()


def service_settings(home: str) -> ConsoleSettings:
    """Settings with which commands find the services: the console's, so that they run where it runs."""
    return load("console", ConsoleSettings, overrides={"home": home} if home else None)


def user_name() -> str:
    """Who runs the command; a container's user need not have a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"


async def check_exists(what: str, owner: str, read: Callable[[float], Awaitable[Any]]) -> None:
    """Refuses a name that its owner does not know; an owner that does not answer stops nothing, and this says so.

    Raises:
        AioRpcError: NOT_FOUND.
    """
    try:
        await read(CHECK_S)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            raise
        complain(f"{what} could not be checked: {owner} answers {error.code().name}")


def home_path(home: str) -> Path:
    """The home directory a command was given, or the default."""
    return Path(home or "var")


def make_table(*columns: str) -> Table:
    """An empty table for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in ("why", "differences", "what happened"))
    return table


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        out.print(f"  {name:<{width}}  {value}")


def enum_value(enum: Any, prefix: str, flag: str, value: str) -> Any:
    """The number of an enum value named on the command line; a wrong name is a SettingsError that lists the right ones."""
    try:
        return enum.Value(prefix + value.upper().replace("-", "_"))
    except ValueError:
        known = ", ".join(name.removeprefix(prefix).lower() for name in enum.keys()[1:])
        raise SettingsError(f"--{flag}: expected one of {known}, was {value!r}") from None


if os.environ.get("NO_COLOR"):
    out.no_color = True
