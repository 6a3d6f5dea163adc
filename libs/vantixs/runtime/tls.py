"""TLS by setting: what connections prove themselves with and whom they believe, and where there is none beyond this machine.

Certificates are read when a process starts: one that was renewed counts from the next start on.
"""

import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from vantixs.runtime.settings import ServiceSettings, SettingsError, env_name

if TYPE_CHECKING:
    from cryptography import x509

_CHECKED = ("verify-full", "verify-ca")  # The values of `sslmode` with which libpq knows whom it talks to.


@dataclass(frozen=True, slots=True)
class Tls:
    """Both ends of gRPC with TLS, each in PEM.

    `authorities` are those that a server's certificate has to come from. A server with `client_authorities` takes calls only
    from who shows a certificate of theirs.
    """

    authorities: bytes
    certificate: bytes = b""
    key: bytes = b""
    client_authorities: bytes = b""

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a client; the certificate, where there is one, is shown to a server that asks."""
        return grpc.ssl_channel_credentials(self.authorities, self.key or None, self.certificate or None)

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a server; it needs a certificate."""
        pair = [(self.key, self.certificate)]
        clients = self.client_authorities or None
        return grpc.ssl_server_credentials(pair, root_certificates=clients, require_client_auth=clients is not None)


def grpc_tls(settings: ServiceSettings) -> Tls | None:
    """What the settings say of gRPC; None for plain text.

    Raises:
        SettingsError: half a configuration, or a file that cannot be used; it names the setting.
    """
    _whole(settings, "grpc")
    clients = settings.grpc_tls_client_ca
    if clients and not settings.grpc_tls_certificate:
        raise _missing("grpc_tls_certificate", "a certificate where grpc_tls_client_ca is set")
    if not settings.grpc_tls_ca:
        return None
    certificate, key = _pair(settings, "grpc")
    return Tls(
        _authorities("grpc_tls_ca", settings.grpc_tls_ca),
        certificate,
        key,
        _authorities("grpc_tls_client_ca", clients) if clients else b"",
    )


def grpc_server_tls(settings: ServiceSettings) -> Tls | None:
    """What the settings say of a gRPC server; raises as `grpc_tls` does, also where there is a client's half alone."""
    tls = grpc_tls(settings)
    if tls and not tls.certificate:
        raise _missing("grpc_tls_certificate", "a certificate for this server, since grpc_tls_ca is set")
    return tls


def nats_tls(settings: ServiceSettings) -> ssl.SSLContext | None:
    """What the settings say of NATS; None for plain text. A URL with `tls://` alone believes the machine's authorities.

    Raises:
        SettingsError: half a configuration, or a file that cannot be used; it names the setting.
    """
    _whole(settings, "nats")
    if not settings.nats_tls_ca:
        return ssl.create_default_context() if "tls://" in settings.nats_url else None
    authorities = _authorities("nats_tls_ca", settings.nats_tls_ca)
    context = ssl.create_default_context(cadata=authorities.decode())
    if settings.nats_tls_certificate:
        _pair(settings, "nats")
        context.load_cert_chain(settings.nats_tls_certificate, settings.nats_tls_key)
    return context


def plain_text(settings: ServiceSettings) -> Iterator[tuple[str, str]]:
    """Yields (setting, host) of what goes to other machines, or is offered to them, without TLS."""
    if not settings.grpc_tls_ca:
        named = ("grpc_listen", "ingress_addresses", "risk_addresses", "router_addresses", "audit_addresses")
        for key in named:
            for address in str(getattr(settings, key)).split(","):
                if not address.startswith("unix:") and not _is_here(host := address.strip().rpartition(":")[0]):
                    yield key, host
    if not settings.nats_tls_ca:
        for url in settings.nats_url.split(","):
            host = url.rpartition("@")[2].partition("://")[2].partition("/")[0].rpartition(":")[0]
            if not url.strip().startswith("tls://") and not _is_here(host):
                yield "nats_url", host
    if settings.database_url.startswith("postgresql"):
        from sqlalchemy import make_url  # noqa: PLC0415 - a service without a database needs none of it
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above

        try:
            parsed = make_url(settings.database_url)
        except (ArgumentError, ValueError):
            return  # Opening it says what is wrong.
        host = parsed.host or str(parsed.query.get("host", ""))
        if not host.startswith("/") and not _is_here(host) and parsed.query.get("sslmode") not in _CHECKED:
            yield "database_url", host


def _is_here(host: str) -> bool:
    """Whether it is this machine's loopback address; an empty host is nobody's."""
    bare = host.strip("[]")
    if bare in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def _whole(settings: ServiceSettings, kind: str) -> None:
    """Refuses a certificate without its key, the other way round, and either without authorities."""
    certificate, key = (f"{kind}_tls_{part}" for part in ("certificate", "key"))
    for one, other in ((certificate, key), (key, certificate)):
        if getattr(settings, one) and not getattr(settings, other):
            raise _missing(other, f"a file where {one} is set")
    if getattr(settings, certificate) and not getattr(settings, f"{kind}_tls_ca"):
        raise _missing(f"{kind}_tls_ca", f"the authorities of the others' certificates where {certificate} is set")


def _missing(key: str, expected: str) -> SettingsError:
    return SettingsError(f"{env_name(key)}: expected {expected}, was empty")


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        detail = error.strerror or str(error)
        raise SettingsError(f"{env_name(key)}: expected a file that this user can read, was {path}: {detail}") from None


def _authorities(key: str, path: str) -> bytes:
    from cryptography import x509  # noqa: PLC0415 - takes a tenth of a second, and most homes have no TLS

    content = _read(key, path)
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise SettingsError(f"{env_name(key)}: expected certificates in PEM, was another thing: {path}") from None
    if not any(_is_valid(c) for c in found):
        ended = max(c.not_valid_after_utc for c in found)
        raise SettingsError(f"{env_name(key)}: expected an authority that is valid now, {path} ended {ended:%Y-%m-%d}")
    return content


def _pair(settings: ServiceSettings, kind: str) -> tuple[bytes, bytes]:
    """The certificate chain and its key, once they are known to belong together; empty where none is set."""
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    name, key_name = f"{kind}_tls_certificate", f"{kind}_tls_key"
    path, key_path = getattr(settings, name), getattr(settings, key_name)
    if not path:
        return b"", b""
    chain, key = _read(name, path), _read(key_name, key_path)
    try:
        certificate = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise SettingsError(f"{env_name(name)}: expected a certificate in PEM, was another thing: {path}") from None
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise SettingsError(
            f"{env_name(key_name)}: expected a key in PEM without a passphrase, was another thing: {key_path}"
        ) from None
    if private.public_key() != certificate.public_key():
        raise SettingsError(f"{env_name(key_name)}: expected the key of {path}, was another one: {key_path}")
    if not _is_valid(certificate):
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        span = f"{path} is valid {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
        raise SettingsError(f"{env_name(name)}: expected a certificate that is valid now, {span}")
    return chain, key


def _is_valid(certificate: "x509.Certificate") -> bool:
    return certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc
