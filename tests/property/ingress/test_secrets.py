"""Secrets of any naming, in every form a body may have: none of them is kept, shown or answered."""

import json
import string
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.common.v1 import common_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.http_messages import Request
from vantixs_ingress.domain.payload import redaction
from vantixs_ingress.domain.payload.decode import read_body
from vantixs_ingress.domain.payload.mapping import CompiledMapping, compile_mapping
from vantixs_ingress.domain.payload.redaction import redact_payload
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.http.authentication import Sender
from vantixs_ingress.http.build_entry import record_request
from vantixs_ingress.spool.signal_message import signal_message

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper")
STEMS = (
    "token", "secret", "pass", "passphrase", "pwd", "key", "auth", "session", "credential", "signature", "bearer", "cookie",
    "jwt", "hmac", "license",
)  # fmt: skip
FRONT = ("", "api", "my", "bot", "exchange", "client", "user", "webhook", "telegram", "access", "x")
BEHIND = ("", "id", "value", "hash", "2", "string")


def written(front: str, stem: str, behind: str, style: int) -> str:
    parts = [part for part in (front, stem, behind) if part]
    return (
        "_".join(parts), parts[0] + "".join(p.title() for p in parts[1:]), "-".join(parts).upper(), "".join(parts)
    )[style]  # fmt: skip


