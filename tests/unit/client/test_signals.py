"""Waiting for signals, watching them over interruptions, and sending them."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from vantixs import client as library
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.errors import not_found, unavailable

AWAY = grpc.StatusCode.UNAVAILABLE
Summary = audit_pb2.SignalSummary


def shown(status: str) -> audit_pb2.GetSignalResponse:
    value = common_pb2.SignalStatus.Value(f"SIGNAL_STATUS_{status}")
    return audit_pb2.GetSignalResponse(signal=Summary(signal_id="s", status=value, reason="WHY"))


def test_wait_returns_the_end_of_a_signal_that_history_does_not_have_yet(rig: Any) -> None:
    waiting = rig.begin(rig.client.signals.wait, "s")
    rig.refuse("GetSignal", not_found("signal", "s"))
    rig.answer("GetSignal", shown("ACCEPTED"))
    rig.answer("GetSignal", shown("REJECTED"))
    assert waiting.result().signal.reason == "WHY"


def test_wait_is_over_when_its_time_is(rig: Any) -> None:
    waiting = rig.begin(rig.client.signals.wait, "s", timeout_s=1.0)
    looks = 0
    while not waiting.done():
        _, _, call = rig.take("GetSignal")
        looks += 1
        ending = 1 - rig.time.time() < 0.5
        if ending:
            rig.time.sleep_for(1)
        call.terminate(shown("ACCEPTED"), (), grpc.StatusCode.OK, "")
        if ending:
            break
    error = waiting.exception()
    assert isinstance(error, library.DeadlineExceeded)
    assert (error.reason, error.service) == ("SIGNAL_NOT_ENDED", "audit")
    assert looks > 1
    assert max(rig.timeouts) <= 1


def test_filter_is_sent_as_it_was_given(rig: Any) -> None:
    since = datetime(2026, 11, 27, tzinfo=UTC)
    found = rig.begin(list, rig.client.signals.list(status="executed", webhook_id="demo", since=since))
    asked = rig.answer("ListSignals", audit_pb2.ListSignalsResponse(signals=[Summary(signal_id="s")]))
    assert [item.signal_id for item in found.result()] == ["s"]
    assert asked.filter.status == common_pb2.SIGNAL_STATUS_EXECUTED
    assert (asked.filter.webhook_id, asked.filter.since.ToDatetime(UTC)) == ("demo", since)
    assert not asked.filter.HasField("until")


def test_filter_that_cannot_be_meant_is_refused_here(rig: Any) -> None:
    with pytest.raises(ValueError, match="status: expected one of accepted, executed"):
        next(rig.client.signals.list(status="done"))
    with pytest.raises(ValueError, match="since: expected a time with its zone"):
        next(rig.client.signals.list(since=datetime(2026, 11, 27)))  # noqa: DTZ001


def change(signal_id: str, sequence: int) -> audit_pb2.WatchSignalsResponse:
    return audit_pb2.WatchSignalsResponse(signal=Summary(signal_id=signal_id, sequence=sequence), sequence=sequence)


def heartbeat(sequence: int) -> audit_pb2.WatchSignalsResponse:
    return audit_pb2.WatchSignalsResponse(sequence=sequence)


def heard(request: Any, sequence: int) -> None:
    """Waits until the client, whose own message the request is, took note of the sequence."""
    deadline = time.monotonic() + 20
    while request.after_sequence != sequence:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_watch_goes_on_after_the_sequence_up_to_which_it_was_told(rig: Any) -> None:
    watch = rig.client.signals.watch(webhook_id="demo")

    def following() -> Any:
        return rig.begin(lambda: (item := next(watch)).signal_id + str(item.sequence))

    first = following()
    request, stream = rig.take_watch()
    assert (request.filter.webhook_id, request.after_sequence) == ("demo", 0)
    assert request.heartbeat_s > 0
    stream.send_response(heartbeat(7))
    heard(request, 7)
    # Nothing was told but where history is: that suffices to go on.
    rig.end(stream, AWAY, stream=True)
    request, stream = rig.take_watch()
    assert request.after_sequence == 7
    stream.send_response(change("a", 8))
    assert first.result() == "a8"
    second = following()
    stream.send_response(heartbeat(20))
    heard(request, 20)
    rig.end(stream, unavailable("WATCH_TOO_SLOW", "slow"), stream=True)
    request, stream = rig.take_watch()
    assert (request.filter.webhook_id, request.after_sequence) == ("demo", 20)
    stream.send_response(change("b", 21))
    assert second.result() == "b21"
    watch.close()


def test_watch_resumes_where_a_program_before_ended(rig: Any) -> None:
    watch = rig.client.signals.watch(resume=12)
    first = rig.begin(next, watch)
    request, stream = rig.take_watch()
    assert request.after_sequence == 12
    stream.send_response(change("a", 13))
    assert first.result().sequence == 13
    watch.close()


def test_watch_ends_where_audit_stays_away(rig: Any) -> None:
    watching = rig.begin(next, rig.client.signals.watch(away_s=5.0))
    for _ in range(2):
        assert not watching.done()
        _, stream = rig.take_watch()
        rig.time.sleep_for(6)
        rig.end(stream, AWAY, stream=True)
    assert isinstance(watching.exception(), library.ServiceUnavailable)


def test_watch_ends_where_it_is_not_permitted(rig: Any) -> None:
    watching = rig.begin(next, rig.client.signals.watch())
    _, stream = rig.take_watch()
    rig.end(stream, grpc.StatusCode.PERMISSION_DENIED, stream=True)
    assert isinstance(watching.exception(), library.NotPermitted)


class Ingress(ThreadingHTTPServer):
    """Answers as it is told, in turn; None closes the connection without an answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, Any] | None] = []
        self.asked: list[tuple[str, dict[str, str], Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Ingress

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers, body))
        if (answer := self.server.answers.pop(0)) is None:
            self.close_connection = True
            return
        content = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def ingress(rig: Any) -> Iterator[Ingress]:
    server = Ingress()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    rig.http = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


