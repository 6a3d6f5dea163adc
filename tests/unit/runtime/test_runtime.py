"""Settings, home directory, ids, logs, traces: what every service starts from."""

import json
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from vantixs.api.common.v1 import reason_pb2
from vantixs.model.ids import client_order_id, keyed_signal_id, lane_of, new_signal_id
from vantixs.model.reasons import REASONS
from vantixs.runtime import trace
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.database import Database
from vantixs.runtime.home import Home
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import redact
from vantixs.runtime.settings import ServiceSettings, SettingsError, load
from vantixs.runtime.tls import plain_text
from vantixs_console.commands import run_commands
from vantixs_risk.settings import RiskSettings

from tests.support.started import run_vantixs


def test_environment_goes_before_file_before_default(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[common]\nlog_level = "debug"\n[risk]\nmax_price_age_ms = 7\n')
    settings = load("risk", RiskSettings, environ={"VANTIXS_HOME": str(tmp_path), "VANTIXS_RISK_MAX_PRICE_AGE_MS": "9"})
    assert (settings.max_price_age_ms, settings.log_level, settings.price_buffer_bps) == (9, "debug", 50)


@pytest.mark.parametrize("name", ["VANTIXS_RISK_MAX_PRICE_AGE", "VANTIXS_MAX_PRICE_AGE_MS"])
def test_unknown_setting_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(SettingsError, match="VANTIXS_RISK_MAX_PRICE_AGE_MS"):
        load("risk", RiskSettings, environ={name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("VANTIXS_RISK_MAX_PRICE_AGE_MS", "soon"), ("VANTIXS_RISK_MAX_PRICE_AGE_MS", "0"), ("VANTIXS_LOG_LEVEL", "loud")],
)
def test_value_that_does_not_fit_names_key_expectation_and_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: expected .*{value}"):
        load("risk", RiskSettings, environ={name: value})


def test_secret_is_in_no_repr_and_no_error(tmp_path: Path) -> None:
    settings = load("risk", RiskSettings, environ={"VANTIXS_HOME": str(tmp_path), "VANTIXS_SERVICE_TOKEN": "hush"})
    assert settings.service_token == "hush"
    assert "hush" not in repr(settings)


def test_foreign_directory_is_not_taken_for_a_home(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StartupError, match=re.escape("thesis.txt")):
        Home.open(tmp_path, create=True)
    with pytest.raises(StartupError, match="was none"):
        Home.open(tmp_path / "missing")


def test_secrets_are_private_and_stay_the_same(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", create=True)
    assert home.secret("a-token") == home.secret("a-token")
    assert len(home.secret("a-token")) >= 40
    assert (home.secrets / "a-token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("store", ["ingress-0.spool", "risk.db", "nats"])
def test_key_of_stored_data_is_not_made_anew(tmp_path: Path, store: str) -> None:
    home = Home.open(tmp_path / "home", create=True)
    key = home.secret("signing-key")
    (home.data / store).touch()
    assert home.secret("signing-key") == key
    (home.secrets / "signing-key").unlink()
    with pytest.raises(
        StartupError, match=r"secrets/signing-key: expected the key .* put it back .* `vantixs init --new-signing-key`"
    ):
        home.secret("signing-key")
    assert home.secret("operator-token"), "which nothing is encrypted with"
    assert run_commands(["init", "--home", str(home.path), "--new-signing-key"]) == 0
    assert home.secret("signing-key") != key


def test_home_of_an_earlier_version_gets_a_payload_key_and_a_lost_one_is_not_made_anew(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", create=True)
    (home.data / "risk.db").touch()
    key = home.secret("payload-key")
    assert home.secret("payload-key") == key
    (home.secrets / "payload-key").unlink()
    with pytest.raises(
        StartupError, match=r"secrets/payload-key: expected the key .* `vantixs init --new-payload-key`"
    ):
        home.secret("payload-key")
    (home.secrets / "signing-key").write_text("kept")
    assert run_commands(["init", "--home", str(home.path), "--new-payload-key"]) == 0
    assert home.secret("payload-key") != key
    assert home.secret("signing-key") == "kept"


def test_processes_that_make_one_secret_at_once_have_the_same(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", create=True)
    with ThreadPoolExecutor(8) as pool:
        found = {*pool.map(lambda _: read_made(home), range(8))}
    assert len(found) == 1
    assert not list(home.secrets.glob(".*"))


def read_made(home: Home) -> str:
    """What a process has that found the secret missing."""
    home._make_secret("payload-key")
    return (home.secrets / "payload-key").read_text()


@pytest.mark.parametrize(
    ("environ", "arguments", "text"),
    [
        ({"VANTIXS_RISK_NONSENSE": "1"}, ["serve", "risk"], "unknown setting"),
        ({}, ["serve", "nothing"], "usage"),
        ({}, ["serve", "risk", "--home", "/proc/nowhere"], "home"),
        ({}, ["status", "--home", "/nowhere"], "vantixs up"),
        ({}, ["up", "--home", "/proc/nowhere"], "home"),
        ({}, ["up", "--scale", "risk=17"], "--scale"),
    ],
)
def test_wrong_set_up_is_one_line_and_a_non_zero_exit(environ: dict[str, str], arguments: list[str], text: str) -> None:
    done = run_vantixs(arguments, environ)
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_ids_are_derived_and_have_their_form() -> None:
    assert keyed_signal_id("demo", "a") == keyed_signal_id("demo", "a") != keyed_signal_id("demo", "b")
    assert new_signal_id(1, b"0" * 10) < new_signal_id(2, b"0" * 10)
    for name in (keyed_signal_id("demo", "a"), new_signal_id(1, b"0" * 10)):
        assert re.fullmatch(r"[a-z0-9]{27}", name)
    assert re.fullmatch(r"[a-su-z0-9][a-z0-9]{0,17}", client_order_id("x.1"))
    assert 0 <= lane_of("paper", "BTC/USDT") < 32


def test_every_reason_is_in_the_contract_under_its_number() -> None:
    named = {n.removeprefix("REASON_"): v for n, v in reason_pb2.Reason.items() if v}
    assert named == {name: reason.number for name, reason in REASONS.items()}
    assert sorted(named.values()) == list(range(1, len(REASONS) + 1))


def test_malformed_traceparent_starts_a_new_trace() -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert trace.enter(good).split("-")[1] == good.split("-")[1]
    for bad in ("", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"):
        assert trace.enter(bad).split("-")[1] not in bad or not bad


async def test_malformed_database_url_is_named_and_not_quoted(tmp_path: Path) -> None:
    settings = replace(ServiceSettings(), database_url="postgresql+psycopg://u:p@ss@127.0.0.1:port/x")
    assert list(plain_text(settings)) == []
    with pytest.raises(
        StartupError, match=r"^database of risk: VANTIXS_DATABASE_URL: expected a number as the port"
    ) as failed:
        await Database.open(settings, "risk", tmp_path)
    assert "ss@" not in str(failed.value)


def test_what_libraries_report_is_one_line_like_any_other(tmp_path: Path) -> None:
    code = (
        "import logging; from vantixs.runtime.logs import configure; configure('risk', '0', 'info', 'json')\n"
        "try: 1 / 0\n"
        "except ArithmeticError: logging.getLogger('psycopg').warning('two\\nlines of %s', 'it', exc_info=True)\n"
        "logging.raiseExceptions = False; logging.getLogger('psycopg').warning('%d', 'no number')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    (line,) = done.stderr.splitlines()
    written = json.loads(line)
    assert written["logger"] == "psycopg"
    assert written["detail"] == "two\nlines of it"
    assert written["service"] == "risk"
    assert "ZeroDivisionError" in written["exception"]


def test_secrets_are_redacted_in_logs() -> None:
    event = redact(None, "", {"token": "x", "Authorization": "x", "payload": "x", "token_fingerprint": "kept", "n": 1})
    assert event == {
        "token": "[redacted]",
        "Authorization": "[redacted]",
        "payload": "[redacted]",
        "token_fingerprint": "kept",
        "n": 1,
    }


def test_reserved_port_is_nobody_elses_and_a_server_can_listen_there() -> None:
    with reserve_port() as held:
        port = port_of(held)
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", port))
        for _ in range(2):  # A service that restarts gets its port again.
            with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
                server.accept()[0].close()


def test_secret_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "viewer-token").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="secrets/viewer-token: expected a text file"):
        load("risk", RiskSettings, environ={}, overrides={"home": str(tmp_path)})


def test_secret_that_is_a_directory_or_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", create=True)
    (home.secrets / "viewer-token").mkdir()
    with pytest.raises(StartupError, match=r"secrets/viewer-token: expected a text file .*Is a directory"):
        home.secret("viewer-token")
    (home.secrets / "viewer-token").rmdir()
    home.secrets.rmdir()
    home.secrets.write_text("")
    with pytest.raises(StartupError, match=r"secrets/viewer-token: .*Not a directory"):
        home.secret("viewer-token")
    with pytest.raises(StartupError, match=r"expected a writable directory, File exists: .*secrets"):
        Home.open(home.path)
