"""Page tokens of lists of signals and replays that were changed: INVALID_ARGUMENT, or a page, on both databases."""

import json
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.paging import decode_token, encode_token

from tests.support.audit_server import Audit, audit
from tests.support.signal_rows import store_signals

__all__ = ["audit"]
WRONG: tuple[Any, ...] = (10**30, -(10**30), 2**63, -(2**63) - 1, [1], {}, True, False, "1", 1.5, float("nan"), "\x00")
ORDERS = ("", "receive_time", "latency", "latency desc", "slippage_bps")


async def code_of(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def list_code(audit: Audit, order_by: str, token: str) -> str:
    request = audit_pb2.ListSignalsRequest(page_size=2, order_by=order_by, page_token=token)
    return await code_of(audit.viewer.ListSignals(request, timeout=30))


@pytest.mark.parametrize("order_by", ORDERS)
async def test_token_with_one_value_that_no_signal_has_is_refused(audit: Audit, order_by: str) -> None:
    await audit.reads.database.write(lambda c: store_signals(c, 30))
    request = audit_pb2.ListSignalsRequest(page_size=2, order_by=order_by)
    given_token = (await audit.viewer.ListSignals(request, timeout=30)).next_page_token
    assert await list_code(audit, order_by, given_token) == "OK"
    parts = json.loads(decode_token(given_token))
    for place in range(1, len(parts)):
        nothing = [None] if place > 1 or len(parts) == 3 else []
        for value in [*WRONG, *nothing]:
            forged = encode_token(json.dumps([*parts[:place], value, *parts[place + 1 :]]))
            assert await list_code(audit, order_by, forged) == "INVALID_ARGUMENT", (place, value)
    for cut in (parts[:-1], [*parts, 1], parts[:1], []):
        assert await list_code(audit, order_by, encode_token(json.dumps(cut))) == "INVALID_ARGUMENT", cut
    deep = encode_token("[" * 1400)
    assert await list_code(audit, order_by, deep) == "INVALID_ARGUMENT"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=50), JSON.map(json.dumps), st.integers(-(2**70), 2**70).map(str)))
async def test_token_of_anything_is_refused_or_means_a_page(audit: Audit, text: str) -> None:
    token = encode_token(text)
    whole = text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < 2**63
    expected = "OK" if whole or not text else "INVALID_ARGUMENT"
    assert await list_code(audit, "", token) == ("OK" if not text else "INVALID_ARGUMENT")
    replays = audit_pb2.ListReplaysRequest(page_token=token)
    assert await code_of(audit.viewer.ListReplays(replays, timeout=30)) == expected
