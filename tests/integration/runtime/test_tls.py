"""TLS by setting: gRPC, NATS and PostgreSQL with it, and every certificate that has to be refused."""

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_replicas import Address
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.settings import ServiceSettings, SettingsError
from vantixs.runtime.tls import grpc_server_tls, grpc_tls, nats_tls, plain_text
from vantixs.testing.certificates import Authority, Issued
from vantixs.testing.nats import NatsServer
from vantixs.testing.postgres import PostgresServer
from vantixs_console.commands.status import look
from vantixs_console.probe import probe
from vantixs_risk.server import NAME, ROLES

from tests.support.started import run_vantixs

SETTINGS = ServiceSettings(viewer_token="v", operator_token="o", service_token="s", metrics_listen="")


class Fake(risk_pb2_grpc.RiskServiceServicer):
    async def GetAccount(self, request: Any, context: Any) -> Any:
        return risk_pb2.GetAccountResponse(fees="none")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def grpc_settings(authority: Authority, issued: Issued | None = None, clients: Authority | None = None) -> Any:
    return replace(
        SETTINGS,
        grpc_tls_ca=str(authority.file),
        grpc_tls_certificate=str(issued.certificate) if issued else "",
        grpc_tls_key=str(issued.key) if issued else "",
        grpc_tls_client_ca=str(clients.file) if clients else "",
    )


@asynccontextmanager
async def serving(settings: ServiceSettings) -> AsyncIterator[str]:
    server = Server(settings, Health(), roles=ROLES)
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, Fake(), NAME)
    yield await server.start()
    await server.stop(0)


async def ask(addresses: str, settings: ServiceSettings) -> str:
    """What a call is answered, or the text of its failure."""
    channel = open_channel(addresses, token="v", tls=grpc_tls(settings))
    try:
        stub = risk_pb2_grpc.RiskServiceStub(channel)
        response = await stub.GetAccount(risk_pb2.GetAccountRequest(account_id="x"), timeout=5)
    except grpc.aio.AioRpcError as error:
        return str(error.details())
    finally:
        await channel.close()
    return str(response.fees)


async def test_calls_go_over_tls_to_one_address_a_name_and_a_list(authority: Authority) -> None:
    settings = grpc_settings(authority, authority.issue("both"))
    async with serving(settings) as one, serving(settings) as other:
        client = grpc_settings(authority)
        assert await ask(one, client) == "none"
        assert await ask(one.replace("127.0.0.1", "localhost"), client) == "none"
        assert await ask(f"{one},{other}", client) == "none"
        assert "Socket closed" in await ask(one, SETTINGS)


async def test_server_with_a_wrong_or_expired_certificate_is_refused(authority: Authority, stranger: Authority) -> None:
    # A certificate that has ended does not get past the start of a service: here it ends while the service runs.
    expired = authority.issue("expired", days=-1)
    tls = grpc_tls(grpc_settings(authority, authority.issue("valid")))
    assert tls
    ended = replace(tls, certificate=expired.certificate.read_bytes(), key=expired.key.read_bytes())
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", ended.server_credentials())
    await server.start()
    assert "certificate has expired" in await ask(f"127.0.0.1:{port}", grpc_settings(authority))
    await server.stop(0)
    async with serving(grpc_settings(authority, authority.issue("other", "risk.example"))) as address:
        assert "Hostname Verification" in await ask(address, grpc_settings(authority))
    async with serving(grpc_settings(stranger, stranger.issue("strange"))) as address:
        assert "CERTIFICATE_VERIFY_FAILED" in await ask(address, grpc_settings(authority))


async def test_callers_need_a_certificate_where_their_authority_is_set(
    authority: Authority, stranger: Authority
) -> None:
    settings = grpc_settings(authority, authority.issue("server"), clients=authority)
    async with serving(settings) as address:
        assert await ask(address, settings) == "none"
        assert await ask(address, grpc_settings(authority)) != "none"
        assert await ask(address, grpc_settings(authority, stranger.issue("caller"))) != "none"


