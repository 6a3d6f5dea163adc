"""A spool at its limit: 503 and nothing stored, then recovery."""

import os
import signal
from collections.abc import Iterator

import pytest
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A system with a small spool."""
    home = tmp_path_factory.mktemp("storage") / "home"
    running = RunningStack(home, VANTIXS_INGRESS_SPOOL_MAX_BYTES=str(150_000)).start()
    yield running
    assert running.stop() == 0


def test_full_spool_answers_503_and_loses_nothing_it_accepted(stack: RunningStack) -> None:
    accepted, refused = [], []
    os.kill(stack.pid("nats"), signal.SIGSTOP)
    try:
        number = 0
        while len(refused) < 3:
            number += 1
            assert number < 2000
            body = {"action": "buy", "symbol": "LTCUSDT", "comment": "x" * 900, "idempotency_key": f"full-{number}"}
            answer = stack.send(body)
            if answer.status_code == 202:
                accepted.append(answer.json()["signal_id"])
            else:
                assert (answer.status_code, answer.json()["reason"]) == (503, "STORAGE_UNAVAILABLE")
                assert int(answer.headers["retry-after"]) > 0
                refused.append(body)
    finally:
        os.kill(stack.pid("nats"), signal.SIGCONT)
    assert accepted
    wait_for(lambda: stack.send(refused[0]).status_code == 202, "ingress to take signals again")
    check_promises(stack, accepted)
    assert len(stack.signals()) == len(accepted) + 1


def test_busy_port_is_one_line_and_exit_code_2(stack: RunningStack) -> None:
    port = stack.endpoints["http"].rpartition(":")[2]
    done = stack.run("up", "--http-port", port)
    assert done.returncode == 2
    assert "runs here already" in done.stderr
