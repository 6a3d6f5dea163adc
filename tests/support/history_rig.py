"""A history of random signals on either database, as audit records it, and walks through it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import Checkpoint, Signer, history_signer
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs_audit import store
from vantixs_audit.proof.checkpoints import Checkpoints
from vantixs_audit.proof.verify import Walk
from vantixs_audit.proof.witness import Witness

SIGNER = history_signer("secret of the rig")
TABLES = ("entries", "signals", "signal_words", "head", "tree_nodes", "checkpoints")


def events(random: Random, signal_id: str) -> list[dict[str, Any]]:
    """What happens to a signal, in order."""
    webhook = {"webhook_id": random.choice(("w1", "w2")), "account_id": "paper", "mode": common_pb2.MODE_PAPER}
    if random.random() < 0.2:
        return [
            {
                "signal_rejected": journal_pb2.SignalRejected(
                    webhook=webhook, reason="FIELD_INVALID", detail="no\x00 number"
                )
            }
        ]
    order = order_pb2.Order(
        order_id=f"{signal_id}.1", signal_id=signal_id, side=common_pb2.SIDE_SELL, quantity="0.5",
        state=common_pb2.ORDER_STATE_FILLED, filled_quantity="0.5", average_price="99.5",
    )  # fmt: skip
    signal = {
        "symbol": "BTCUSDT", "instrument": "BTC/USDT", "action": common_pb2.ACTION_SELL, "price": "100",
        "comment": random.choice(("", "breakout of the week")), "tag": random.choice(("", "turtle")),
    }  # fmt: skip
    told: list[dict[str, Any]] = [
        {"signal_accepted": journal_pb2.SignalAccepted(webhook=webhook, signal=signal)},
        {"order_evaluated": journal_pb2.OrderEvaluated(order=order)},
        {"order_updated": journal_pb2.OrderUpdated(order=order)},
        {
            "signal_completed": journal_pb2.SignalCompleted(
                status=common_pb2.SIGNAL_STATUS_EXECUTED, stage="venue", detail=signal_id
            )
        },
    ]
    if random.random() < 0.2:
        told.append({"duplicate_suppressed": journal_pb2.DuplicateSuppressed(first_signal_id=signal_id, repeat=1)})
    if random.random() < 0.1:  # Another order than the usual one: the row must not depend on batches.
        told[0], told[1] = told[1], told[0]
    return told


def deliveries(random: Random, signals: int, name: str = "s") -> list[Delivery]:
    """Messages of that many signals, mixed, with entries of no signal among them."""
    waiting = [(f"{name}{n}", events(random, f"{name}{n}")) for n in range(signals)]
    active: list[tuple[str, list[dict[str, Any]]]] = []
    entries = []
    while waiting or active:
        while waiting and len(active) < 6:
            active.append(waiting.pop(0))
        signal_id, left = random.choice(active)
        entries.append((signal_id, left.pop(0)))
        active = [item for item in active if item[1]]
        if random.random() < 0.1:
            entries.append(("", {"dead_lettered": journal_pb2.DeadLettered(detail=random.randbytes(9).hex())}))
    made = []
    for number, (signal_id, event) in enumerate(entries, 1):
        entry = journal_pb2.JournalEntry(event_id=f"{name}-{number}", signal_id=signal_id, **event)
        entry.event_time.FromMicroseconds(10**15 + number * 1234567)
        data = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        made.append(Delivery("vantixs.journal.v1.event.order", data, number, datetime.now(UTC)))
    return made


class History:
    """Records, signs, and keeps copies of what the tables had."""

    def __init__(self, database: Database, directory: Path, signer: Signer = SIGNER) -> None:
        self.database = database
        self.signer = signer
        self.witness = Witness(directory / "audit.checkpoint", signer.key)
        self.checkpoints = Checkpoints(database, signer, self.witness, entries=1000, seconds=10)
        self.copies: list[dict[str, list[dict[str, Any]]]] = []

    async def record(self, messages: list[Delivery], random: Random, *, copy: bool = True) -> None:
        """Records all of them in batches of several sizes, with a checkpoint after each."""
        at = (await self.database.read(store.read_head)).mark.sequence
        messages = [replace(m, stream_sequence=at + n) for n, m in enumerate(messages, 1)]
        running = store.Running()
        while messages:
            count = random.randint(1, 40)
            batch, messages = messages[:count], messages[count:]
            mark = Mark(0, "stream", batch[-1].stream_sequence)
            await self.database.write(lambda c, b=batch, m=mark: store.record(c, b, m, running))
            if random.random() < 0.8:
                await self.checkpoints.sign()
            if copy:
                self.copies.append(await self.database.read(copy_tables))
        await self.checkpoints.sign()

    @property
    def seen(self) -> Checkpoint:
        """What the witness has."""
        found = self.witness.last()
        assert found is not None
        return found

    async def fault(self, against: Mapping[str, Checkpoint] | None = None) -> Any:
        """What a walk finds."""
        return await self.database.read(lambda c: walk(c, against))


def walk(connection: sa.Connection, against: Mapping[str, Checkpoint] | None = None) -> Any:
    """Walks to the end inside one transaction; the fault, or None."""
    walking = Walk(SIGNER.key, against or {})
    while not (step := walking.take_page(connection)).done:
        pass
    return step.fault


def copy_tables(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables that history is in."""
    tables = store.METADATA.tables
    return {name: [dict(row._mapping) for row in connection.execute(sa.select(tables[name]))] for name in TABLES}


def put_back(connection: sa.Connection, copy: dict[str, list[dict[str, Any]]]) -> None:
    """Has the tables hold what they held."""
    for name, rows in copy.items():
        table = store.METADATA.tables[name]
        connection.execute(sa.delete(table))
        if rows:
            connection.execute(sa.insert(table), rows)
