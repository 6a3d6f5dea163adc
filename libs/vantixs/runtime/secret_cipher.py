"""Encrypts small secrets, and payloads, under keys of the home that are kept outside of what stores them."""

import base64
import hashlib
import os

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vantixs.runtime.errors import ServiceError
from vantixs.runtime.startup import StartupError

_NONCE_BYTES, _KEY_BYTES, _KEY_ID_BYTES = 12, 32, 4


class SecretCipher:
    """AES-256-GCM with random nonces: one key may encrypt 2^32 values (NIST SP 800-38D, 8.3)."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def of(cls, text: str) -> "SecretCipher":
        """The cipher with the home's `signing-key`, in URL-safe base64, as `vantixs up` makes it.

        Raises:
            StartupError: the text is something else; it is not shown.
        """
        return cls(_key_of(text, "signing-key"))

    def encrypt(self, owner: str, secret: bytes) -> bytes:
        """The secret encrypted, with its owner (a webhook's id) as associated data: as another's it cannot be decrypted."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, owner.encode())

    def decrypt(self, owner: str, sealed: bytes) -> bytes | None:
        """The secret, or None where it was encrypted with another key, for another owner, or altered."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except (InvalidTag, ValueError):
            return None


class PayloadCipher:
    """Seals payloads of requests. What it makes names its key, so that a lost key is told from altered bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = SecretCipher(key)
        self._key_id = hashlib.sha256(key).digest()[:_KEY_ID_BYTES]

    @classmethod
    def of(cls, text: str) -> "PayloadCipher":
        """The cipher with the home's `payload-key`.

        Raises:
            StartupError: the text is no key; it is not shown.
        """
        return cls(_key_of(text, "payload-key"))

    def seal(self, payload: bytes, payload_sha256: bytes) -> bytes:
        """The payload encrypted, bound to the SHA-256 that is stored beside it."""
        return self._key_id + self._cipher.encrypt(payload_sha256.hex(), payload)

    def open(self, sealed: bytes, payload_sha256: bytes) -> bytes:
        """The payload.

        Raises:
            ServiceError: FAILED_PRECONDITION, PAYLOAD_KEY_MISSING, where it was sealed with another key; DATA_LOSS,
                PAYLOAD_ALTERED, where it is not as it was sealed.
        """
        if (key_id := sealed[:_KEY_ID_BYTES]) != self._key_id:
            detail = f"expected the payload key {key_id.hex()} that it is sealed with, was {self._key_id.hex()}"
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "PAYLOAD_KEY_MISSING", detail)
        payload = self._cipher.decrypt(payload_sha256.hex(), sealed[_KEY_ID_BYTES:])
        if payload is None:
            detail = "expected the sealed payload as it was recorded, was altered"
            raise ServiceError(grpc.StatusCode.DATA_LOSS, "PAYLOAD_ALTERED", detail)
        return payload


def _key_of(text: str, name: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if len(key) != _KEY_BYTES:
            raise ValueError(len(key))
    except ValueError:
        raise StartupError(
            f"{name}: expected {_KEY_BYTES} bytes in URL-safe base64, was something else; put it back from a copy, or "
            f"run `vantixs init --new-{name}`, which gives up what it encrypts"
        ) from None
    return key
