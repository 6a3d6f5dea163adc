"""Configuration of the nats-server that runs on the same machine."""

from pathlib import Path


def server_config(store: Path, host: str, port: int, token: str, log_file: Path | None = None) -> str:
    """The server's configuration file: JetStream that fsyncs every message before it acknowledges.

    `sync_interval: always` is what makes a publish acknowledgement mean "on disk"; `sync_always` is not a setting. Streams have
    limits of their own: without `max_file` the server takes three quarters of the free disk for the most they may reserve
    together, so that a small disk refuses them.
    """
    lines = [
        f'host: "{host}"',
        f"port: {port}",
        "max_payload: 1MB",
        f'authorization {{ token: "{token}" }}',
        f'jetstream {{ store_dir: "{store}", sync_interval: always, max_mem: 64MB, max_file: 100TB }}',
    ]
    if log_file:
        lines.append(f'log_file: "{log_file}"')
    return "\n".join(lines) + "\n"
