"""Prometheus metrics, on a page of their own that listens on loopback."""

from collections.abc import Callable

from prometheus_client import REGISTRY, start_http_server

from vantixs.runtime.addresses import split_address


def serve_metrics(listen: str) -> tuple[Callable[[], None], str]:
    """Serves /metrics at `host:port` (port 0 takes a free one); returns what stops it, and the URL.

    An empty address serves nothing.
    """
    if not listen:
        return (lambda: None), ""
    host, port = split_address(listen)
    server, thread = start_http_server(port, addr=host, registry=REGISTRY)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop, f"http://{host}:{server.server_port}/metrics"
