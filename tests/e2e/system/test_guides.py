"""Commands in the documents work as written: every block of commands is run against one running system, or named in NOT_RUN."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.reasons import REASONS
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.settings import ServiceSettings, load
from vantixs.testing.certificates import Authority
from vantixs.testing.stack import RunningStack
from vantixs_ingress.settings import IngressSettings
from vantixs_risk.server import NAME, ROLES

from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "docs/user/*.md", "docs/developer/*.md", "services/*/*.md")
    for path in ROOT.glob(pattern)
)
CLUSTER = "tests/fault/system/test_cluster.py runs it, with a directory for each machine"
# By page and first line of a block: why it is not run here, and which test runs it where one does.
NOT_RUN = {
    (
        "README.md",
        "make up       # starts everything on this machine; Ctrl-C stops it",
    ): "needs an empty machine; CI runs make",
    ("README.md", "vantixs webhook create --account paper             # a webhook of your own: prints its URL once"): (
        "tests/e2e/system/test_readme.py runs it"
    ),
    ("CONTRIBUTING.md", "make setup    # .venv from the lock; python3 >= 3.11, no compiler"): "CI runs these targets",
    ("docs/operations.md", "docker-compose up -d"): "needs docker; test_container_environment.py has the environment",
    (
        "docs/operations.md",
        "vantixs up --scale router=2 --scale risk=2",
    ): "runs until it is stopped; tests/e2e/system/test_scale.py",
    ("docs/operations.md", "vantixs init --home /srv/vantixs"): CLUSTER,
    ("docs/operations.md", "for node in nats-1 nats-2 nats-3; do"): CLUSTER,
    ("docs/operations.md", "cp settings.toml /srv/vantixs/settings.toml"): CLUSTER,
    ("docs/operations.md", "vantixs bootstrap --home /srv/vantixs --http-url https://hooks.example.com"): CLUSTER,
    ("docs/operations.md", "ssh ingress-1 vantixs backup /srv/vantixs-backup --home /srv/vantixs"): CLUSTER,
    (
        "docs/operations.md",
        "echo \"CREATE ROLE vantixs LOGIN PASSWORD '$(cat /srv/vantixs/secrets/postgres-password)'\" | psql -h db -U postgres",
    ): CLUSTER,
    ("docs/developer/grpc.md", "buf curl --protocol grpc --schema protos --timeout 5s --cacert ca.pem"): (
        "test_call_with_tls_works_as_written runs it against a server with TLS"
    ),
}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def why_not(page: Path, block: str) -> str:
    """The reason for which a block is not run here; empty where it is."""
    found = [why for (name, first), why in NOT_RUN.items() if name == str(page) and block.startswith(first)]
    return found[0] if found else ""


def script_of(page: Path) -> str:
    """All commands of a page that are run, as one script: what a block sets is there for the next one."""
    return "".join(block for block in blocks(page, "sh") if not why_not(page, block))


WITH_COMMANDS = [page for page in PAGES if script_of(page)]


def run_script(script: str, home: Path, folder: Path, commands: Path) -> subprocess.CompletedProcess[str]:
    """A script as a user's shell runs it, in a folder that looks like a copy of the repository."""
    for name in ("protos", "deploy"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    environment = {"PATH": f"{commands}:{BIN}:{os.environ['PATH']}", "HOME": str(folder), "VANTIXS_HOME": str(home)}
    return subprocess.run(
        ["/bin/bash", "-euo", "pipefail"], input=script, env=environment, cwd=folder,
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip


def test_every_block_is_run_or_named_with_its_reason() -> None:
    assert {str(page) for page in WITH_COMMANDS} >= {
        "docs/operations.md", "docs/user/tradingview.md", "docs/developer/grpc.md",
    }  # fmt: skip
    shown = {(str(page), block) for page in PAGES for block in blocks(page, "(?:sh|console|bash|shell)")}
    assert all(block in blocks(Path(page), "sh") for page, block in shown), "blocks of commands are marked `sh`"
    gone = [key for key in NOT_RUN if not any(page == key[0] and block.startswith(key[1]) for page, block in shown)]
    assert gone == [], "rows of NOT_RUN that no block has"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_commands_of_a_page_work_when_they_are_pasted(
    page: Path, stack: RunningStack, commands: Path, tmp_path: Path
) -> None:
    (tmp_path / "alert.json").write_text('{"action": "buy", "symbol": "BTCUSDT"}')
    done = run_script(script_of(page), stack.home, tmp_path, commands)
    assert done.returncode == 0, done.stdout + done.stderr
    status = stack.json("status")
    assert (status["restrictions"], status["pushed"]) == ([], []), "a guide leaves trading as it was"


def test_message_in_the_guide_is_the_one_that_the_command_prints(stack: RunningStack) -> None:
    made = stack.json("webhook", "create", "--account", "paper", "--webhook-id", "template", "--sizing-method", "fixed_notional",
                      "--sizing-value", "100")  # fmt: skip
    printed = stack.run("webhook", "template", "--for", "tradingview-strategy", "--webhook", "template").stdout
    [message] = blocks(Path("docs/user/tradingview.md"), "json")
    assert json.loads(printed) == json.loads(message)
    rendered = re.sub(r"\{\{(.*?)\}\}", lambda found: RENDERED[found[1]], message)
    assert stack.send(rendered, made["url"]).status_code == 202


RENDERED = {
    "strategy.order.action": "buy",
    "ticker": "BTCUSDT",
    "strategy.market_position": "long",
    "strategy.prev_market_position": "flat",
    "strategy.order.contracts": "0.001",
    "close": "64000",
    "timenow": "",
    "strategy.order.id": "Long Entry",
}


def test_settings_for_the_proxy_are_read(tmp_path: Path) -> None:
    [settings] = blocks(Path("docs/user/tradingview.md"), "toml")
    (tmp_path / "settings.toml").write_text(settings)
    read = load("ingress", IngressSettings, overrides={"home": str(tmp_path)}, environ={})
    assert (read.public_url, read.trusted_proxies) == ("https://hooks.example.com", "127.0.0.1/32")


def test_answers_in_the_guide_are_those_of_the_table_of_reasons() -> None:
    page = (ROOT / "docs/user/tradingview.md").read_text()
    named = re.findall(r"\b([45]\d\d) ([A-Z]+(?:_[A-Z]+)+)", page)
    assert len(named) > 4
    assert [(http, name) for http, name in named if REASONS[name].http != int(http)] == []


def test_python_example_prints_signals_and_the_reason_of_an_error(stack: RunningStack, tmp_path: Path) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT"}, idempotency_key="python").json()["signal_id"]
    stack.ended([signal_id])
    [program] = blocks(Path("docs/developer/grpc.md"), "python")
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"VANTIXS_HOME": str(stack.home)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{signal_id} BTCUSDT" in done.stdout
    assert "NOT_FOUND" in done.stdout


class OneAccount(risk_pb2_grpc.RiskServiceServicer):
    """Answers the call of the guide."""

    async def ListAccounts(self, request: Any, context: Any) -> Any:
        return risk_pb2.ListAccountsResponse(accounts=[risk_pb2.Account(account_id="paper")])


@pytest.fixture
async def with_tls(tmp_path: Path) -> AsyncIterator[str]:
    authority = Authority(tmp_path)
    issued = authority.issue("cert", "127.0.0.1")
    issued.certificate.rename(tmp_path / "cert.pem")
    issued.key.rename(tmp_path / "key.pem")
    settings = replace(
        ServiceSettings(viewer_token="v", operator_token="o", service_token="s", metrics_listen=""),
        grpc_tls_ca=str(authority.file), grpc_tls_certificate=str(tmp_path / "cert.pem"),
        grpc_tls_key=str(tmp_path / "key.pem"), grpc_tls_client_ca=str(authority.file),
    )  # fmt: skip
    server = Server(settings, Health(), roles=ROLES)
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, OneAccount(), NAME)
    yield await server.start()
    await server.stop(0)


async def test_call_with_tls_works_as_written(with_tls: str, commands: Path, tmp_path: Path) -> None:
    import asyncio

    [command] = [block for block in blocks(Path("docs/developer/grpc.md"), "sh") if "--cacert" in block]
    script = "VIEWER='authorization: Bearer v'\n" + command.replace("risk-1:7000", with_tls)
    done = await asyncio.to_thread(run_script, script, tmp_path, tmp_path, commands)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"accounts": [{"accountId": "paper"}]}