NAMES = st.builds(written, st.sampled_from(FRONT), st.sampled_from(STEMS), st.sampled_from(BEHIND), st.integers(0, 3))
SECRETS = st.text(string.ascii_letters + string.digits, min_size=10, max_size=30).map(lambda text: f"Cnry{text}")
BASE = {"action": "buy", "symbol": "BTCUSDT"}
FORMS = {
    "top": lambda n, s: json.dumps(BASE | {n: s}),
    "nested": lambda n, s: json.dumps(BASE | {"order": {"meta": [{"deep": {n: s}}]}}),
    "list": lambda n, s: json.dumps(BASE | {n: [s, {"a": s}]}),
    "json in a text": lambda n, s: json.dumps(BASE | {"payload": json.dumps({n: s})}),
    "comment": lambda n, s: json.dumps(BASE | {"comment": f"sent with {n}={s} by me"}),
    "comment with a colon": lambda n, s: json.dumps(BASE | {"note": f"{n}: {s}, thanks"}),
    "name and value": lambda n, s: json.dumps(BASE | {"headers": [{"name": n, "value": s}]}),
    "value and key": lambda n, s: json.dumps(BASE | {"params": {"x": [{"value": s, "key": n}]}}),
    "lines": lambda n, s: f"ACTION=BUY\nSYMBOL=BTCUSDT\n{n}={s}\nX=1",
    "semicolons": lambda n, s: f"action=buy;symbol=BTCUSDT;{n}={s};x=1",
    "commas": lambda n, s: f"action=buy,symbol=BTCUSDT,{n}={s},x=1",
    "form": lambda n, s: f"action=buy&symbol=BTCUSDT&{n}={s}&x=1",
    "encoded form": lambda n, s: f"action=buy&symbol=BTCUSDT&{''.join(f'%{ord(c):02X}' for c in n)}={quote(s)}&x=1",
    "text in a form": lambda n, s: f"action=buy&symbol=BTCUSDT&comment={quote(f'x&{n}={s}')}&x=1",
    "text in a form and a line's end": lambda n, s: f"action=buy&symbol=BTCUSDT&comment={quote(f'{n}: {s}')}\n",
    "symbol": lambda n, s: json.dumps({"action": "buy", "symbol": f"{n}={s}"}),
    "symbol with a colon": lambda n, s: json.dumps({"action": "buy", "symbol": f"{n}: {s}"}),
    "symbol of two halves": lambda n, s: json.dumps({"action": "buy", "base": f"{n}={s}", "quote": "USDT"}),
    "symbol that is JSON": lambda n, s: json.dumps({"action": "buy", "symbol": json.dumps({n: s})[:64]}),
    "xml": lambda n, s: f"<alert><action>buy</action><{n}>{s}</{n}></alert>",
    "xml attribute": lambda n, s: f'<alert action="buy" {n}="{s}"/>',
    "prose": lambda n, s: f"please buy BTCUSDT, the {n} is {s} as agreed",
    "prose with an arrow": lambda n, s: f"buy BTCUSDT {n} -> {s} now",
    "arrow without spaces": lambda n, s: json.dumps(BASE | {"comment": f"{n}->{s}"}),
    "broken json": lambda n, s: f'{{"action": "buy", "{n}": "{s}",}}',
    "single quotes": lambda n, s: f"{{'action': 'buy', '{n}': '{s}'}}",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@given(NAMES, SECRETS)
def test_secret_is_kept_nowhere(form: str, name: str, secret: str) -> None:
    kept_nowhere(FORMS[form](name, secret), secret)


SHAPES = (
    "vxt_0123456789abcdefghijABCDEFGHIJ", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "ghp_0123456789abcdefghij0123",
    "xoxb-123456789012-abcdefghij", "sk_live_0123456789abcdef", "AKIAIOSFODNN7EXAMPLE", "123456789:AAE-abcdefghijklmnopqrstuvwxyz01234",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "glpat-0123456789abcdefghij",
    "sk-proj-0123456789abcdefghij0123", "hf_0123456789abcdefghij0123", "0x" + "0123456789abcdef" * 4,
    "Basic dXNlcjpwYXNzd29yZC1vZi1taW5l", "-----BEGIN EC PRIVATE KEY-----MHcCAQEE-----END EC PRIVATE KEY-----",
)  # fmt: skip


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("place", ["comment", "note", "prose", "url", "xml", "symbol", "exchange", "form", "form name"])
def test_token_of_a_well_known_shape_is_kept_nowhere(secret: str, place: str) -> None:
    body = {
        "comment": json.dumps(BASE | {"comment": f"via {secret} ok"}),
        "note": json.dumps(BASE | {"a": [{"note": secret}]}),
        "prose": f"buy BTCUSDT with {secret}",
        "url": json.dumps(BASE | {"callback": f"http://127.0.0.1/x?{secret}"}),
        "xml": f"<a><b>{secret}</b></a>",
        "symbol": json.dumps({"action": "buy", "symbol": secret}),
        "exchange": json.dumps({"action": "buy", "symbol": f"{secret}:BTCUSDT"}),
        "form": f"action=buy&symbol=BTCUSDT&note={quote(f'via {secret}').replace('_', '%5F')}",
        "form name": f"action=buy&symbol=BTCUSDT&{quote(secret, safe='').replace('_', '%5F')}=1",
    }[place]
    kept_nowhere(body, secret)


URLS = (
    "https://me:s3cretWord@host/x",
    "https://hooks.slack.com/services/T0/B0/s3cretWord",
    "smtp://x:s3cretWord@mail:25",
)


@pytest.mark.parametrize("url", URLS)
def test_secret_within_a_url_is_kept_nowhere(url: str) -> None:
    for body in (json.dumps(BASE | {"callback": url}), json.dumps(BASE | {"comment": f"to {url} now"}), f"buy {url}"):
        kept_nowhere(body, "s3cretWord")


WORDS = "abandon ability able about above absent absorb abstract absurd abuse access accident"


@pytest.mark.parametrize("name", ["seed phrase", "mnemonic", "recovery words", "seed"])
def test_words_of_a_wallet_are_kept_nowhere(name: str) -> None:
    for text in (f"my {name} is {WORDS} ok", f"{name}: {WORDS.replace(' ', ', ')}", f"{name} -> {WORDS}"):
        for body in (text, json.dumps(BASE | {"comment": text}), json.dumps(BASE | {"note": [text]})):
            for word in WORDS.split():
                kept_nowhere(body, word)


KEYS = ("vxt_0123456789abcdefghijABCDEFGHIJ", "api_key=s3cretWord-1", "sk_live_0123456789abcdef")


@pytest.mark.parametrize("key", KEYS)
def test_secret_in_an_idempotency_key_or_a_field_name_is_kept_nowhere(key: str) -> None:
    for name in ("idempotency_key", "signal_id"):
        reading = read_signal(json.dumps(BASE | {name: key}).encode(), RULES, CATALOGUE, NOW)
        assert reading.values["idempotency_key" if name == "idempotency_key" else "sender_reference"] == key
        assert key.encode() not in signal_message(reading, "s").SerializeToString()
    kept_nowhere(json.dumps(BASE | {key: "x"}), key.rpartition("=")[2])
    kept_nowhere(f"buy BTCUSDT with {key} = x", key.rpartition("=")[2])


MAPPED = compile_mapping(SimpleNamespace(fields={"action": "a", "symbol": "s || x.secret", "token": "t"}, values={}))


@pytest.mark.parametrize(
    ("body", "mapping"),
    [
        ({"action": "buy", "symbol": "s3cretWord", "secret": "s3cretWord"}, None),
        ({"action": "buy", "symbol": "s3cretWord", "my": [{"bot_token": "s3cretWord"}]}, None),
        ({"action": "buy", "symbol": "s3cretWord", "x": [{"name": "api_key", "value": "s3cretWord"}]}, None),
        ({"a": "buy", "s": "s3cretWord", "secret": "s3cretWord", "t": "another-token"}, MAPPED),
        ({"a": "buy", "x": {"secret": "s3cretWord"}}, MAPPED),
    ],
)
def test_symbol_that_repeats_a_secret_field_is_not_shown(
    body: dict[str, object], mapping: CompiledMapping | None
) -> None:
    rules = Rules(account_id="paper", mapping=mapping)
    reading = read_signal(json.dumps(body).encode(), rules, CATALOGUE, NOW)
    assert reading.reason == "SYMBOL_UNSUPPORTED"
    assert "s3cretWord" not in repr((reading.values, reading.errors, reading.warnings))


def test_symbol_of_an_exit_is_kept_if_a_field_that_it_does_not_need_is_wrong() -> None:
    body = {"action": "close", "symbol": "BTCUSDT", "my": [{"bot_token": "USDT"}], "quantity": "some"}
    reading = read_signal(json.dumps(body).encode(), RULES, CATALOGUE, NOW)
    assert (reading.errors, reading.values["symbol"]) == ([], "BTCUSDT")
    assert [warning.field for warning in reading.warnings] == ["quantity"]


def test_secret_that_contains_the_token_is_hidden_whole() -> None:
    token = "0123456789abcdef0123"
    secret = f"Cnry{token}Word"
    body = json.dumps({"action": "buy", "symbol": secret, "secret": secret, "comment": f"via {secret}"}).encode()
    sender = Sender(cast("Any", SimpleNamespace(seals=False)), RULES, "path", "t1", "127.0.0.1", "", None, token=token)
    received = record_request(sender, Request("POST", "/", {}, body, ""), 65_536, "1", NOW)
    reading = read_signal(body, RULES, CATALOGUE, NOW, token)
    assert reading.reason == "SYMBOL_UNSUPPORTED"
    for told in (repr(received), repr((reading.values, reading.errors))):
        assert "Cnry" not in told
        assert "Word" not in told


@given(st.dictionaries(st.sampled_from(["action", "side", "signal", "message", "type", "order"]), st.text()))
def test_action_is_a_word_of_ours_or_absent(body: dict[str, str]) -> None:
    """So it is recorded with a rejection as it is."""
    reading = read_signal(json.dumps({"symbol": "BTCUSDT"} | body).encode(), RULES, CATALOGUE, NOW)
    assert f"ACTION_{reading.values.get('action', 'UNSPECIFIED')}" in common_pb2.Action.keys()  # noqa: SIM118 - an enum


@pytest.mark.parametrize("text", ["a=b%20c&d=+e", "a=1&&b=%26", "a=b%20c\n", "x=%", "a=b=c&d=%zz"])
def test_form_without_a_secret_is_kept_as_it_was_sent(text: str) -> None:
    assert redact_payload(text.encode()) == text.encode()


@pytest.mark.parametrize("form", ["comment={}", "a=1&&comment={}&", "x=a=b&comment={}", "a=1&comment={} "])
def test_secret_is_redacted_in_what_is_not_quite_a_form(form: str) -> None:
    for text in ("secret=s3cretWord", "Bearer s3cretWord", "Bearer+s3cretWord"):
        assert b"s3cretWord" not in redact_payload(form.format(quote(text, safe="+")).encode())


def test_form_with_more_fields_than_are_read_is_redacted_too() -> None:
    text = f"{'a=%20&' * 600}note=ghp%5F0123456789abcdefghij0123&%73ecret=s3cretWord"
    kept_nowhere(text, "0123456789abcdefghij0123")
    kept_nowhere(text, "s3cretWord")


NO_SECRETS = (
    "signal: buy now", "the signal is long", "basic cryptocurrency", "https://a.b/c:d@e", "seeding is done", "price: 100",
    "spinning: yes", "config: fast", "0x1234", "topwatch is on",
)  # fmt: skip


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert redact_payload(json.dumps(BASE | {"comment": text}).encode()).decode() == json.dumps(
        BASE | {"comment": text}
    )


def kept_nowhere(body: str, secret: str) -> None:
    read = read_body(body.encode())
    payload = redact_payload(body.encode(), read=read)
    assert secret.encode() not in payload, payload
    reading = read_signal(body.encode(), RULES, CATALOGUE, NOW)
    told = repr((reading.values, reading.extras, reading.errors, reading.warnings, reading.sources))
    assert secret not in told
    if not reading.errors:
        assert secret.encode() not in signal_message(reading, "s").SerializeToString()


PIECES = st.sampled_from(
    [
        "secret", "SECRET", "\u017fecret", "to\u212aen", "p\u0131n", "2fa code", "recovery_words", "wallet", "seed", "is", " is ", ": ",
        "=", "->", " ", "  ", '"', "'", "-", "_", "x", "abc", "0x", "12345678:", "a" * 30, "Bearer ", "basic ", "/webhooks/",
        "123456/", "vxt_", "xoxb-", "AKIA", "B" * 20, "sk-", "hf_", "SG.", ".", WORDS, *SHAPES,
    ]
)  # fmt: skip
PHRASES = st.tuples(
    st.sampled_from(["seed", "Recovery", "MNEMONIC", "wallet", "secret", "backup", "backup words", "\u017feed phrase"]),
    st.sampled_from([": ", " is ", "->", "': '", " = "]),
    st.just(WORDS),
).map("".join)
GUARDS = {
    "shapes": (redaction._SHAPES, redaction.may_hold_shape, st.from_regex(redaction._SHAPES)),
    "names": (redaction._INSIDE, redaction.may_name_secret, st.from_regex(redaction._INSIDE)),
    "phrases": (redaction._PHRASE, redaction.may_hold_phrase, PHRASES),
}


@pytest.mark.parametrize("guard", GUARDS)
@given(st.data())
def test_pattern_that_is_not_tried_would_have_found_nothing(guard: str, data: st.DataObject) -> None:
    pattern, may, matches = GUARDS[guard]
    found = data.draw(matches | st.lists(PIECES, max_size=12).map("".join))
    text = data.draw(st.text(max_size=5)) + found + data.draw(st.text(max_size=5))
    assert may(text) or not pattern.search(text)
