"""The tables of alerts in tests/data: bodies as senders write them, and what the webhook must make of each.

A row has `id`, `peer`, `body` or `body_hex`, `expect`, perhaps `note`. In `body`, `$NOW_ISO`, `$NOW_S`, `$NOW_MS` stand for the
time of sending and `$TOKEN` for the webhook's token; `body_hex` is sent as it stands. `expect` has `outcome`, `reason` where
rejected, and fields of the canonical signal as texts, `None` for one that must not be there. `must_lack` names fields
that must not be there either, `must_not_be_stored` texts that no record may hold, `sequence` the steps of a row that are sent
one after another, with the account's position after each.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from tests.support.paths import DATA, ROOT

TABLES = ("alerts.jsonl", "senders.jsonl", "field.jsonl", "kinds.jsonl")
_PREFIXES = ("ACTION_", "POSITION_SIDE_", "QUANTITY_TYPE_", "ORDER_TYPE_", "TIME_IN_FORCE_")


_LEVELS = ("stop_loss", "take_profit", "trailing_stop", "trailing_activation", "break_even_at")


def load_alerts(*names: str) -> list[dict[str, Any]]:
    """The rows of the tables named, of all of them where none is."""
    texts = [_path_of(name).read_text("utf-8") for name in names or TABLES]
    return [json.loads(line) for text in texts for line in text.splitlines() if line]


def body_of(row: dict[str, Any], now: datetime, token: str) -> bytes:
    """The bytes of a row as sent at `now` with `token`."""
    if "body_hex" in row:
        return bytes.fromhex(row["body_hex"])
    body = str(row["body"])
    filled = {
        "$NOW_ISO": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "$NOW_MS": str(int(now.timestamp() * 1000)),
        "$NOW_S": str(int(now.timestamp())),
        "$TOKEN": token,
    }
    for name, value in filled.items():
        body = body.replace(name, value)
    return body.encode()


def fields_of(signal: Any) -> dict[str, str]:
    """A signal message in the terms of the tables: `action` is "BUY", a stop loss in percent is `stop_loss_percent`.

    `take_profit_price` and the like are of the first target; `take_profits` are all of them in one text, for example
    "price 66000 50%, price 67000".
    """
    fields: dict[str, str] = {}
    for name, value in json_format.MessageToDict(signal, preserving_proto_field_name=True).items():
        if name in _LEVELS:
            fields |= {f"{name}_{kind}": text for kind, text in value.items()}
        elif name == "take_profits":
            fields |= {f"take_profit_{kind}": text for kind, text in value[0]["level"].items()}
            fields[name] = ", ".join(map(_target_text, value))
        elif isinstance(value, bool | int):
            fields[name] = str(value).lower()
        elif isinstance(value, str):
            prefix = next((p for p in _PREFIXES if value.startswith(p)), "")
            fields[name] = value.removeprefix(prefix)
    return fields


def _target_text(target: dict[str, Any]) -> str:
    ((kind, value),) = target["level"].items()
    return f"{kind} {value} {target['share']}%" if "share" in target else f"{kind} {value}"


def _path_of(name: str) -> Path:
    """Where a table is: the demo's is data of the console, so that an installed wheel has it."""
    demo = ROOT / "services" / "console" / "vantixs_console" / "data" / name
    return demo if demo.is_file() else DATA / name
