"""What is in a service's database: its tables as the database tells them, and their rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


@contextmanager
def connected(url: str, service: str) -> Iterator[sa.Connection]:
    options = {} if url.startswith("sqlite") else {"options": f"-csearch_path={service}"}
    engine = sa.create_engine(url, connect_args=options)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


# Tables of Alembic and of the kit, which are no service's.
KITS_OWN = ("alembic_version", "store_identity")


def described(url: str, service: str) -> dict[str, Any]:
    """Tables with columns in order, keys, constraints and indexes, as the database tells them."""
    schema = None if url.startswith("sqlite") else service
    with connected(url, service) as connection:
        found = sa.inspect(connection)
        columns, indexes = found.get_multi_columns(schema), found.get_multi_indexes(schema)
        keys, foreign = found.get_multi_pk_constraint(schema), found.get_multi_foreign_keys(schema)
        unique = found.get_multi_unique_constraints(schema)
    return {
        table[1]: {
            "columns": [
                (c["name"], repr(c["type"]), c["nullable"], c["default"], c.get("autoincrement"))
                for c in columns[table]
            ],
            "key": keys[table],
            "unique": sorted(map(repr, unique[table])),
            "indexes": [
                {**index, "dialect_options": {k: str(v) for k, v in index.get("dialect_options", {}).items()}}
                for index in sorted(indexes[table], key=lambda index: str(index["name"]))
            ],
            "foreign": foreign[table],
        }
        for table in columns
        if table[1] not in KITS_OWN
    }


# Columns of audit's signals that a revision removed, or made shorter by those.
NOT_KEPT = {"signals": ("accept_latency_us", "send_latency_us", "measures")}


def rows_of(url: str, service: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every table's rows as the driver gives them, columns in order: no type of SQLAlchemy changes a value."""
    found = {}
    with connected(url, service) as connection:
        for table in set(sa.inspect(connection).get_table_names()).difference(KITS_OWN):
            result = connection.exec_driver_sql(f'SELECT * FROM "{table}"')
            kept = [n for n, name in enumerate(result.keys()) if name not in NOT_KEPT.get(table, ())]
            found[table] = sorted((tuple(row[n] for n in kept) for row in result), key=repr)
    return found
