"""Instruments that an operator adds: what they may be, and that no symbol comes to mean another one."""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.model.instruments import (
    CATALOGUE,
    BadTerm,
    Catalogue,
    Instrument,
    clash,
    define,
    different_term,
    key_of_instrument,
    merge,
)
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.instruments import checked, to_message
from vantixs_ingress.domain.signal.symbols import resolve

TERMS = {"tick_size": "0.01", "lot_size": "0.001", "minimum_notional": "5", "reference_price": "20"}


def made(name: str = "TON/USDT", **terms: str) -> Instrument:
    return define(name, **(TERMS | terms))


@pytest.mark.parametrize(
    ("name", "base", "quote", "perpetual"),
    [
        ("TON/USDT", "TON", "USDT", False),
        ("TON/USDT:USDT", "TON", "USDT", True),
        ("1INCH/USDT", "1INCH", "USDT", False),
        ("1000PEPE/USDC:USDC", "1000PEPE", "USDC", True),
    ],
)
def test_name_says_assets_and_kind(name: str, base: str, quote: str, perpetual: bool) -> None:
    found = made(name)
    assert (found.base_asset, found.quote_asset, found.perpetual) == (base, quote, perpetual)
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,39}", key_of_instrument(name))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "TON",
            "TONUSDT",
            "ton/usdt",
            "TON/USDT:BTC",
            "TON/USDT:",
            "TON/USDT:USDT:USDT",
            " TON/USDT",
            "TON/USDT\n",
        ),
        *(
            "T/USDT",
            "A" * 17 + "/USDT",
            "TON/" + "U" * 11,
            "123/USDT",
            "TON/1USD",
            "USDT/USDT",
            "TÖN/USDT",
            "TON-A/USDT",
        ),
        *("TON/PERP", "TON/XPERPETUAL", "TON/SWAP"),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadTerm, match="expected") as refused:
        made(name)
    assert refused.value.field == "instrument"


@pytest.mark.parametrize("field", TERMS)
@pytest.mark.parametrize("text", ["", "-1", "1e5", "NaN", "Infinity", "1,5", "0." + "0" * 18 + "1", "1000000000001"])
def test_numbers_that_cannot_be_are_refused_by_their_field(field: str, text: str) -> None:
    with pytest.raises(BadTerm, match=r"expected .*, was ") as refused:
        made(**{field: text})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "terms"),
    [
        ("tick_size", {"tick_size": "0"}),
        ("lot_size", {"lot_size": "0.000"}),
        ("reference_price", {"reference_price": "0"}),
        ("reference_price", {"reference_price": "0.09"}),
        ("lot_size", {"tick_size": "0.0000000001", "lot_size": "0.000000001"}),
    ],
)
def test_steps_and_price_have_to_fit_together(field: str, terms: dict[str, str]) -> None:
    with pytest.raises(BadTerm) as refused:
        made(**terms)
    assert refused.value.field == field


def test_numbers_are_canonical_so_that_the_same_terms_are_the_same() -> None:
    one, other = made(tick_size="0.010", reference_price="100.00"), made(reference_price="0100")
    assert (one, str(one.tick_size), str(one.reference_price)) == (other, "0.01", "100")
    assert (
        str(made(reference_price="999999999999.000000000000000001").reference_price)
        == "999999999999.000000000000000001"
    )
    assert made(minimum_notional="0").minimum_notional == 0


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUS/DT", "BTCUSDT is BTC/USDT"),
        ("BTCUS/DT:DT", "BTCUSDT is BTC/USDT"),
        ("XBT/USDT", "XBTUSDT is BTC/USDT"),
        ("USDT/BTC", "USDT-BTC is BTC/USDT"),
    ],
)
def test_name_that_is_read_as_another_instrument_is_found(name: str, symbol: str) -> None:
    assert clash(made(name), CATALOGUE) == symbol
    # Were it stored all the same, by two replicas at once, every process leaves out the same one.
    first, later = made("BTC/USDT"), made(name)
    assert [one.name for one in merge([first, later], Catalogue()).left_out] == [name]


@pytest.mark.parametrize("name", ["TON/USDT", "BTC/USDT:USDT", "LTC/USDT:USDT", "ETH/BTC", "SOL/USDC", "1INCH/USDT"])
def test_added_instrument_leaves_what_symbols_mean(name: str) -> None:
    assert clash(made(name), CATALOGUE) == ""
    after = merge([made(name)]).catalogue
    assert resolve(name, after).name == name
    for known in CATALOGUE.values():
        symbols = [known.name, known.base_asset + known.quote_asset + (".P" if known.perpetual else "")]
        assert {resolve(symbol, after).name for symbol in symbols} == {known.name}


def test_defaults_do_not_clash_and_stay_without_anything_added() -> None:
    merged = merge(())
    assert dict(merged.catalogue) == dict(CATALOGUE)
    assert merged.left_out == []


def test_what_was_added_goes_before_a_default_of_a_later_version() -> None:
    added = made("TON/USDT")
    later = Catalogue([*CATALOGUE.values(), made("TON/USDT", tick_size="0.1"), made("TONUS/DT")])
    merged = merge([added], later)
    assert merged.catalogue["TON/USDT"] is added
    assert [one.name for one in merged.left_out] == ["TONUS/DT"]


def test_first_different_term_is_named() -> None:
    assert different_term(made(), made()) == ""
    for field in TERMS:
        assert different_term(made(), replace(made(), **{field: Decimal(7)})) == field


def test_message_gives_the_instrument_back() -> None:
    for known in CATALOGUE.values():
        assert checked(to_message(known)) == known


@pytest.mark.parametrize(
    "given",
    [
        {"kind": common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL},
        {"base_asset": "BTC"},
        {"quote_asset": "USD"},
    ],
)
def test_what_contradicts_the_name_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match=f"instrument.{next(iter(given))}: expected") as refused:
        checked(common_pb2.Instrument(instrument="TON/USDT", **TERMS, **given))
    assert refused.value.code.name == "INVALID_ARGUMENT"
