"""Writes down the statements by which audit of an earlier commit records on PostgreSQL: see README.md beside this file.

python tests/data/statements/make.py TREE DUMP OUT.json, with a Python that has the earlier commit's requirements; TREE is a
checkout of it, for example by `git archive`, and DUMP one of its databases. It runs the earlier code: start it with TREE's
`libs`, `services/audit` and TREE itself in PYTHONPATH.
"""

import base64
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database_setup import make_engine
from vantixs.testing.earlier import restore
from vantixs.testing.postgres import PostgresServer
from vantixs_audit import store

from tests.support.history_rig import deliveries

BATCHES, SIGNALS = 2, 3
# The test puts the name of its own stream in this one's place.
STREAM = "STREAM-ID"


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, psycopg.Binary):
        value = value.obj
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    assert value is None or isinstance(value, (str, int, float)), value
    return value


def main() -> None:
    tree, dump, out = (Path(name) for name in sys.argv[1:])
    assert str(Path(store.__file__)).startswith(str(tree)), store.__file__
    said: list[list[Any]] = []
    execute = psycopg.Cursor.execute

    def noted(self: Any, query: Any, params: Any = None, **named: Any) -> Any:
        said.append([query if isinstance(query, str) else query.decode(), plain(params)])
        return execute(self, query, params, **named)

    batches = []
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory))
        url = server.new_database()
        restore(dump, url)
        engine = make_engine(url, "audit", write=True)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE head SET stream_sequence = 0, stream_id = '{STREAM}'")
        psycopg.Cursor.execute = noted  # type: ignore[assignment,method-assign]  # To see the statements.
        sequence = 0
        for number in range(BATCHES):
            messages = []
            for one in deliveries(Random(number), SIGNALS, f"rolling{number}-"):
                sequence += 1
                messages.append(replace(one, stream_sequence=sequence))
            with engine.connect() as connection, connection.begin():
                said.clear()
                store.record(connection, messages, Mark(0, STREAM, sequence))
                batches.append({"messages": [plain(m.data) for m in messages], "statements": list(said)})
        engine.dispose()
        server.stop()
    out.write_text(json.dumps({"batches": batches}, indent=1) + "\n")


if __name__ == "__main__":
    main()
