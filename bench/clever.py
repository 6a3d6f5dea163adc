"""What each clever thing on a signal's path saves: CPU of it and of its plain form, each alone, a signal.

A path costs what `bench/paths.py` prints. What saves little of its path is the plain form in the code (ADR 46).
"""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.common.v1 import order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.timestamps import timestamp
from vantixs_ingress.domain.payload import redaction
from vantixs_ingress.spool.entries import WebhookRecord, accepted_message, make_received, sender_part
from vantixs_risk.domain.check import Check, CheckResult
from vantixs_risk.wire import encode_rows

REPEATS, ROUNDS = 3_000, 7
NOW = datetime(2026, 11, 27, 12, 0, 0, 123456, tzinfo=UTC)
PAYLOAD = b'{"action": "buy", "symbol": "BTCUSDT", "comment": "bench 4711"}'
DIGEST = b"d" * 32
SENDER = ("127.0.0.1", "application/json", "path", "abcdef12", "0", "", "t1")
WEBHOOK = webhook_pb2.Webhook(webhook_id="demo", account_id="paper", enabled=True, dedupe_window_s=20, mode=1)
RECORD = WebhookRecord(WEBHOOK)
SIGNAL = signal_pb2.Signal(signal_id="s" * 27, symbol="BTCUSDT", instrument="BTC/USDT", comment="bench 4711")
CHECKS = [
    Check(f"CHECK_{number}", CheckResult(True, "", {"value": f"{number}.25", "limit": "10000"}, "10000"))
    for number in range(20)
]


def cost(work: Callable[[], object]) -> float:
    """Microseconds of CPU."""
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REPEATS):
            work()
        found.append((time.process_time() - started) / REPEATS * 1e6)
    return statistics.median(found)


def plain_timestamp() -> Timestamp:
    made = Timestamp()
    made.FromDatetime(NOW)
    return made


def entry_of_parts() -> bytes:
    received = make_received(NOW, PAYLOAD, DIGEST, sender_part(*SENDER))
    return accepted_message(RECORD, received, SIGNAL, "", fingerprint=DIGEST).payload


def entry_of_objects() -> bytes:
    address, kind, proof, fingerprint, instance, certificate, credential = SENDER
    request = signal_pb2.ReceivedRequest(
        payload=PAYLOAD,
        payload_sha256=DIGEST,
        receive_time=plain_timestamp(),
        source_address=address,
        content_type=kind,
        proof=proof,
        token_fingerprint=fingerprint,
        instance=instance,
        client_certificate=certificate,
        credential_id=credential,
    )
    accepted = journal_pb2.SignalAccepted(signal=SIGNAL, request=request, webhook=WEBHOOK, fingerprint=DIGEST)
    entry = journal_pb2.JournalEntry(
        event_id=f"{SIGNAL.signal_id}:accepted",
        event_time=request.receive_time,
        signal_id=SIGNAL.signal_id,
        actor="webhook:demo",
        signal_accepted=accepted,
    )
    return journal_pb2.JournalBatch(entries=[entry]).SerializeToString()


def plain_checks() -> bytes:
    """As messages."""
    rows = [
        order_pb2.RiskCheck(
            reason=check.reason,
            passed=check.passed,
            inputs=[order_pb2.Input(name=name, value=value) for name, value in check.inputs.items()],
            limit=check.limit,
            detail=check.detail,
        )
        for check in CHECKS
    ]
    return order_pb2.RiskDecision(checks=rows).SerializeToString()


def plain_shapes() -> bool:
    """The pattern, without looking for what each of its matches holds first; twice, for the body and the comment."""
    text = PAYLOAD.decode()
    return redaction._SHAPES.search(text) is not None or redaction._SHAPES.search("bench 4711") is not None


def marked_shapes() -> bool:
    return redaction.may_hold_shape(PAYLOAD.decode()) or redaction.may_hold_shape("bench 4711")


LONG = '{"action": "buy", "comment": "' + "lorem ipsum dolor 12.5 sit amet " * 125 + '"}'


def plain_inside() -> bool:
    return redaction._INSIDE.search(PAYLOAD.decode()) is not None or redaction._INSIDE.search("bench 4711") is not None


def marked_inside() -> bool:
    return redaction.may_name_secret(PAYLOAD.decode()) or redaction.may_name_secret("bench 4711")


PAIRS: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
    ("timestamp(): a time as a message", lambda: timestamp(NOW), plain_timestamp),
    ("accepted entry: serialized parts", entry_of_parts, entry_of_objects),
    ("redaction: marks before _SHAPES", marked_shapes, plain_shapes),
    ("redaction: marks before _SHAPES, 4 KB", lambda: redaction.may_hold_shape(LONG), lambda: redaction._SHAPES.search(LONG)),
    ("redaction: names before _INSIDE", marked_inside, plain_inside),
    ("risk wire.encode_rows, 20 checks", lambda: encode_rows(CHECKS, {}), plain_checks),
]  # fmt: skip


def main() -> None:
    """Prints the table."""
    for name, clever, plain in PAIRS:
        with_it, without = cost(clever), cost(plain)
        print(
            f"{name:<44} {with_it:>7.1f} us, plain {without:>7.1f} us, saves {without - with_it:>7.1f} us", flush=True
        )


if __name__ == "__main__":
    main()
