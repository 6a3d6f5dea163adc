"""A real nats-server for tests, to be killed, frozen and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.log_output import LogFile
from vantixs.runtime.nats_config import server_config

BINARY = Path(sys.executable).parent / "nats-server"


class NatsServer:
    """One server on loopback, configured as in production; `more` is added to its configuration."""

    def __init__(self, directory: Path, *, token: str = "test-token", more: str = "") -> None:
        self._held = reserve_port()
        self.port = port_of(self._held)
        self.token = token
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = directory / "nats.conf"
        directory.mkdir(parents=True, exist_ok=True)
        self._log = LogFile(directory / "log", 16 << 20, 3)
        text = server_config(directory / "jetstream", "127.0.0.1", self.port, token, self._log)
        self._config.write_text(text + more)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "NatsServer":
        """Starts it; it may take a moment to answer."""
        self._process = subprocess.Popen([BINARY, "-c", self._config, "-l", self._log.path], stderr=subprocess.DEVNULL)
        return self

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        assert self._process
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and waits."""
        if self._process and self._process.poll() is None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGTERM)
            self._process.wait()
        self._held.close()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process
        os.kill(self._process.pid, number)
