"""Names that an operator may give only where they exist: a mistyped one would hold for nothing, without a word."""

from collections.abc import Iterable

import sqlalchemy as sa
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.errors import invalid, not_found

from vantixs_risk import store

ASSETS = frozenset(asset for i in CATALOGUE.values() for asset in (i.base_asset, i.quote_asset))
CURRENCIES = frozenset(i.quote_asset for i in CATALOGUE.values())


def check_scope_exists(connection: sa.Connection, scope: str) -> None:
    """Refuses the scope of an account or instrument there is not; webhooks and strategies are not known here.

    Raises:
        ServiceError: NOT_FOUND.
    """
    kind, _, name = scope.partition(":")
    if kind == "account" and store.READ_ACCOUNT.first(connection, account_id=name) is None:
        raise not_found("account", name)
    if kind == "instrument" and name not in CATALOGUE:
        raise not_found("instrument", name)


def check_instruments(field: str, names: Iterable[str], known: Iterable[str] = ()) -> None:
    """Refuses instruments that are neither in the catalogue nor `known`, as those an account had before."""
    for name in names:
        if name not in CATALOGUE and name not in known:
            raise invalid(field, f"expected instruments of the catalogue, was {name[:60]!r}", "INSTRUMENT_NOT_FOUND")


def check_currency(field: str, currency: str) -> None:
    """Refuses a currency in which nothing is quoted: its account could never trade."""
    if currency not in CURRENCIES:
        known = ", ".join(sorted(CURRENCIES))
        raise invalid(field, f"expected one in which an instrument is quoted ({known}), was {currency[:20]!r}")


def check_asset(field: str, asset: str, known: Iterable[str]) -> None:
    """Refuses an asset that no instrument has and that is not `known`, as those an account holds."""
    if asset not in ASSETS and asset not in known:
        raise invalid(field, f"expected an asset of the catalogue or of the account, was {asset!r}")