async def test_health_and_the_command_reach_a_server_with_client_certificates(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issued = authority.issue("health")
    settings = grpc_settings(authority, issued, clients=authority)
    monkeypatch.setenv("VANTIXS_HOME", str(tmp_path))
    async with serving(settings) as address:
        assert await asyncio.to_thread(probe, address) == 1
        monkeypatch.setenv("VANTIXS_GRPC_TLS_CA", str(authority.file))
        monkeypatch.setenv("VANTIXS_GRPC_TLS_CERTIFICATE", str(issued.certificate))
        monkeypatch.setenv("VANTIXS_GRPC_TLS_KEY", str(issued.key))
        assert await asyncio.to_thread(probe, address) == 0
        other = address.replace("127.0.0.1", "127.0.0.2")
        assert await asyncio.to_thread(probe, other) == 1
    assert "127.0.0.2" in capsys.readouterr().err


async def test_status_says_why_a_service_is_not_reached(authority: Authority, stranger: Authority) -> None:
    settings = grpc_settings(authority, authority.issue("status"), clients=authority)
    async with serving(settings) as address:
        at = Address(address)
        assert (await look("risk", at, grpc_tls(settings))).detail == ""
        for client in (grpc_settings(authority), grpc_settings(authority, stranger.issue("status"))):
            found = await look("risk", at, grpc_tls(client))
            assert found.state == "UNAVAILABLE"
            assert "may refuse the certificate of VANTIXS_GRPC_TLS_CERTIFICATE, or want one" in found.detail
        assert "VANTIXS_GRPC_TLS_CA is not set here" in (await look("risk", at, None)).detail
    assert "refused" in (await look("risk", Address("127.0.0.1:1"), None)).detail


HALVES = {
    "grpc_tls_key": ("grpc_tls_certificate", "grpc_tls_ca"),
    "grpc_tls_certificate": ("grpc_tls_key", "grpc_tls_ca"),
    "grpc_tls_ca": ("grpc_tls_certificate", "grpc_tls_key"),
    "nats_tls_key": ("nats_tls_certificate", "nats_tls_ca"),
    "nats_tls_certificate": ("nats_tls_key", "nats_tls_ca"),
    "nats_tls_ca": ("nats_tls_certificate", "nats_tls_key"),
}


@pytest.mark.parametrize("missing", HALVES)
def test_half_a_configuration_is_refused_and_names_what_is_missing(authority: Authority, missing: str) -> None:
    issued = authority.issue("half")
    files = {"ca": authority.file, "certificate": issued.certificate, "key": issued.key}
    given = {key: str(files[key.rpartition("_")[2]]) for key in HALVES[missing]}
    read = nats_tls if missing.startswith("nats") else grpc_tls
    with pytest.raises(SettingsError, match=f"^VANTIXS_{missing.upper()}: expected .*, was empty$"):
        read(replace(SETTINGS, **given))


def test_server_needs_a_certificate_where_its_clients_would_speak_tls(authority: Authority) -> None:
    with pytest.raises(SettingsError, match=r"^VANTIXS_GRPC_TLS_CERTIFICATE: expected a certificate for this server"):
        grpc_server_tls(grpc_settings(authority))
    with pytest.raises(SettingsError, match=r"^VANTIXS_GRPC_TLS_CERTIFICATE: .* grpc_tls_client_ca"):
        grpc_tls(replace(SETTINGS, grpc_tls_client_ca=str(authority.file)))


@pytest.mark.parametrize("kind", ["grpc", "nats"])
def test_files_that_cannot_be_used_are_one_line_each(
    authority: Authority, stranger: Authority, tmp_path: Path, kind: str
) -> None:
    issued, other, ended = authority.issue("file"), stranger.issue("key"), authority.issue("ended", days=-2)
    empty = tmp_path / "empty"
    empty.write_text("nothing\n")
    good = {"ca": authority.file, "certificate": issued.certificate, "key": issued.key}
    wrong = [
        ({"ca": tmp_path / "none.pem"}, "CA: expected a file that this user can read, was .*No such file"),
        ({"ca": empty}, "CA: expected certificates in PEM"),
        ({"certificate": tmp_path}, "CERTIFICATE: expected a file that this user can read, was .*Is a directory"),
        ({"certificate": empty}, "CERTIFICATE: expected a certificate in PEM"),
        ({"key": empty}, "KEY: expected a key in PEM without a passphrase"),
        ({"key": other.key}, "KEY: expected the key of .*, was another one"),
        ({"certificate": ended.certificate, "key": ended.key}, "CERTIFICATE: expected a certificate that is valid now"),
    ]
    read = nats_tls if kind == "nats" else grpc_tls
    for change, expected in wrong:
        settings = {f"{kind}_tls_{part}": str(path) for part, path in (good | change).items()}
        with pytest.raises(SettingsError, match=f"^VANTIXS_{kind.upper()}_TLS_{expected}") as raised:
            read(replace(SETTINGS, **settings))
        assert "\n" not in str(raised.value)
        assert "BEGIN" not in str(raised.value)


@pytest.mark.parametrize("service", ["risk", "router"])
def test_service_whose_certificate_cannot_be_used_ends_with_one_line_and_code_2(tmp_path: Path, service: str) -> None:
    home = tmp_path / "home"
    made = run_vantixs(["init", "--home", str(home)], os.environ)
    assert made.returncode == 0
    (home / "settings.toml").write_text('[common]\ngrpc_tls_ca = "/none.pem"\nrisk_addresses = "127.0.0.1:1"\n')
    done = run_vantixs(["serve", service, "--home", str(home)], os.environ)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    expected = "VANTIXS_GRPC_TLS_CA: expected a file that this user can read, was /none.pem: No such file or directory"
    assert said == [f"vantixs {service}: {expected}"]


def nats_section(issued: Issued, authority: Authority | None = None) -> str:
    clients = f', ca_file: "{authority.file}", verify: true' if authority else ""
    return f'tls {{ cert_file: "{issued.certificate}", key_file: "{issued.key}"{clients} }}\n'


@asynccontextmanager
async def connecting(settings: ServiceSettings) -> AsyncIterator[tuple[Journal, Health]]:
    async with asyncio.TaskGroup() as tasks:
        life = Lifecycle("test", settings, tasks)
        journal = Journal(settings, life.health)
        journal.start(life)
        yield journal, life.health
        life.stopping.set()
        await journal.close()
        life.cancel_rest()


@contextlib.contextmanager
def broker(directory: Path, more: str) -> Iterator[NatsServer]:
    server = NatsServer(directory, more=more).start()
    yield server
    server.stop()


def nats_settings(nats: NatsServer, authority: Authority, issued: Issued | None = None) -> ServiceSettings:
    files = {"nats_tls_certificate": str(issued.certificate), "nats_tls_key": str(issued.key)} if issued else {}
    return replace(SETTINGS, nats_url=nats.url, nats_token=nats.token, nats_tls_ca=str(authority.file), **files)


async def test_journal_goes_over_tls_with_a_certificate_of_its_own(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue("nats")
    with broker(tmp_path, nats_section(issued, authority)) as nats:
        async with connecting(nats_settings(nats, authority, issued)) as (journal, _):
            await asyncio.wait_for(journal.connected(), 20)
            assert await journal.publish("vantixs.journal.v1.test", b"over tls", "one") == 1
            assert journal.client._transport
            assert journal.client._transport._io_writer.get_extra_info("ssl_object")


async def refusal(settings: ServiceSettings) -> str:
    async with connecting(settings) as (_, health), asyncio.timeout(20):
        while (detail := health.snapshot()["journal"][1]) in ("connecting", "disconnected", "not reachable"):
            await asyncio.sleep(0.01)
        return detail


async def test_nats_server_with_a_wrong_or_expired_certificate_or_none_is_refused_and_logged_once(
    authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    cases = {
        nats_section(authority.issue("nats-expired", days=-1)): "certificate is refused: certificate has expired",
        nats_section(
            authority.issue("nats-other", "nats.example")
        ): "certificate is refused: .*not valid for '127.0.0.1'",
        nats_section(stranger.issue("nats-strange")): "certificate is refused: unable to get local issuer certificate",
        "": "expected a server with TLS, was one with plain text",
    }
    for number, (section, expected) in enumerate(cases.items()):
        with broker(tmp_path / str(number), section) as nats, capture_logs() as logged:
            detail = await refusal(nats_settings(nats, authority))
        assert re.search(expected, detail), detail
        assert [event["detail"] for event in logged if event["event"] == "journal.tls_refused"] == [detail]


class TlsEnd:
    """What a PostgreSQL server with TLS is to a client: it takes the request for it, and passes on what is inside.

    The server of the wheel was built without TLS.
    """

    def __init__(self, issued: Issued, socket: Path) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(issued.certificate, issued.key)
        self._socket = socket
        self.serving: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.serving.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            assert await reader.readexactly(8) == bytes.fromhex("0000000804d2162f"), "the request for TLS"
            writer.write(b"S")
            await writer.start_tls(self._context)
            far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_postgresql_url_demands_tls_and_checks_whom_it_talks_to(
    postgres: PostgresServer, authority: Authority, stranger: Authority
) -> None:
    from vantixs.runtime.database_setup import make_engine

    url = sa.make_url(postgres.new_database())
    socket = Path(str(url.query["host"]), ".s.PGSQL.5432")

    async def select(issued: Issued, authority: Authority) -> str:
        end = TlsEnd(issued, socket)
        server = await asyncio.start_server(end.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        query = {"sslmode": "verify-full", "sslrootcert": str(authority.file)}
        through = url.set(host="127.0.0.1", port=port, query=query)

        def run() -> str:
            engine = make_engine(through.render_as_string(hide_password=False), "risk", write=True)
            try:
                with engine.connect() as connection:
                    return str(connection.exec_driver_sql("SELECT 'over tls'").scalar())
            except sa.exc.OperationalError as error:
                return str(error.orig)
            finally:
                engine.dispose()

        try:
            return await asyncio.to_thread(run)
        finally:
            server.close()
            await asyncio.wait_for(asyncio.gather(*end.serving), 10)

    assert await select(authority.issue("postgres"), authority) == "over tls"
    assert "certificate verify failed" in await select(authority.issue("pg-expired", days=-1), authority)
    assert "certificate verify failed" in await select(stranger.issue("pg-strange"), authority)
    assert "does not match host name" in await select(authority.issue("pg-other", "db.example"), authority)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, set()),
        ({"grpc_listen": "0.0.0.0:7000"}, {("grpc_listen", "0.0.0.0")}),
        ({"grpc_listen": "[::1]:7000", "risk_addresses": "unix:/run/risk.sock"}, set()),
        ({"risk_addresses": "127.0.0.1:1,risk-2:7000"}, {("risk_addresses", "risk-2")}),
        ({"nats_url": "nats://nats-1:4222,nats://127.0.0.1:4222"}, {("nats_url", "nats-1")}),
        ({"nats_url": "tls://nats-1:4222"}, set()),
        ({"database_url": "postgresql+psycopg://u:secret@db/v"}, {("database_url", "db")}),
        ({"database_url": "postgresql+psycopg://u@db/v?sslmode=require"}, {("database_url", "db")}),
        ({"database_url": "postgresql+psycopg://u@db/v?sslmode=verify-full&sslrootcert=ca.pem"}, set()),
        ({"database_url": "postgresql+psycopg://u@/v?host=/run/postgresql"}, set()),
        ({"database_url": "sqlite:///x.db"}, set()),
    ],
)
def test_plain_text_beyond_this_machine_is_named(settings: dict[str, str], named: set[tuple[str, str]]) -> None:
    assert set(plain_text(replace(SETTINGS, **settings))) == named  # type: ignore[arg-type]
