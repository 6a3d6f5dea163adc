"""Sends two signals that are refused, the first by ingress and the second by risk, and says why."""

import sys

from vantixs.client import Client, SignalRejected

with Client.from_home(sys.argv[1]) as client:
    try:
        client.signals.send({"action": "buy", "symbol": "NOSUCHCOIN"})
    except SignalRejected as error:
        print(f"{error.reason} {error.field}: {error.detail}")

    client.trading.halt("maintenance", scope="account:paper")
    try:
        sent = client.signals.send({"action": "buy", "symbol": "BTCUSDT"})
        found = client.signals.wait(sent.signal_id)
    finally:
        client.trading.resume("maintenance is over", scope="account:paper")
    print(f"{found.signal.reason}: {found.signal.detail}")
    # What was decided on: every check, and the limit that it held against.
    for recorded in found.timeline:
        for check in recorded.entry.order_evaluated.decision.checks:
            print("passed" if check.passed else "FAILED", check.reason, check.limit)
