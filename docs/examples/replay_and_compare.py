"""Decides the newest executed signals again with the configuration as it is now, and says what comes out differently."""

import sys
from itertools import islice

from vantixs.client import Client

with Client.from_home(sys.argv[1]) as client:
    executed = client.signals.list(status="executed", webhook_id="demo")
    signal_ids = [signal.signal_id for signal in islice(executed, 10)]
    replay = client.replays.run(signal_ids, current=True, comment="does the new configuration decide otherwise?")
    print(f"{replay.finished} of {replay.total} decided again, {replay.different} with differences")
    for result in replay.results:
        print(result.signal_id, result.reason, "; ".join(result.differences) or "as before")
