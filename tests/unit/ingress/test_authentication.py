"""Who sends: signatures, addresses behind proxies, certificates, allowances."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher
from vantixs_ingress.http import authentication
from vantixs_ingress.http.authentication import check_token
from vantixs_ingress.http.client_address import Proxies, block_of
from vantixs_ingress.http.client_certificate import CertificateRule
from vantixs_ingress.http.failed_attempts import MOST_ADDRESSES, FailedAttemptLimiter
from vantixs_ingress.spool.wire import field
from vantixs_ingress.webhooks import signatures, snapshot
from vantixs_ingress.webhooks.networks import parse_address, parse_networks
from vantixs_ingress.webhooks.signatures import read_secret, show_secret, verify
from vantixs_ingress.webhooks.token_bucket import TokenBucket

SECRET = b"s" * 24
BODY = b'{"action": "buy"}'


def sign(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_the_example_of_the_specification_verifies() -> None:
    # Source: standard-webhooks, libraries' test vector.
    secret = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    body = b'{"test": 2432232314}'
    assert verify([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", signature, body) == 0


def test_any_valid_secret_may_sign_and_any_signature_of_the_list_may_fit() -> None:
    good = sign(SECRET, "m", "1", BODY)
    other = sign(b"o" * 24, "m", "1", BODY)
    assert verify([b"n" * 24, SECRET], "m", "1", f"v1a,AAAA {other} {good}", BODY) == 1


@pytest.mark.parametrize(
    ("message_id", "timestamp", "body"), [("x", "1", BODY), ("m", "2", BODY), ("m", "1", BODY + b" ")]
)
def test_what_is_signed_cannot_be_changed(message_id: str, timestamp: str, body: bytes) -> None:
    assert verify([SECRET], message_id, timestamp, sign(SECRET, "m", "1", BODY), body) == -1


def test_signature_under_the_secret_of_nobody_opens_nothing() -> None:
    assert verify([], "m", "1", sign(signatures._UNUSED_SECRET, "m", "1", BODY), BODY) == -1


@pytest.mark.parametrize("count", range(signatures.SLOTS + 1))
def test_every_webhook_costs_the_same_hmacs(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda *args: made.append(args) or real(*args))
    verify([SECRET] * count, "m", "1", "v1,AAAA", BODY)
    assert len(made) == signatures.SLOTS


@pytest.mark.parametrize("count", [None, 1, 3, snapshot.MOST_TOKENS])
def test_every_webhook_costs_the_same_comparisons(count: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = hmac.compare_digest
    monkeypatch.setattr(authentication.hmac, "compare_digest", lambda *args: made.append(args) or real(*args))
    opened = (
        None
        if count is None
        else snapshot.compile_webhook(make_webhook(count), SecretCipher(bytes(32)), PayloadCipher(bytes(32)))
    )
    assert check_token(opened, "wrong") is None
    assert len(made) == snapshot.MOST_TOKENS


def test_token_of_nobody_and_empty_token_open_nothing() -> None:
    opened = snapshot.compile_webhook(make_webhook(1), SecretCipher(bytes(32)), PayloadCipher(bytes(32)))
    assert check_token(opened, "no webhook has this token") is None
    assert check_token(opened, "") is None
    assert check_token(opened, "token-0") is not None


def make_webhook(tokens: int) -> webhook_pb2.Webhook:
    webhook = webhook_pb2.Webhook(webhook_id="demo", account_id="paper", enabled=True)
    for number in range(tokens):
        webhook.tokens.add(token_id=f"t{number}", sha256=snapshot.token_digest(f"token-{number}"))
    return webhook


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!!", "whsec_" + "A" * 30, "x" * 32, "whsec_" + "A" * 200])
def test_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_") as failed:
        read_secret(text)
    assert len(text) < 10 or text not in str(failed.value)


@given(st.binary(min_size=24, max_size=64))
def test_secret_survives_showing_and_encryption(secret: bytes) -> None:
    assert read_secret(show_secret(secret)) == secret
    cipher = SecretCipher(bytes(32))
    sealed = cipher.encrypt("demo", secret)
    assert secret not in sealed
    assert cipher.decrypt("demo", sealed) == secret
    assert cipher.decrypt("other", sealed) is None
    assert SecretCipher(b"\1" * 32).decrypt("demo", sealed) is None
    assert cipher.decrypt("demo", sealed[:-1]) is None
    assert cipher.decrypt("demo", b"") is None


PROXIES = Proxies(parse_networks(["10.0.0.0/8", "fd00::/8"]))


@pytest.mark.parametrize(
    ("peer", "headers", "source"),
    [
        ("1.2.3.4", {"x-forwarded-for": "52.89.214.238"}, "1.2.3.4"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4"}, "1.2.3.4"),
        ("10.0.0.1", {"x-forwarded-for": "52.89.214.238, 1.2.3.4, 10.9.9.9"}, "1.2.3.4"),
        ("10.0.0.1", {"x-forwarded-for": "52.89.214.238, nonsense, 10.9.9.9"}, "10.9.9.9"),
        ("10.0.0.1", {"x-forwarded-for": "nonsense"}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "[2001:db8::1]:443"}, "2001:db8::1"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4:5678"}, "1.2.3.4"),
        ("10.0.0.1", {"forwarded": 'for=52.89.214.238, for="[2001:db8::1]:4711";proto=https'}, "2001:db8::1"),
        ("10.0.0.1", {"forwarded": "proto=https"}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": "for=_hidden"}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4", "forwarded": "for=5.6.7.8"}, "1.2.3.4"),
    ],
)
def test_source_is_the_right_most_hop_that_is_no_trusted_proxy(peer: str, headers: dict[str, str], source: str) -> None:
    assert PROXIES.source(peer, headers) == source


@given(st.text(max_size=200))
def test_forwarding_headers_never_raise_and_unknown_addresses_are_never_believed(text: str) -> None:
    PROXIES.source("10.0.0.1", {"x-forwarded-for": text})
    PROXIES.source("10.0.0.1", {"forwarded": text})
    assert PROXIES.source("8.8.8.8", {"x-forwarded-for": text, "forwarded": text}) == "8.8.8.8"


def test_ipv4_in_ipv6_is_the_ipv4_address() -> None:
    assert str(parse_address("::ffff:52.89.214.238")) == "52.89.214.238"


def test_an_ipv6_household_is_limited_as_one() -> None:
    assert block_of("2001:db8:1:2::1") == block_of("2001:db8:1:2:ffff::9")
    assert block_of("2001:db8:1:2::1") != block_of("2001:db8:1:3::1")
    assert block_of("1.2.3.4") == "1.2.3.4"


DN = "CN=TradingView Webhooks,O=TradingView\\, Inc.,L=Westerville,ST=Ohio,C=US"


@pytest.mark.parametrize(
    ("told", "verify_told", "expected", "result"),
    [
        ("", "SUCCESS", "CN=TradingView Webhooks", "none"),
        (DN, "SUCCESS", "CN=TradingView Webhooks", "verified"),
        (DN, "SUCCESS", "O=TradingView, Inc.", "verified"),
        ("/C=US/O=TradingView, Inc./CN=TradingView Webhooks", "SUCCESS", "CN=TradingView Webhooks", "verified"),
        ("email:webhook-server@tradingview.com", "SUCCESS", "webhook-server@tradingview.com", "verified"),
        (DN, "FAILED:self signed certificate", "CN=TradingView Webhooks", "other"),
        (DN, "", "CN=TradingView Webhooks", "other"),
        ("CN=Not TradingView Webhooks", "SUCCESS", "CN=TradingView Webhooks", "other"),
        ("O=CN=TradingView Webhooks", "SUCCESS", "CN=TradingView Webhooks", "other"),
        ("O=x\\,CN=TradingView Webhooks", "SUCCESS", "CN=TradingView Webhooks", "other"),
    ],
)
def test_certificate_is_tradingviews_where_a_part_of_its_subject_is(
    told: str, verify_told: str, expected: str, result: str
) -> None:
    rule = CertificateRule("x-subject", "x-verify", expected)
    assert rule.result({"x-subject": told, "x-verify": verify_told}) == result
    assert CertificateRule().result({"x-subject": told}) == ""


def test_allowance_refills_evenly() -> None:
    allowance = TokenBucket(2, 60, 0)
    assert [allowance.take(0), allowance.take(0)] == [0, 0]
    assert allowance.take(0) == 30
    assert allowance.take(29) == pytest.approx(1)
    assert allowance.take(30) == 0
    assert allowance.take(1000) == allowance.take(1000) == 0
    assert allowance.take(1000) > 0


def test_failed_attempts_are_remembered_up_to_a_bound() -> None:
    attempts = FailedAttemptLimiter(2)
    for number in range(MOST_ADDRESSES + 500):
        attempts.failed(f"a{number}", 0)
    assert len(attempts) == MOST_ADDRESSES
    for _ in range(2):
        attempts.failed("b", 0)
    assert attempts.wait("b", 0) > 0
    assert attempts.wait("b", 60) == 0
    assert attempts.wait("never seen", 0) == 0
    assert FailedAttemptLimiter(0).wait("b", 0) == 0


@given(st.integers(1, 15), st.binary(max_size=70_000))
def test_field_is_read_back_by_protobuf(number: int, data: bytes) -> None:
    known = webhook_pb2.WebhookToken(sha256=data)
    assert webhook_pb2.WebhookToken.FromString(field(2, data)) == known
    unknown = webhook_pb2.WebhookToken.FromString(field(number, data) if number == 2 else field(2, data))
    assert unknown.sha256 == data


def test_a_token_ends_and_is_revoked() -> None:
    webhook = make_webhook(3)
    webhook.tokens[1].expire_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    webhook.tokens[2].revoke_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    opened = snapshot.compile_webhook(webhook, SecretCipher(bytes(32)), PayloadCipher(bytes(32)))
    reasons = [p.reason(datetime(2026, 1, 1, tzinfo=UTC)) for p in opened.grants]
    assert reasons == ["", "TOKEN_EXPIRED", "TOKEN_REVOKED"]
    assert opened.grants[1].reason(datetime(2025, 12, 31, tzinfo=UTC)) == ""
