"""The `vantixs` command. `serve` and `health` run before anything slow is imported."""

import os
import sys

from vantixs.runtime.settings import SERVICES, SettingsError

from vantixs_console.plain_text import complain
from vantixs_console.probe import run_probe


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 done, 1 refused or failed, 2 wrong call or set-up."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["health"]:
        return run_probe(arguments[1:])
    if arguments == ["--version"]:
        print(installed())
        return 0
    from vantixs.runtime.lifecycle import StartupError  # noqa: PLC0415 - a probe needs no service kit

    # Children are started by fork and exec at once, so gRPC's work at a fork is not needed; it would print a line each time.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.umask(
        0o077
    )  # Files of this process and its children are for this user alone: databases, spools, the journal, logs.
    try:
        if arguments[:1] == ["serve"]:
            return serve(arguments[1:])
        from vantixs_console.commands import run_commands  # noqa: PLC0415 - rich and typer take a quarter second

        return run_commands(arguments)
    except (StartupError, SettingsError) as error:
        complain(str(error))
        return 2


def installed() -> str:
    """Name, version, and whether the hot modules are compiled.

    Without a compiler the installation works as well (ADR 18).
    """
    import importlib.metadata  # noqa: PLC0415
    import importlib.util  # noqa: PLC0415

    # The library in which mypyc puts the compiled modules.
    compiled = importlib.util.find_spec("vantixs.native__mypyc") is not None
    return (
        f"vantixs-signals {importlib.metadata.version('vantixs-signals')}, {'compiled' if compiled else 'plain Python'}"
    )


def serve(arguments: list[str]) -> int:
    """Runs one service, for containers and for `vantixs up`: `vantixs serve NAME [--home DIR]`."""
    import importlib.metadata  # noqa: PLC0415

    usage = f"usage: vantixs serve {{{'|'.join(SERVICES)}}} [--home DIR]"
    if arguments[:1] in (["--help"], ["-h"]):
        print(usage)
        return 0
    overrides = {}
    if len(arguments) == 3 and arguments[1] == "--home":
        overrides["home"] = arguments[2]
    elif len(arguments) != 1:
        raise SettingsError(usage)
    found = importlib.metadata.entry_points(group="vantixs.services", name=arguments[0])
    if not found:
        raise SettingsError(f"{usage}; was {arguments[0]!r}")
    return int(next(iter(found)).load()(overrides))
