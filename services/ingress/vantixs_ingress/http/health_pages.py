"""Liveness and readiness as JSON."""

from vantixs.runtime.health import Health
from vantixs.runtime.http_messages import Response

from vantixs_ingress.http.responses import document


def alive() -> Response:
    """200 as long as the process answers."""
    return document(200, {"status": "ok"})


def ready(health: Health) -> Response:
    """200 where signals can be taken: the broker's state is shown and does not count."""
    states = {name: {"ok": ok, "detail": detail} for name, (ok, detail) in health.snapshot().items()}
    content = {"status": "ready" if health.ready else "not ready", "dependencies": states}
    return document(200 if health.ready else 503, content)
