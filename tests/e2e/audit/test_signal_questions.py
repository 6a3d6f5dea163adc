"""What one asks of history as a user: why a signal did not trade, by command and by page."""

import re

import httpx
import pytest
from vantixs.testing.stack import RunningStack, wait_for


@pytest.fixture(scope="module")
def third(stack: RunningStack) -> str:
    """Three signals with a tag; the last one has nothing to close."""
    sent = [("buy", "BTCUSDT"), ("buy", "ETHUSDT"), ("close", "ADAUSDT")]
    ids = []
    for action, symbol in sent:
        ids.append(stack.send({"action": action, "symbol": symbol, "tag": "morning"}).json()["signal_id"])
        stack.ended(ids[-1:])
    return str(ids[2])


def test_why_the_third_signal_since_yesterday_did_not_trade_is_told_by_two_commands(
    stack: RunningStack, third: str
) -> None:
    # The first command: all since yesterday in order, of which the third is the one. The tag keeps out other tests' signals.
    listed = stack.run(
        "signals", "list", "--since", "yesterday", "--filter", "tag:morning", "--order-by", "receive_time"
    )
    rows = [line.split() for line in listed.stdout.splitlines() if re.match(r"s0", line)]
    assert rows[2][0] == third
    # The second: why.
    shown = stack.run("signals", "show", rows[2][0]).stdout
    assert "CLOSE ADA/USDT did not trade: " in shown
    assert "NOTHING_TO_CLOSE (" in shown
    assert "last step" in shown


def test_page_filters_and_says_where_an_expression_is_wrong(stack: RunningStack, third: str) -> None:
    token = (stack.home / "secrets" / "console-token").read_text().strip()
    with httpx.Client(base_url=stack.endpoints["console"], timeout=10) as page:
        page.get("/", params={"token": token})
        found = page.get("/", params={"filter": "tag:morning AND status = REJECTED"}).text
        assert re.findall(r'data-id="(\w+)"', found) == [third]
        assert 'value="tag:morning AND status = REJECTED"' in found
        assert "data-live" not in found
        wrong = page.get("/", params={"filter": "status = <b>"})
        assert wrong.status_code == 400
        assert "at 10: expected one of ACCEPTED" in wrong.text
        assert "<b>" not in wrong.text.replace('<b class="', "")
        assert "did not trade" in page.get(f"/signals/{third}").text


def test_replayed_signal_stays_listed_under_what_it_was(stack: RunningStack, third: str) -> None:
    assert stack.run("replay", "start", third, "--mode", "paper", "--comment", "again").returncode == 0
    wait_for(lambda: stack.signals()[third]["status"] == "SIGNAL_STATUS_REPLAYED", "the replay to be recorded")
    listed = stack.run("signals", "list", "--filter", "tag:morning AND status = REJECTED").stdout
    assert f"{third} " in listed
    assert "REJECTED (replayed)" in listed
    assert third in stack.run("signals", "list", "--filter", "tag:morning AND status = REPLAYED").stdout
    shown = stack.json("signals", "show", third)
    assert (shown["signal"]["status"], shown["signal"]["outcome"]) == (
        "SIGNAL_STATUS_REPLAYED",
        "SIGNAL_STATUS_REJECTED",
    )
    assert shown["signal"]["reason"] == "NOTHING_TO_CLOSE"
    assert shown["links"]["replay_ids"]
    assert "It was replayed 1 time since." in shown["sentence"]


def test_rejected_signal_is_found_by_what_ingress_could_read_of_it(stack: RunningStack) -> None:
    sent = stack.send({"action": "buy", "symbol": "BTCUSDT", "quantity": "many", "tag": "evening"})
    rejected = sent.json()["signal_id"]
    stack.ended([rejected])
    listed = stack.run("signals", "list", "--filter", "stage = ingress AND action = BUY AND symbol = BTCUSDT").stdout
    assert rejected in listed
    signal = stack.json("signals", "show", rejected)["signal"]
    assert (signal["webhook_id"], signal["source_address"], signal["reason"]) == ("demo", "127.0.0.1", "FIELD_INVALID")
