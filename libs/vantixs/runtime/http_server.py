"""An ASGI application on uvicorn, as part of a service."""

import asyncio
import socket
from typing import Any

import uvicorn

from vantixs.runtime.addresses import split_address
from vantixs.runtime.lifecycle import Lifecycle, StartupError


class HttpServer:
    """One HTTP server; access logs are off, for URLs hold tokens."""

    def __init__(self, app: Any, listen: str, *, connections: int = 1000) -> None:
        host, port = split_address(listen)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            raise StartupError(f"HTTP: cannot listen on {listen}: {error.strerror}") from None
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            http="httptools",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            limit_concurrency=connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=65536,
        )
        self._server = _Server(config)

    def start(self, life: Lifecycle) -> "asyncio.Task[None]":
        """Serves until `stop`."""
        return life.spawn(self._server.serve(sockets=[self._socket]), name="http")

    def stop(self) -> None:
        """Takes no more requests; those in hand get 2 s."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Leaves signals to the service's lifecycle."""

    def capture_signals(self) -> Any:
        """No handlers of its own."""
        import contextlib  # noqa: PLC0415

        return contextlib.nullcontext()
