"""What an operator does wrong, or does not see: it is refused by name, or shown."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from vantixs.testing.stack import RunningStack, wait_for
from vantixs_console.cli import main

from tests.support.started import run_vantixs


def serve_ingress(stack: RunningStack, instance: str) -> "subprocess.CompletedProcess[str]":
    """A second ingress on the home, as someone starts it who does not know that one runs."""
    grpc = stack.endpoints["grpc"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    environ |= {f"VANTIXS_{name.upper()}_ADDRESSES": addresses for name, addresses in grpc.items()}
    environ |= {
        "VANTIXS_NATS_URL": stack.endpoints["nats"],
        "VANTIXS_INSTANCE": instance,
        "VANTIXS_INGRESS_HTTP_LISTEN": "127.0.0.1:0",
        "VANTIXS_STOP_GRACE_S": "0.1",
    }
    return run_vantixs(["serve", "ingress", "--home", str(stack.home)], environ)


def buy(stack: RunningStack, symbol: str, key: str) -> dict[str, Any]:
    """A buy alert, and what became of it."""
    answer = stack.send({"action": "buy", "symbol": symbol, "idempotency_key": key})
    assert answer.status_code == 202, answer.text
    signal_id = str(answer.json()["signal_id"])
    return dict(stack.ended([signal_id])[signal_id])


def test_second_ingress_on_a_spool_ends_and_the_first_goes_on(stack: RunningStack) -> None:
    done = serve_ingress(stack, "0")
    says = f"instance 0 of ingress runs already, pid {stack.pid('ingress')}: without VANTIXS_INSTANCE the next free number is taken"
    assert (done.returncode, done.stderr) == (2, f"vantixs: {says}\n")
    assert buy(stack, "LTCUSDT", "owner")["status"] == "SIGNAL_STATUS_EXECUTED"
    assert str(stack.pid("ingress")) in (stack.home / "run" / "ingress-0.json").read_text()


@contextmanager
def unwritable(spool: Path) -> Iterator[None]:
    """While it lasts, every commit of the spool fails."""
    connection = sqlite3.connect(spool, isolation_level=None)
    connection.execute("ALTER TABLE spool RENAME TO elsewhere")
    try:
        yield
    finally:
        connection.execute("ALTER TABLE elsewhere RENAME TO spool")
        connection.close()


def test_ingress_that_cannot_store_is_not_ready_until_it_can(stack: RunningStack) -> None:
    readyz = f"{stack.endpoints['http']}/readyz"
    with unwritable(stack.home / "data" / "ingress-0.spool"):
        refused = stack.send({"action": "buy", "symbol": "LTCUSDT", "idempotency_key": "unstored"})
        assert (refused.status_code, refused.json()["reason"]) == (503, "STORAGE_UNAVAILABLE")
        wait_for(lambda: httpx.get(readyz, verify=False).status_code == 503, "readiness to fail")
        assert "last commit failed" in httpx.get(readyz).text
        shown = stack.run("status")
        assert shown.returncode == 1
        assert any(line.split()[:2] == ["ingress", "NOT_SERVING"] and line.split()[-1] == "spool" for line in shown.stdout.splitlines()), shown.stdout  # fmt: skip
    # Nothing is sent meanwhile, as by a load balancer that looks at readiness.
    wait_for(lambda: httpx.get(readyz, verify=False).status_code == 200, "readiness to recover")
    assert stack.run("status").returncode == 0
    assert buy(stack, "LTCUSDT", "unstored")["status"] == "SIGNAL_STATUS_EXECUTED"


def test_stale_pushed_quote_is_shown_and_cleared(stack: RunningStack) -> None:
    assert stack.run("quote", "set", "AVAX/USDT", "27.9", "28.1").returncode == 0

    def stale() -> list[dict[str, Any]]:
        return [p for p in stack.json("status")["pushed"] if p["instrument"] == "AVAX/USDT" and p["stale"]]

    assert stack.json("status")["pushed"][0]["instrument"] == "AVAX/USDT"
    wait_for(stale, "the quote to grow old")
    assert buy(stack, "AVAXUSDT", "stale")["reason"] == "PRICE_STALE"
    assert "quote     AVAX/USDT is pushed" in stack.run("status").stdout
    for says in ("is simulated again", "had no published quote"):
        done = stack.run("quote", "clear", "AVAX/USDT")
        assert (done.returncode, says in done.stdout) == (0, True), done.stdout + done.stderr
    assert buy(stack, "AVAXUSDT", "cleared")["status"] == "SIGNAL_STATUS_EXECUTED"
    assert stack.json("status")["pushed"] == []
    assert "INSTRUMENT_NOT_FOUND" in stack.run("quote", "clear", "AVAX/FOO").stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("halt --scope account:nope", "account 'nope' does not exist"),
        ("halt --scope instrument:DOGE/FOO", "instrument 'DOGE/FOO' does not exist"),
        ("halt --scope webhook:nope", "webhook 'nope' does not exist"),
        ("reduce --scope account:nope", "account 'nope' does not exist"),
        ("resume --yes --scope account:nope", "account 'nope' does not exist"),
        ("resume --yes --scope webhook:nope", "webhook 'nope' does not exist"),
        ("account create nope --instruments BTC/USDT,DOGE/FOO", "was 'DOGE/FOO'"),
        ("account create nope --currency FOO", "was 'FOO'"),
        ("account update paper --instruments DOGE/FOO", "was 'DOGE/FOO'"),
        ("account update nope --enabled", "account 'nope' does not exist"),
        ("account show nope", "account 'nope' does not exist"),
        ("account positions nope", "account 'nope' does not exist"),
        ("account equity nope", "account 'nope' does not exist"),
        ("account adjust nope --asset USDT --amount 1 --comment x", "account 'nope' does not exist"),
        ("account adjust paper --asset USTD --amount 1 --comment x", "was 'USTD'"),
        ("account adjust paper --instrument DOGE/FOO --quantity 1 --price 1 --comment x", "was 'DOGE/FOO'"),
        ("webhook create --account nope", "account 'nope' does not exist"),
        ("webhook create --account paper --instruments DOGE/FOO", "was 'DOGE/FOO'"),
        ("webhook update demo --account nope", "account 'nope' does not exist"),
        ("webhook update demo --instruments DOGE/FOO", "was 'DOGE/FOO'"),
        ("webhook create-token demo --instruments DOGE/FOO", "was 'DOGE/FOO'"),
        ("webhook get nope", "webhook 'nope' does not exist"),
        ("webhook revoke demo nope", "token 'nope' does not exist"),
        ("quote set DOGE/FOO 1 1", "instrument 'DOGE/FOO' does not exist"),
        ("replay start nope --comment why", "signal 'nope' does not exist"),
        ("signals show nope", "signal 'nope' does not exist"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(
    stack: RunningStack, command: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--home", str(stack.home)]) == 1
    assert says in capsys.readouterr().err


def test_scope_that_cannot_be_checked_is_halted_and_said(stack: RunningStack) -> None:
    done = stack.run("halt", "--scope", "strategy:trend")
    assert done.returncode == 0
    assert "strategy:trend could not be checked: the router answers UNIMPLEMENTED" in done.stderr
    assert stack.run("resume", "--yes", "--scope", "strategy:trend").returncode == 0


def test_halt_of_a_webhook_that_is_gone_can_be_lifted(stack: RunningStack) -> None:
    assert stack.run("webhook", "create", "--account", "paper", "--webhook-id", "gone").returncode == 0
    assert stack.run("halt", "--scope", "webhook:gone").returncode == 0
    assert stack.run("webhook", "delete", "gone").returncode == 0
    done = stack.run("resume", "--yes", "--scope", "webhook:gone")
    assert (done.returncode, done.stdout) == (0, "webhook:gone: HALTED -> ACTIVE\n")


def page_of(stack: RunningStack, path: str) -> httpx.Response:
    """A page as someone sees it who came by the printed address."""
    base = stack.endpoints["console"]
    with httpx.Client(follow_redirects=True) as browser:
        browser.get(f"{base}/?token={(stack.home / 'secrets' / 'console-token').read_text().strip()}")
        return browser.get(f"{base}{path}")


def test_every_restriction_is_shown_by_status_and_page(stack: RunningStack) -> None:
    assert "trading   ACTIVE in every scope" in stack.run("status").stdout
    scopes = {"global": "reduce", "account:paper": "halt", "webhook:demo": "halt", "instrument:BTC/USDT": "reduce"}
    for scope, verb in scopes.items():
        assert stack.run(verb, "--scope", scope, "--comment", f"because of {scope}").returncode == 0
    try:
        known = {r["scope"]: r for r in stack.json("status")["restrictions"]}
        assert {scope: r["state"] for scope, r in known.items()} == {
            scope: {"halt": "HALTED", "reduce": "REDUCING"}[verb] for scope, verb in scopes.items()
        }
        text, lines = stack.run("status").stdout, page_of(stack, "/restrictions").json()
        page = page_of(stack, "/").text
        for scope, found in known.items():
            assert found["since"].startswith("20")
            assert found["actor"].startswith("operator:")
            line = f"{found['state']} in {scope} since {found['since']} by {found['actor']}: because of {scope}"
            assert f"trading   {line}" in text
            assert line in lines
            assert f"<li>{line}</li>" in page
    finally:
        for scope in scopes:
            assert stack.run("resume", "--yes", "--scope", scope).returncode == 0
    assert page_of(stack, "/restrictions").json() == []
    assert httpx.get(f"{stack.endpoints['console']}/restrictions").status_code == 401


def test_start_says_what_holds_trading_up(stack: RunningStack) -> None:
    assert "Attention" not in stack.output
    assert stack.run("halt", "--comment", "over the weekend").returncode == 0
    assert stack.run("quote", "publish", "BTC/USDT", "63990", "64010").returncode == 0
    assert stack.stop() == 0
    stack.start()
    assert "Attention HALTED in global since 20" in stack.output
    assert "over the weekend" in stack.output
    assert "Attention BTC/USDT is pushed" in stack.output
    assert stack.run("resume", "--yes").returncode == 0
    assert stack.run("quote", "clear", "BTC/USDT").returncode == 0
