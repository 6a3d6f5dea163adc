"""Commands as a user runs them, against services that give set answers, for tests of orders, positions and quotes."""

import os
import subprocess
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
from vantixs.testing.stack import COMMANDS

from tests.support.console_services import Services


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    server = grpc.server(ThreadPoolExecutor(4))
    router_pb2_grpc.add_RouterServiceServicer_to_server(made, server)
    risk_pb2_grpc.add_RiskServiceServicer_to_server(made, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(made, server)
    ingress_pb2_grpc.add_WebhookServiceServicer_to_server(made, server)
    made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"  # type: ignore[attr-defined]  # A test's own.
    server.start()
    yield made
    server.stop(None).wait()


@pytest.fixture
def run(services: Any, tmp_path: Path) -> Any:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    environ |= {f"VANTIXS_{name}_ADDRESSES": services.address for name in ("INGRESS", "RISK", "ROUTER", "AUDIT")}

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return COMMANDS.run([*arguments, "--home", str(tmp_path)], environ)

    return call
