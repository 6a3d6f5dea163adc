"""A journal that fills up: readiness warns, entries are refused in time, exits pass, and audit makes room again."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

pytestmark = pytest.mark.timeout(400)
LIMIT = 400_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A system with a small journal, and few entries a minute for webhooks that have no limit of their own: not for `demo`."""
    home = tmp_path_factory.mktemp("small") / "home"
    settings = {"VANTIXS_JOURNAL_MAX_BYTES": str(LIMIT), "VANTIXS_INGRESS_ENTRIES_PER_MINUTE": "3"}
    running = RunningStack(home, **settings).start()
    running.json("webhook", "update", "demo", "--rate-limit-per-minute", "100000")
    yield running
    assert running.stop() == 0


def journal_bytes(stack: RunningStack) -> tuple[int, int]:
    journal = stack.json("journal", "show")["journal"]
    return int(journal["size_bytes"]), int(journal["limit_bytes"])


def has_room(stack: RunningStack) -> bool:
    """Whether the journal is at most half full, which audit brings about, and ingress has seen it."""
    ready = httpx.get(f"{stack.endpoints['http']}/readyz", verify=False)
    size, limit = journal_bytes(stack)
    return size <= limit // 2 and bool(ready.json()["dependencies"]["journal-space"]["ok"])


def buy(stack: RunningStack, key: str) -> httpx.Response:
    body = {"action": "buy", "symbol": "LTCUSDT", "comment": "x" * 2000, "idempotency_key": key}
    return stack.send(body)


def fill(stack: RunningStack) -> tuple[list[str], httpx.Response]:
    """Sends entries until one is refused; returns those accepted, and the refusal."""
    accepted = []
    for number in range(500):
        answer = buy(stack, f"fill-{number}")
        if answer.status_code != 202:
            return accepted, answer
        accepted.append(answer.json()["signal_id"])
    pytest.fail(f"500 entries were accepted: {journal_bytes(stack)}")


def test_full_journal_refuses_entries_lets_exits_out_and_is_made_room_in(small: RunningStack) -> None:
    stack = small
    wait_for(lambda: journal_bytes(stack)[1] == LIMIT, "audit to set the limit")
    page = httpx.get(json.loads((stack.home / "run" / "audit-0.json").read_text())["metrics"]).text
    assert f"vantixs_journal_limit_bytes {float(LIMIT):g}"[:25] in page
    for name in ("vantixs_journal_bytes", "vantixs_journal_used_ratio", "vantixs_journal_oldest_age_seconds"):
        assert f"\n{name} " in page
    os.kill(stack.pid("audit"), signal.SIGSTOP)
    try:
        accepted, refused = fill(stack)
        assert len(accepted) > 20
        assert (refused.status_code, refused.json()["reason"]) == (503, "STORAGE_UNAVAILABLE")
        assert "journal is nearly full" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) > 0
        exits = [
            stack.send({"action": "close", "symbol": "LTCUSDT", "idempotency_key": "exit-1"}),
            stack.send({"action": "sell", "target_position": "flat", "symbol": "LTCUSDT", "idempotency_key": "exit-2"}),
        ]
        # More than the journal has room for: they wait in the spool.
        more = {"action": "close", "symbol": "LTCUSDT", "comment": "x" * 2000}
        exits += [stack.send({**more, "idempotency_key": f"exit-{number}"}) for number in range(3, 60)]
        assert {answer.status_code for answer in exits} == {202}

        def warned() -> bool:
            ready = httpx.get(f"{stack.endpoints['http']}/readyz", verify=False)
            space = ready.json()["dependencies"]["journal-space"]
            return ready.status_code == 200 and not space["ok"] and "VANTIXS_JOURNAL_MAX_BYTES" in space["detail"]

        wait_for(warned, "readiness to warn")
    finally:
        os.kill(stack.pid("audit"), signal.SIGCONT)
    wait_for(lambda: buy(stack, "after").status_code == 202, "audit to make room")
    exits_ids = [answer.json()["signal_id"] for answer in exits]
    ended = stack.ended([*accepted, *exits_ids])
    # The exit came behind every entry that was accepted before it, and closed what they opened.
    assert ended[exits_ids[0]]["status"] == "SIGNAL_STATUS_EXECUTED"
    bought = sum(float(ended[i]["filled_quantity"]) for i in accepted if ended[i].get("filled_quantity"))
    assert float(ended[exits_ids[0]]["filled_quantity"]) == pytest.approx(-bought)
    check_promises(stack, [*accepted, *exits_ids])


@pytest.mark.long
def test_limit_is_raised_by_its_setting_and_history_outlives_what_is_purged(tmp_path: Path) -> None:
    small = RunningStack(
        tmp_path / "home", VANTIXS_JOURNAL_MAX_BYTES=str(LIMIT), VANTIXS_AUDIT_JOURNAL_KEEP_BYTES="20000"
    ).start()
    wait_for(lambda: journal_bytes(small)[1] == LIMIT, "audit to set the limit")
    accepted = [buy(small, f"many-{number}").json()["signal_id"] for number in range(40)]
    small.ended(accepted)
    wait_for(
        lambda: int(small.json("journal", "show")["journal"]["first_sequence"]) > 1, "the oldest messages to be purged"
    )
    assert set(accepted) <= set(small.signals())
    assert small.stop() == 0
    raised = RunningStack(tmp_path / "home", VANTIXS_JOURNAL_MAX_BYTES=str(10 * LIMIT)).start()
    wait_for(lambda: journal_bytes(raised)[1] == 10 * LIMIT, "audit to set the limit")
    assert raised.run("status").returncode == 0
    assert raised.stop() == 0


def test_refused_body_is_kept_cut_and_its_hash_whole(small: RunningStack) -> None:
    import base64
    import hashlib

    body = json.dumps({"action": "buy", "symbol": "NOSUCHSYMBOL", "comment": "ä" * 20_000}, ensure_ascii=False).encode()
    answer = small.send(body)
    assert answer.status_code == 422
    signal_id = answer.json()["signal_id"]
    (entry,) = wait_for(lambda: signal_id in small.signals() and small.timelines_of([signal_id])[signal_id], "history")
    request = entry["entry"]["signal_rejected"]["request"]
    kept = base64.b64decode(request["payload"])
    assert len(kept) < 4200
    assert kept.decode().endswith(" bytes]")
    assert base64.b64decode(request["payload_sha256"]) == hashlib.sha256(body).digest()


def test_entries_of_a_webhook_are_limited_and_exits_are_exempt(small: RunningStack) -> None:
    # An earlier test may have left the journal nearly full, where every entry is refused.
    wait_for(lambda: has_room(small), "audit to make room")
    made = small.json("webhook", "create", "--account-id", "paper", "--webhook-id", "limited")
    url = f"{small.endpoints['http']}/hooks/limited/{made['token']}"

    def send(action: str, key: str) -> httpx.Response:
        return small.send({"action": action, "symbol": "SOLUSDT", "idempotency_key": key}, url)

    answers = [send("buy", f"limited-{number}") for number in range(5)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
    assert answers[-1].json()["reason"] == "RATE_LIMITED"
    assert int(answers[-1].headers["retry-after"]) > 0
    exits = [send("close", f"out-{number}") for number in range(5)]
    assert {answer.status_code for answer in exits} == {202}
    # A webhook with a limit of its own goes by that.
    small.json("webhook", "update", "limited", "--rate-limit-per-minute", "1000")
    wait_for(lambda: send("buy", "own-limit").status_code == 202, "the webhook's own limit to hold")
    assert send("buy", "own-limit-2").status_code == 202
