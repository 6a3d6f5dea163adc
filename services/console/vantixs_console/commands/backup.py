"""Commands that copy a running system, and make a home directory from a copy."""

from pathlib import Path
from typing import Annotated

import typer

from vantixs_console.terminal import HomeOption, home_path, out, service_settings, user_name

app = typer.Typer(no_args_is_help=True)


@app.command()
def backup(
    directory: Annotated[
        Path, typer.Argument(help="where to write the copy: a directory that is empty or does not exist")
    ],
    home: HomeOption = "",
) -> int:
    """Copies a running system: databases, spools, journal, webhooks and secrets. Protect the copy like a secret."""
    from vantixs_console.copying import take_copy  # noqa: PLC0415 - SQLAlchemy takes half a second, which no other command needs

    count = take_copy(service_settings(home), directory)
    out.print(f"{directory} is complete: databases and spools of one moment, {count} journal messages")
    return 0


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(help="directory written by `vantixs backup`")],
    home: HomeOption = "",
) -> int:
    """Makes a home directory from a copy. Signals accepted after the copy are not in it; see docs/operations.md."""
    from vantixs_console.copying import make_home  # noqa: PLC0415 - as above

    path = home_path(home)
    count = make_home(directory, path, service_settings(home), f"operator:{user_name()}")
    out.print(
        f"{path} is ready with {count} journal messages. Start it with `vantixs up`; compare its accounts with the venue's "
        "before you continue trading."
    )
    return 0
