"""A history and its readers, that tests of watches, exports, payloads and statistics share."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from vantixs.runtime.database import Database
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings

from tests.support.history_reads import Reads


@pytest.fixture
async def reads(database_url: str, tmp_path: Path) -> AsyncIterator[Reads]:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    try:
        yield Reads(database, tmp_path)
    finally:
        await database.close()
