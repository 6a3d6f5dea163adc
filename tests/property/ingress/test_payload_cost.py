"""What the worst bodies cost: 64 KiB each, made to meet every loop, pattern and recursion that anybody can reach."""

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.payload.mapping import check_mapping, compile_mapping
from vantixs_ingress.domain.payload.redaction import redact_payload
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.spool.signal_message import field_errors, signal_message

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOKEN = "Zx9-token_of_the_webhook_0123456"
MOST = 65_536
MOST_MS = 1000  # Only what takes forever: a pattern that tries again from every character takes many seconds.


def fill(head: str, part: str, tail: str = "") -> bytes:
    """A body of 64 KiB: the part repeated between head and tail."""
    room = MOST - len(head.encode()) - len(tail.encode())
    return (head + part * (room // len(part.encode())) + tail).encode()


def numbered(template: str, joint: str = ",", head: str = "{", tail: str = "}") -> bytes:
    """A body of as many numbered parts as fit."""
    parts: list[str] = []
    size = len(head + tail)
    while size + len(template % len(parts)) + len(joint) < MOST:
        parts.append(template % len(parts))
        size += len(parts[-1].encode()) + len(joint)
    return (head + joint.join(parts) + tail).encode()


BASE = '{"action":"buy","symbol":"BTCUSDT",'
WORST = {
    "open lists": fill("", "["),
    "open objects": fill("", '{"a":'),
    "open objects in a field": fill(BASE, '"a":{'),
    "closed lists": ("[" * 32_000 + "]" * 32_000).encode(),
    "flat lists": fill(BASE + '"a":[', "[],", "0]}"),
    "flat objects": fill(BASE + '"a":[', "{},", "0]}"),
    "lists at full depth": fill(BASE + '"a":' + "[" * 29, "0,", "0" + "]" * 29 + "}"),
    "digits": fill(BASE + '"quantity":', "9", "}"),
    "digits as text": fill(BASE + '"quantity":"', "9", '"}'),
    "decimals": fill(BASE + '"price":0.', "9", "}"),
    "exponent": fill(BASE + '"price":1e', "9", "}"),
    "many numbers": fill(BASE + '"a":[', "1.5,", "1]}"),
    "many keys": numbered('"k%d":1'),
    "many keys of one nest": numbered('"k%d":1', head='{"strategy":{', tail="}}"),
    "500 unknown sizes": numbered('"qty%d":"12345678901234567890"')[:0] or json.dumps({f"myqty{n}": "1" for n in range(499)}).encode(),
    "500 wrong fields": json.dumps({f"{'_' * (n % 60)}q{'-' * (n // 60)}": "x" * 75 for n in range(499)}).encode(),
    "500 objects of wrong fields": json.dumps({"a": [{"action": "x", "n": n} for n in range(2000)]}).encode()[:MOST],
    "same key": fill("{", '"a":1,', '"a":1}'),
    "same key in pairs": fill("", "a=1\n"),
    "long key": fill('{"', "k", '":1}'),
    "long token-like value": fill(BASE + '"side":"', "a1B2", '"}'),
    "long words": fill(BASE + '"side":"', "a-", '"}'),
    "spaces": fill("", " "),
    "spaces before a key": fill("{", " ", '"a":1}'),
    "spaces before a colon": fill('{"a"', " ", ":1}"),
    "spaces in a pair": fill("A", " ", "=1"),
    "spaces in pairs": fill("", "A      \n"),
    "equals signs": fill("a", "="),
    "colons": fill("a", ":"),
    "words and colons": fill("", "a:"),
    "separators": fill("a=1", ";"),
    "letters": fill("", "a"),
    "words": fill("", "ab cd "),
    "quotes": fill("", '"'),
    "escaped quotes": fill('{"a":"', '\\"'),
    "escaped quotes, closed": fill('{"a":"', '\\"', '"}'),
    "backslashes": fill('{"a":"', "\\"),
    "unicode escapes": fill(BASE + '"comment":"', "\\u0041", '"}'),
    "half pairs": fill(BASE + '"comment":"', "\\ud800", '"}'),
    "emoji": fill(BASE + '"comment":"', "😀", '"}'),
    "emoji in UTF-16": (BASE + '"comment":"' + "😀" * 16_000 + '"}').encode("utf-16")[:MOST],
    "combining marks": fill(BASE + '"symbol2":"', "\u0301", '"}'),
    "braces in text": fill(BASE + '"comment":"', "{", '"}'),
    "placeholders": fill(BASE + '"tag":"', "{{a}}", '"}'),
    "open placeholders in a field": fill(BASE + '"side":"', "{", '"}'),
    "percents in a field": fill(BASE + '"side":"', "%a", '"}'),
    "pipes": fill('{"text":"', "|", '"}'),
    "secret names": fill("{", '"token":"x","t":', '1}'),
    "numbered secrets": numbered('"key":{"pin":"%d"}', head='{"a":[{', tail="}]}", joint="},{"),
    "secrets in text": fill("x ", "token=a "),
    "secrets in pairs": fill("x=1;", "token=a;"),
    "secret list": fill('{"token":[', "1,", "1]}"),
    "token everywhere": fill(BASE + '"a":"', TOKEN, '"}'),
    "token everywhere in text": fill("x ", TOKEN + " "),
    "commas": fill("a", ","),
    "metrics": fill(BASE + '"metrics":[', '{"name":"x"},', "0]}"),
    "targets": fill(BASE + '"targets":[', '{"price":1},', "0]}"),
    "level object": numbered('"k%d":1', head=BASE + '"stop_loss":{', tail="}}"),
    "bytes that are no text": b"\xff" * MOST,
    "NULs": b"\0" * MOST,
    "byte order mark": b"\xff\xfe" + b"\x00\xd8" * 32_000,
    "colons in a symbol": fill('{"action":"buy","symbol":"', ":", '"}'),
    "time": fill(BASE + '"timestamp":"', "1", '"}'),
}  # fmt: skip
MAPPING = SimpleNamespace(
    fields={
        "action": "signals[?side != 'x' && kind != 'y' && a != 'b'].side | [0]",
        "symbol": "signals[*].symbol | [0] || legs[].*[] | [0]",
        "quantity": "signals[?!(side == 'x') || kind > 'y'].qty[] | [0]",
        "price": "not_null(a, b, c, d, e, f, g.h.i.j.k)",
    },
    values={"action=1": "buy"},
)
MAPPED = {
    "as many items as are taken": json.dumps({"signals": [{"side": "1"}] * 80, "legs": [[{"a": [1]}]] * 20}).encode(),
    "more items": fill('{"signals":[', '{"side":"a"},', "{}]}"),
    "long items": fill('{"signals":["', "a", '"]}'),
}


def everything(body: bytes, rules: Rules) -> None:
    """All that the webhook does with a body."""
    redact_payload(body, TOKEN)
    reading = read_signal(body, rules, CATALOGUE, NOW, TOKEN)
    field_errors(reading)
    if not reading.errors:
        signal_message(reading, "s").SerializeToString()


CASES = [pytest.param(body, Rules(), id=name) for name, body in WORST.items()] + [
    pytest.param(body, Rules(mapping=compile_mapping(MAPPING)), id=f"mapped, {name}") for name, body in MAPPED.items()
]


@pytest.mark.parametrize(("body", "rules"), CASES)
def test_worst_body_is_answered_in_bounded_space(body: bytes, rules: Rules) -> None:
    assert len(body) <= MOST
    reading = read_signal(body, rules, CATALOGUE, NOW, TOKEN)
    assert len(reading.errors) + len(reading.warnings) <= 210
    assert sum(len(name) + len(text) for name, text in reading.extras.items()) <= 100 * 1100
    assert all(len(e.field) <= 200 and len(e.detail) <= 1000 for e in [*reading.errors, *reading.warnings])
    assert len(redact_payload(body, TOKEN)) <= 3 * MOST


def test_mapping_of_the_table_is_one_that_is_taken() -> None:
    assert check_mapping(MAPPING) == []


def test_expressions_that_multiply_are_refused() -> None:
    for text in (
        "[@,@][]|[@,@][]",
        "map(&[@,@], a)",
        "join('', [a, a])",
        "{a: a, b: a}",
        "to_string(@)",
        "a" * 201,
        "sort_by(a, &b)",
    ):
        errors = check_mapping(SimpleNamespace(fields={"action": "a", "symbol": text}, values={}))
        assert [e.field for e in errors] == ["mapping.fields.symbol"], text


@pytest.mark.long
def test_worst_body_is_read_in_bounded_time() -> None:
    costs = []
    for case in CASES:
        body, rules = case.values
        runs = []
        for _ in range(3):
            started = time.process_time()
            everything(body, rules)
            runs.append((time.process_time() - started) * 1000)
        costs.append((min(runs), case.id))
    for cost, name in sorted(costs, reverse=True)[:12]:
        print(f"{cost:8.2f} ms  {name}")
    assert max(costs)[0] < MOST_MS
