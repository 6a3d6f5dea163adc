"""Commands as a user runs them, against services that give set answers, for tests of orders, positions and quotes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from vantixs.api.audit.v1 import audit_pb2_grpc
from vantixs.api.ingress.v1 import ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2_grpc

from tests.support.console_services import Command, Services, command_of, listening


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    server = grpc.server(ThreadPoolExecutor(4))
    router_pb2_grpc.add_RouterServiceServicer_to_server(made, server)
    risk_pb2_grpc.add_RiskServiceServicer_to_server(made, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(made, server)
    ingress_pb2_grpc.add_WebhookServiceServicer_to_server(made, server)
    with listening(server) as made.address:  # type: ignore[attr-defined]  # A test's own.
        yield made


@pytest.fixture
def run(services: Any, tmp_path: Path) -> Command:
    return command_of(services.address, tmp_path)
