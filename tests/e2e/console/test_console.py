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


def test_webhook_commands_print_a_listing_and_json_stays_the_message(stack: RunningStack, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"fields": {"action": "do", "symbol": "order.pair"}, "values": {"action=1": "buy"}}))
    made = stack.run(
        "webhook", "create", "--account", "paper", "--webhook-id", "full", "--display-name", "Mine [1]",
        "--instruments", "BTC/USDT", "--instruments", "ETH/USDT", "--actions", "buy", "--source-networks", "10.0.0.0/8",
        "--minimum-proof", "address", "--sizing-method", "equity_percent", "--sizing-value", "2.5", "--signing",
        "--mapping", str(mapping), "--token-exits-only", "--rate-limit-per-minute", "30", "--sell-opens-short",
        "--on-new-signal", "cancel-all-entries", "--position-policy", "reduce-only", "--max-adds", "2", "--add-spacing-s", "60",
        "--position-owner", "webhook",
        "--stop-move", "percent-below-trigger", "--stop-move-after-target", "2", "--stop-move-percent", "1.5",
        "--protection-base", "first-entry", "--unprotected-limit-s", "20", "--triggered-timeout-s", "30",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    token = made.stdout.split()[1].rpartition("/")[2]
    said = [
        stack.run("webhook", *words).stdout
        for words in (("get", "full"), ("disable", "full"), ("enable", "full"), ("update", "full", "--display-name", "Mine [1]"))
    ]  # fmt: skip
    for text in said:
        lines = [" ".join(line.split()) for line in text.splitlines()]
        for row in (
            "display_name Mine [1]",
            "account_id paper",
            "mode paper",
            "sizing equity_percent 2.5",
            "instruments BTC/USDT, ETH/USDT",
            "actions buy",
            "source_networks 10.0.0.0/8",
            "minimum_proof address",
            "rate_limit_per_minute 30",
            "sell_opens_short yes",
            "exit_expires_after_s 86400",
            "mapping.fields.symbol order.pair",
            "mapping.values.action=1 buy",
            "on_new_signal cancel_all_entries",
            "position_policy reduce_only",
            "position_owner webhook",
            "max_adds 2",
            "add_spacing_s 60",
            "stop_move percent_below_trigger",
            "stop_move_after_target 2",
            "stop_move_percent 1.5",
            "protection_base first_entry",
            "unprotected_limit_s 20",
            "triggered_timeout_s 30",
        ):
            assert row in lines, (row, text)
        assert any(line.startswith("token t1 ") and line.endswith("never exits only") for line in lines), text
        assert any(line.startswith("secret s1 ") for line in lines), text
        assert "MODE_" not in text
        assert "{" not in text
        assert token not in text
    assert "full: disabled, revision " in said[1]
    assert "full: enabled, revision " in said[2]
    assert stack.json("webhook", "get", "full")["webhook"]["minimum_proof"] == "PROOF_LEVEL_ADDRESS"
    refused = stack.run("webhook", "update", "full", "--stop-move", "breakeven")
    assert (refused.returncode != 0, "stop_move_percent" in refused.stdout + refused.stderr) == (True, True)
    changed = stack.json(
        "webhook",
        "update",
        "full",
        "--clear",
        "stop-move-percent",
        "--stop-move",
        "breakeven",
        "--on-new-signal",
        "keep",
    )["webhook"]
    assert (changed["stop_move"], changed["on_new_signal"]) == ("STOP_MOVE_BREAKEVEN", "ON_NEW_SIGNAL_KEEP")
    assert (changed["position_policy"], "stop_move_percent" in changed) == ("POSITION_POLICY_REDUCE_ONLY", False)


def test_bootstrap_prints_no_token_and_urls_shows_the_address_it_was_given(stack: RunningStack) -> None:
    kept = (stack.home / "run" / "endpoints.json").read_text()
    shown = stack.run("urls").stdout
    assert f"webhook   {stack.url}\n" in shown
    token, page = (
        (stack.home / "secrets" / name).read_text().strip() for name in ("webhook-demo-token", "console-token")
    )
    done = stack.run("bootstrap", "--http-url=https://hooks.example", "--console-url=http://127.0.0.1:8081")
    assert done.returncode == 0, done.stderr
    assert "vantixs urls" in done.stdout
    for secret in (token, page):
        assert secret not in done.stdout + done.stderr
    shown = stack.run("urls").stdout
    assert f"https://hooks.example/hooks/demo/{token}" in shown
    assert f"http://127.0.0.1:8081/?token={page}" in shown
    rotated = stack.run("webhook", "rotate", "demo").stdout.strip().rpartition("/")[2]
    assert f"/hooks/demo/{rotated}" in stack.run("urls").stdout
    assert "grpc" in json.loads((stack.home / "run" / "endpoints.json").read_text())
    (stack.home / "run" / "endpoints.json").write_text(kept)
