"""Sends a signal to the webhook `demo`, waits for its end, and says what was filled."""

import sys

from vantixs.client import Client

with Client.from_home(sys.argv[1]) as client:
    sent = client.signals.send({"action": "buy", "symbol": "BTCUSDT"})
    ended = client.signals.wait(sent.signal_id, timeout_s=30).signal
    print(sent.signal_id, ended.filled_quantity, "at", ended.average_price, ended.reason, ended.detail)