TAKEN = (202, {"signal_id": "s", "duplicate": False, "warnings": [{"field": "x"}]})


def test_signal_is_sent_until_it_is_answered_with_one_key(rig: Any, ingress: Ingress) -> None:
    ingress.answers = [None, (503, {"reason": "STORAGE_UNAVAILABLE"}), TAKEN]
    sent = rig.client.signals.send({"action": "buy"}, token="t")
    assert (sent.signal_id, sent.duplicate, sent.warnings) == ("s", False, [{"field": "x"}])
    assert len(ingress.asked) == 3
    assert {path for path, _, _ in ingress.asked} == {"/hooks/demo"}, "the token is in no path"
    assert len({headers["webhook-id"] for _, headers, _ in ingress.asked}) == 1
    assert ingress.asked[0][1]["x-webhook-token"] == "t"


@pytest.mark.parametrize(
    ("payload", "key", "header", "generated"),
    [
        ({"action": "buy", "idempotency_key": "mine"}, "", None, False),
        ({"action": "buy", "idempotency_key": "mine"}, "mine", "mine", False),
        ({"action": "buy", "idempotency_key": ""}, "", None, True),
        ({"action": "buy", "Nonce": "mine"}, "", None, True),
        ({"action": "buy", "order": {"nonce": "mine"}}, "", None, True),
        ({"action": "buy"}, "given", "given", False),
    ],
)
def test_key_of_the_sender_is_kept(
    payload: Any, key: str, header: str | None, generated: bool, rig: Any, ingress: Ingress
) -> None:
    ingress.answers = [(200, {"signal_id": "first", "duplicate": True})]
    assert rig.client.signals.send(payload, token="t", key=key) == library.Sent("first", True, [])
    assert ingress.asked[0][1].get("idempotency-key") == header
    assert (ingress.asked[0][1].get("webhook-id", "mine") == "mine") == (not generated)
    assert ingress.asked[0][2] == payload


def test_refused_signal_says_why_and_is_not_sent_again(rig: Any, ingress: Ingress) -> None:
    problem = {"reason": "FIELD_MISSING", "detail": "no", "errors": [{"field": "symbol"}], "signal_id": "s"}
    ingress.answers = [(422, problem)]
    with pytest.raises(library.SignalRejected) as caught:
        rig.client.signals.send({"action": "buy"}, token="t")
    error = caught.value
    assert (error.reason, error.detail, error.field) == ("FIELD_MISSING", "no", "symbol")
    assert (error.signal_id, error.status) == ("s", 422)


@pytest.mark.parametrize("answer", [(302, b""), (200, b"<html>"), (404, [1])])
def test_answer_of_another_server_is_no_signal(answer: Any, rig: Any, ingress: Ingress) -> None:
    ingress.answers = [answer]
    with pytest.raises(library.SignalRejected, match=f"HTTP_{answer[0]}"):
        rig.client.signals.send({}, token="t")
    assert len(ingress.asked) == 1


def test_no_answer_in_time_says_with_which_key_to_send_again(rig: Any, ingress: Ingress) -> None:
    ingress.answers = [None] * 100
    with pytest.raises(library.ServiceUnavailable) as caught:
        rig.client.signals.send({}, token="t", timeout_s=2.0)
    assert caught.value.request_id == ingress.asked[0][1]["webhook-id"]
    assert rig.time.time() <= 2


def test_payload_with_a_key_is_sent_again_with_that_key(rig: Any, ingress: Ingress) -> None:
    ingress.answers = [None] * 100
    with pytest.raises(library.ServiceUnavailable) as caught:
        rig.client.signals.send({"idempotency_key": 17}, token="t", timeout_s=2.0)
    assert caught.value.request_id == "17"
    ingress.answers = [TAKEN]
    rig.client.signals.send({"idempotency_key": 17}, token="t", key=caught.value.request_id)
    assert ingress.asked[-1][1]["idempotency-key"] == "17"


def test_send_without_an_address_or_a_token_is_refused_here(rig: Any) -> None:
    with pytest.raises(ValueError, match="expected the address of ingress"):
        rig.client.signals.send({}, token="t")
    rig.http = "http://127.0.0.1:1"
    with pytest.raises(ValueError, match="expected the token of webhook 'demo'"):
        rig.client.signals.send({})


def test_export_says_of_which_signals_entries_are_not_kept(rig: Any) -> None:
    exporting = rig.begin(lambda: [one.entries_not_kept for one in rig.client.signals.export(timeline=True)])
    request, stream = rig.take_stream("ExportSignals")
    assert request.timeline
    for lost in (True, False):
        stream.send_response(audit_pb2.ExportSignalsResponse(entries_not_kept=lost))
    stream.terminate((), grpc.StatusCode.OK, "")
    assert exporting.result() == [True, False]
