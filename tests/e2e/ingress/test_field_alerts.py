"""Alerts as the field sends them, through the real URL and to the end: what is in history, in positions, and on no disk."""

import contextlib
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from vantixs.api.common.v1 import signal_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.alerts import body_of, fields_of, load_alerts

ROWS = load_alerts("field.jsonl", "kinds.jsonl")
SEQUENCES = [row for row in ROWS if "sequence" in row]


def webhook(stack: RunningStack, name: str, *flags: str, account: tuple[str, ...] = ()) -> str:
    """A webhook of its own, on an account of its own where flags for one are given; its URL."""
    if account:
        stack.json("account", "create", name, *account)
    created = stack.json("webhook", "create", "--webhook-id", name, "--account", name if account else "paper", *flags)
    return f"{stack.endpoints['http']}/hooks/{name}/{created['token']}"


@pytest.fixture(scope="module")
def field_url(stack: RunningStack) -> str:
    # Rows that say the same are no repeats of one another here.
    limits = ("--entry-expires-after-s", "300", "--exit-expires-after-s", "86400", "--dedupe-window-s", "0")
    return webhook(stack, "field", *limits)


def expected_fields(row: dict[str, Any]) -> dict[str, str]:
    return {
        name: text for name, text in row["expect"].items() if name not in ("outcome", "reason") and text is not None
    }


@pytest.mark.timeout(900)  # Some 240 alerts one after another; on a busy machine that takes minutes.
def test_every_row_is_taken_and_recorded_as_it_says(stack: RunningStack, field_url: str) -> None:
    """One after another, as two rows that belong together come in order; then history tells of each."""
    token, accepted = field_url.rpartition("/")[2], {}
    for row in ROWS:
        response = stack.send(body_of(row, datetime.now(UTC), token), field_url)
        expect = row["expect"]
        assert ("ACCEPTED" if response.is_success else "REJECTED") == expect["outcome"], (row, response.text)
        if response.is_success:
            accepted[response.json()["signal_id"]] = row
        else:
            assert response.json()["reason"] == expect["reason"], (row, response.text)
    assert len(accepted) == len([row for row in ROWS if row["expect"]["outcome"] == "ACCEPTED"])
    stack.ended(list(accepted), timeout_s=240)
    for signal_id, timeline in stack.timelines_of(list(accepted)).items():
        row = accepted[signal_id]
        signal = next(e["entry"]["signal_accepted"]["signal"] for e in timeline if "signal_accepted" in e["entry"])
        found = fields_of_dict(signal)
        expected = expected_fields(row)
        assert {name: found.get(name) for name in expected} == expected, row
        assert not set(row.get("must_lack", ())) & found.keys(), row
    stored = files(stack.home)
    assert stored
    for row in ROWS:
        for secret in row.get("must_not_be_stored", ()):
            assert not [path for path, content in stored.items() if secret.encode() in content], (row["id"], secret)


def fields_of_dict(signal: dict[str, Any]) -> dict[str, str]:
    """The fields of a signal as the timeline shows it, in the terms of the rows."""
    return fields_of(json_format.ParseDict(signal, signal_pb2.Signal()))


def files(home: Path) -> dict[Path, bytes]:
    """What is stored. A temporary file that is renamed meanwhile is found under its name, or was written anew."""
    found = {}
    for path in home.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                found[path] = path.read_bytes()
    return found


@pytest.mark.parametrize("row", SEQUENCES, ids=[row["id"] for row in SEQUENCES])
def test_positions_follow_the_senders(stack: RunningStack, row: dict[str, Any]) -> None:
    sequence, name = row["sequence"], row["id"]
    account = ("--leverage", "5", "--max-leverage", "5", "--balance", "1000000", "--max-order-notional", "1000000",
               "--max-gross-exposure", "5000000", "--max-position-notional", "1000000",
               "--may-short" if sequence.get("may_short") else "--no-may-short")  # fmt: skip
    sizing = ("--sizing-method", sequence["sizing"].lower())
    if sequence["sizing"] != "SIGNAL_QUANTITY":
        sizing += ("--sizing-value", "10000")
    url = webhook(stack, name, *sizing, account=account)
    instrument = row["expect"]["instrument"]
    lot, first = CATALOGUE[instrument].lot_size, Decimal(0)
    for step, wanted in zip(sequence["steps"], sequence["position_after"], strict=True):
        response = stack.send(row["body"] if step == "BODY" else step, url)
        assert response.status_code == 202, response.text
        ended(url, response)
        position = position_of(stack, name, instrument)
        first = first or position
        if wanted == "Q":
            assert position > 0
        elif wanted in ("half of Q", "2/3 of Q, rounded to the lot"):
            taken = first / 2 if wanted.startswith("half") else first / 3
            assert position == ((first - taken) / lot).to_integral_value(ROUND_CEILING) * lot
        else:
            assert position == Decimal(wanted)


