"""What the `vantixs` command shows a person: no raw messages, nothing left out, nothing told wrongly."""

import json
from pathlib import Path

from vantixs.testing.stack import RunningStack


def test_send_says_that_a_repeat_is_one_and_of_which_signal(stack: RunningStack, tmp_path: Path) -> None:
    payload = tmp_path / "signal.json"
    payload.write_text(json.dumps({"action": "buy", "symbol": "BTCUSDT", "comment": "send twice"}))
    first = stack.run("send", str(payload))
    assert first.stdout.startswith("202 accepted ")
    signal_id = first.stdout.split()[-1]
    again = stack.run("send", str(payload))
    assert again.returncode == 0
    assert f"200 duplicate of {signal_id}" in again.stdout
    assert "DUPLICATE_SUPPRESSED" in again.stdout
    assert "accepted" not in again.stdout
    assert json.loads(stack.run("send", str(payload), "--json").stdout)["duplicate"] is True
