"""Payloads are sealed and opened with the home's key, and what keeps one from being opened is told."""

import base64
import hashlib

import pytest
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher

PAYLOAD = b'{"action": "buy", "note": "the plan"}'
DIGEST = hashlib.sha256(PAYLOAD).digest()
CIPHER = PayloadCipher(bytes(32))


@pytest.mark.parametrize("payload", [PAYLOAD, b"", bytes(65536)])
def test_payload_is_opened_as_it_was_sealed_and_never_sealed_the_same_way(payload: bytes) -> None:
    sealed = CIPHER.seal(payload, DIGEST)
    assert CIPHER.open(sealed, DIGEST) == payload
    assert payload[:9] not in sealed or not payload
    assert sealed != CIPHER.seal(payload, DIGEST)


def test_lost_key_is_told_by_the_names_of_both_keys() -> None:
    other = PayloadCipher(b"\1" * 32)
    names = [hashlib.sha256(key).hexdigest()[:8] for key in (bytes(32), b"\1" * 32)]
    with pytest.raises(ServiceError, match=f"expected the payload key {names[0]} .* was {names[1]}") as caught:
        other.open(CIPHER.seal(PAYLOAD, DIGEST), DIGEST)
    assert (caught.value.code.name, caught.value.reason) == ("FAILED_PRECONDITION", "PAYLOAD_KEY_MISSING")


def test_every_altered_byte_is_noticed_and_so_is_another_request() -> None:
    sealed = CIPHER.seal(PAYLOAD, DIGEST)
    for at in range(4, len(sealed)):
        altered = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(ServiceError) as caught:
            CIPHER.open(altered, DIGEST)
        assert (caught.value.code.name, caught.value.reason) == ("DATA_LOSS", "PAYLOAD_ALTERED")
    for wrong, digest in ((sealed, bytes(32)), (sealed[:10], DIGEST), (sealed[:4], DIGEST)):
        with pytest.raises(ServiceError, match="PAYLOAD_ALTERED"):
            CIPHER.open(wrong, digest)


def test_key_is_32_bytes_in_base64_and_is_never_shown() -> None:
    text = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    assert PayloadCipher.of(text).open(CIPHER.seal(PAYLOAD, DIGEST), DIGEST) == PAYLOAD
    for kind, name in ((PayloadCipher, "payload-key"), (SecretCipher, "signing-key")):
        with pytest.raises(StartupError, match=f"^{name}: expected 32 bytes .*init --new-{name}") as caught:
            kind.of("S3cretS3cret")
        assert "S3cret" not in str(caught.value)
