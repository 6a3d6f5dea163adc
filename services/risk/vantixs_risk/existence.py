"""Checks that names an operator gives exist. A limit or state on a mistyped name would have no effect, without any error."""

from collections.abc import Iterable
from functools import lru_cache

import sqlalchemy as sa
from vantixs.model.instruments import INSTRUMENTS, Catalogue
from vantixs.runtime.errors import invalid, not_found

from vantixs_risk import store


@lru_cache(maxsize=2)
def assets_of(catalogue: Catalogue) -> tuple[frozenset[str], frozenset[str]]:
    """All assets of a catalogue, and those in which an instrument is quoted."""
    quoted = frozenset(i.quote_asset for i in catalogue.values())
    return quoted | {i.base_asset for i in catalogue.values()}, quoted


def check_scope_exists(connection: sa.Connection, scope: str) -> None:
    """Rejects the scope of an account or instrument that does not exist. Risk does not know webhooks and strategies.

    Raises:
        ServiceError: NOT_FOUND.
    """
    kind, _, name = scope.partition(":")
    if kind == "account" and store.READ_ACCOUNT.first(connection, account_id=name) is None:
        raise not_found("account", name)
    if kind == "instrument" and name not in INSTRUMENTS.current:
        raise not_found("instrument", name)


def check_instruments(field: str, names: Iterable[str], known: Iterable[str] = ()) -> None:
    """Rejects instruments that are neither in the catalogue nor in `known`, which are those that the account had before."""
    for name in names:
        if name not in INSTRUMENTS.current and name not in known:
            raise invalid(field, f"expected instruments of the catalogue, was {name[:60]!r}", "INSTRUMENT_NOT_FOUND")


def check_currency(field: str, currency: str) -> None:
    """Rejects a currency in which no instrument is quoted: its account could never trade."""
    _, currencies = assets_of(INSTRUMENTS.current)
    if currency not in currencies:
        known = ", ".join(sorted(currencies))
        raise invalid(field, f"expected one in which an instrument is quoted ({known}), was {currency[:20]!r}")


def check_asset(field: str, asset: str, known: Iterable[str]) -> None:
    """Rejects an asset that no instrument has and that is not in `known`, which are those that the account holds."""
    assets, _ = assets_of(INSTRUMENTS.current)
    if asset not in assets and asset not in known:
        raise invalid(field, f"expected an asset of the catalogue or of the account, was {asset!r}")