def ended(url: str, response: httpx.Response) -> dict[str, str]:
    """The sender's status of a signal, once it has come to its end."""
    base, _, token = url.rpartition("/")
    target = f"{base}/signals/{response.json()['signal_id']}"

    def status() -> dict[str, str] | None:
        answer = httpx.get(target, headers={"X-Webhook-Token": token}, verify=False).json()
        return None if answer["status"] == "accepted" else dict(answer)

    return dict(wait_for(status, "the signal to end"))


def shown(stack: RunningStack, response: httpx.Response) -> str:
    """The timeline of a signal as text, once history has its end."""
    signal_id = response.json()["signal_id"]
    stack.ended([signal_id])
    return stack.run("signals", "show", signal_id).stdout


def position_of(stack: RunningStack, account: str, instrument: str) -> Decimal:
    listed = stack.json("account", "positions", account).get("positions", [])
    return next((Decimal(p["quantity"]) for p in listed if p["instrument"] == instrument), Decimal(0))


def test_resent_partial_exit_with_a_new_time_does_not_cut_twice(stack: RunningStack) -> None:
    url = webhook(
        stack, "twice", "--sizing-method", "fixed_notional", "--sizing-value", "10000", account=("--balance", "1000000")
    )
    ended(url, stack.send({"action": "buy", "symbol": "ETHUSDT"}, url))
    held = position_of(stack, "twice", "ETH/USDT")
    half = {"action": "sell", "symbol": "ETHUSDT", "sentiment": "long", "quantity": "50%"}
    times = (datetime.now(UTC).isoformat(), datetime.now(UTC).isoformat())
    first, again = (stack.send(half | {"timestamp": time}, url) for time in times)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["signal_id"] == first.json()["signal_id"]
    ended(url, first)
    lot = CATALOGUE["ETH/USDT"].lot_size
    assert abs(position_of(stack, "twice", "ETH/USDT") - held / 2) < lot
    # With a key that was the entry's, it is a signal of its own, and its own resend cuts nothing either.
    keyed = {"action": "sell", "symbol": "SOLUSDT", "sentiment": "long", "quantity": "50%", "nonce": "one"}
    entry = stack.send({"action": "buy", "symbol": "SOLUSDT", "nonce": "one"}, url)
    ended(url, entry)
    held = position_of(stack, "twice", "SOL/USDT")
    cut, resent = (stack.send(keyed | {"timestamp": time}, url) for time in times)
    assert (cut.status_code, resent.status_code) == (202, 200), (cut.text, resent.text)
    assert cut.json()["signal_id"] != entry.json()["signal_id"]
    assert [w["reason"] for w in cut.json()["warnings"]] == ["IDEMPOTENCY_CONFLICT"]
    ended(url, cut)
    assert abs(position_of(stack, "twice", "SOL/USDT") - held / 2) < CATALOGUE["SOL/USDT"].lot_size


def test_stop_and_target_of_an_alert_are_placed_and_shown(stack: RunningStack) -> None:
    response = stack.send({"action": "buy", "symbol": "LINKUSDT", "sl": "1", "tp": "1000000"})
    assert response.json().get("warnings", []) == []
    status = ended(stack.url, response)
    assert (status["status"], status.get("reason", "")) == ("executed", "")
    signal_id = response.json()["signal_id"]

    def legs() -> list[tuple[str, str]]:
        orders = stack.json("order", "list", "--signal", signal_id)["orders"]
        return sorted((o["leg"], o["state"]) for o in orders if "leg" in o)

    expected = [("BRACKET_LEG_STOP_LOSS", "ORDER_STATE_ACCEPTED"), ("BRACKET_LEG_TAKE_PROFIT", "ORDER_STATE_ACCEPTED")]
    wait_for(lambda: legs() == expected, "stop and target to rest")
    assert "stop at 1 for all that is held" in shown(stack, response)
