"""Configuration of the nats-server that runs on the same machine."""

from pathlib import Path


def server_config(store: Path, host: str, port: int, token: str, log_file: Path | None = None) -> str:
    """The server's configuration file: JetStream that fsyncs every message before it acknowledges.

    `sync_interval: always` is what makes a publish acknowledgement mean "on disk"; `sync_always` is not a setting.
    """
    lines = [
        f'host: "{host}"',
        f"port: {port}",
        "max_payload: 1MB",
        f'authorization {{ token: "{token}" }}',
        f'jetstream {{ store_dir: "{store}", sync_interval: always, max_mem: 64MB }}',
    ]
    if log_file:
        lines.append(f'log_file: "{log_file}"')
    return "\n".join(lines) + "\n"
