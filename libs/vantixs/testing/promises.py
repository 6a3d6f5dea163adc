"""The promises of docs/developer/architecture.md, held against everything a system did."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from contextlib import closing
from decimal import Decimal
from typing import Any

from vantixs.testing.stack import RunningStack, wait_for

Fill = tuple[str, str, Decimal, Decimal, Decimal]  # Instrument, side, quantity, price, fee.


def check_promises(stack: RunningStack, accepted: Iterable[str], reversals: Collection[str] = ()) -> None:
    """Every accepted signal has one end, none has two orders, the books equal the fills, keys kept their order.

    `reversals` may have two orders, one a leg.
    """
    accepted = list(accepted)
    stack.ended(accepted, timeout_s=120)
    # What was stored without an answer reaching the sender ends as well: nothing may be left open.
    found = wait_for(lambda: _all_ended(stack), "every stored signal to end", 60)
    completed: Counter[str] = Counter()
    order_ids: dict[str, set[str]] = defaultdict(set)
    fills: dict[str, dict[str, Fill]] = {}
    accepted_at: dict[str, int] = {}
    ran_at: dict[str, int] = {}
    for signal_id, timeline in stack.timelines().items():
        for step in timeline:
            entry, sequence = step["entry"], int(step["stream_sequence"])
            if "signal_accepted" in entry:
                fills.setdefault(found[signal_id]["account_id"], {})
                # One whose key was another's is told by the router, when its turn has come.
                if entry["actor"] != "service:router":
                    accepted_at[signal_id] = min(sequence, accepted_at.get(signal_id, sequence))
            if "signal_completed" in entry:
                completed[signal_id] += 1
                ran_at[signal_id] = sequence
            if "order_submitted" in entry:
                order_ids[signal_id].add(entry["order_submitted"]["order"]["order_id"])
            if "fill_recorded" in entry:
                fill = entry["fill_recorded"]["fill"]
                instrument = fill["quote"]["instrument"]
                amounts = Decimal(fill["quantity"]), Decimal(fill["price"]), Decimal(fill["fee"])
                of_account = fills.setdefault(found[signal_id]["account_id"], {})
                of_account[fill["execution_id"]] = (instrument, fill["side"], *amounts)
    assert {i: completed[i] for i in accepted if completed[i] != 1} == {}
    assert {i: ids for i, ids in order_ids.items() if len(ids) > 1 + (i in reversals)} == {}
    check_order_of_keys(found, accepted_at, ran_at)
    check_books(stack, fills)


def check_order_of_keys(found: dict[str, Any], accepted_at: dict[str, int], ran_at: dict[str, int]) -> None:
    """The signals of an account and instrument completed in the order in which the journal has them."""
    keys: dict[tuple[str, str], list[str]] = defaultdict(list)
    for signal_id, summary in found.items():
        if signal_id in accepted_at:
            keys[summary["account_id"], summary["instrument"]].append(signal_id)
    for key, ids in keys.items():
        ran = [i for i in sorted(ids, key=lambda i: accepted_at[i]) if i in ran_at]
        assert ran == sorted(ran, key=lambda i: ran_at[i]), f"{key} ran out of order"


def check_books(stack: RunningStack, fills: dict[str, dict[str, Fill]]) -> None:
    """Cash and holdings of each account are exactly the opening balance and the fills; nothing stays reserved.

    A perpetual has to be flat: then what it moved is in cash.
    """
    accounts = stack.accounts_of(list(fills))
    for account_id, of_account in fills.items():
        account = accounts[account_id]
        expected: dict[str, Decimal] = defaultdict(Decimal)
        expected[account["account"]["currency"]] = Decimal(account["account"]["balance"])
        for instrument, side, quantity, price, fee in of_account.values():
            base, _, quote = instrument.partition(":")[0].partition("/")
            sign = 1 if side == "SIDE_BUY" else -1
            expected[base] += sign * quantity
            expected[quote] -= sign * quantity * price + fee
        books = {b["asset"]: Decimal(b["total"]) for b in account["balances"]}
        assert {a: v for a, v in books.items() if v} == {a: v for a, v in expected.items() if v}, account_id
        assert [b for b in account["balances"] if Decimal(b["reserved"])] == [], account_id


def _all_ended(stack: RunningStack) -> dict[str, Any] | None:
    # What is in no history yet runs while the books are read: a signal in the spool, or in a journal that audit is behind.
    for path in (stack.home / "data").glob("*.spool"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as spool:
            if spool.execute("SELECT 1 FROM spool").fetchone():
                return None
    journal = stack.json("journal", "show")["journal"]
    if journal.get("recorded_sequence") != journal.get("last_sequence"):
        return None
    found = stack.signals()
    return None if any(s["status"] == "SIGNAL_STATUS_ACCEPTED" for s in found.values()) else found
