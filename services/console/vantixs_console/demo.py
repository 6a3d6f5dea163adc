"""`make demo`: alerts as real senders write them, and what became of each."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.client import ClientError
from vantixs.runtime.settings import load

from vantixs_console.bootstrap import WEBHOOK
from vantixs_console.clients import Clients, open_clients
from vantixs_console.settings import ConsoleSettings
from vantixs_console.terminal import make_table, out
from vantixs_console.timeline import short_name

END_S = 10.0
ALERTS = Path(__file__).parent / "data" / "alerts.jsonl"


async def run_demo(base: str, token: str, home: Path) -> int:
    """Sends every alert, waits for its end, shows the table; returns 1 where one ended otherwise than expected."""
    rows = [json.loads(line) for line in ALERTS.read_text().splitlines() if line]
    table = make_table("alert", "answer", "status", "what happened")
    clients = await open_clients(load("console", ConsoleSettings, overrides={"home": str(home)}))
    wrong = 0
    async with httpx.AsyncClient() as http:
        for row in rows:
            now = datetime.now(UTC)
            body = row["body"].replace("$TOKEN", token).replace("$NOW_ISO", now.strftime("%Y-%m-%dT%H:%M:%SZ"))
            response = await http.post(f"{base}/hooks/{WEBHOOK}/{token}", content=body.encode())
            answer = response.json()
            found = await _ended(clients, answer.get("signal_id", ""))
            expected = row["expect"].get("reason", "") if not response.is_success else "ACCEPTED"
            got = answer.get("reason", "") if not response.is_success else "ACCEPTED"
            wrong += expected != got and row["expect"]["outcome"] != expected
            status = short_name(common_pb2.SignalStatus.Name(found.status))
            table.add_row(row["id"], str(response.status_code), status, f"{found.reason} {found.detail}".strip())
    await clients.close()
    out.print(table)
    return 1 if wrong else 0


async def _ended(clients: Clients, signal_id: str) -> audit_pb2.SignalSummary:
    """The signal once it has ended; what was refused without a record has none."""
    if signal_id:
        with contextlib.suppress(ClientError):
            return (await clients.client.signals.wait(signal_id, timeout_s=END_S)).signal
    return audit_pb2.SignalSummary(signal_id=signal_id)
