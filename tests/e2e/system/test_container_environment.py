"""Commands run in every container: with the environment that docker-compose.yml gives it, and nothing else."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from vantixs.testing.stack import COMMANDS, RunningStack

from tests.support.paths import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = [name for name, service in COMPOSE["services"].items() if "VANTIXS_HOME" in service.get("environment", {})]


@pytest.fixture(scope="module")
def home(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume that containers share: it has the secrets, and no endpoints.json."""
    volume = tmp_path_factory.mktemp("volume") / "home"
    shutil.copytree(stack.home / "secrets", volume / "secrets")
    shutil.copy(stack.home / "vantixs-home", volume / "vantixs-home")
    return volume


def run(stack: RunningStack, home: Path, service: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    endpoints = stack.endpoints
    # What the names in a container lead to is found elsewhere here; all else is as it is there.
    places = {f"{name}:7000": address for name, address in endpoints["grpc"].items()}
    places |= {"http://ingress:8080": endpoints["http"], "/home/vantixs": str(home)}
    environ = {"PATH": os.environ["PATH"]}
    for name, value in COMPOSE["services"][service]["environment"].items():
        text = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))
        for there, here in places.items():
            text = text.replace(there, here)
        environ[name] = text
    return COMMANDS.run(arguments, environ, cwd=home)


@pytest.mark.parametrize("service", OURS)
def test_commands_run_in_the_container(stack: RunningStack, home: Path, tmp_path: Path, service: str) -> None:
    payload = tmp_path / "alert.json"
    payload.write_text(json.dumps({"action": "buy", "symbol": "ETHUSDT", "comment": service}))
    status = run(stack, home, service, "status", "--json")
    assert status.returncode == 0, status.stderr
    assert set(json.loads(status.stdout)["services"].values()) == {"SERVING"}
    sent = run(stack, home, service, "send", str(payload), "--json")
    assert sent.returncode == 0, sent.stderr
    stack.ended([json.loads(sent.stdout)["signal_id"]])
    listed = run(stack, home, service, "signals", "list", "--json")
    assert json.loads(sent.stdout)["signal_id"] in listed.stdout, listed.stderr
    booted = run(stack, home, service, "bootstrap")
    assert "account paper and webhook demo are ready" in booted.stdout, booted.stderr


def test_every_container_of_ours_is_looked_at() -> None:
    assert set(OURS) == {"ingress", "risk", "router", "audit", "console", "bootstrap"}
