"""Compressed bodies: what is taken, what is refused, and that a small one cannot become a large one."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs_ingress.http.content_encoding import decode_body
from vantixs_ingress.http.responses import Rejection

MOST = 65_536
BODY = b'{"action": "buy", "symbol": "BTCUSDT"}'


def raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(body) + made.flush()


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        (" GZIP ", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("identity", BODY),
        ("", BODY),
    ],
    ids=["gzip", "x-gzip", "spaces", "deflate", "raw deflate", "identity", "none"],
)
def test_coding_is_taken(coding: str, sent: bytes) -> None:
    assert decode_body(sent, coding, MOST) == BODY


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "\x00", "x" * 9000])
def test_other_coding_is_refused_by_its_name(coding: str) -> None:
    with pytest.raises(Rejection) as refused:
        decode_body(BODY, coding, MOST)
    assert refused.value.reason == "CONTENT_ENCODING_UNSUPPORTED"
    assert "gzip, deflate" in refused.value.detail
    assert len(refused.value.detail) < 200
    assert coding != "br" or "was br" in refused.value.detail


def test_body_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    assert decode_body(gzip.compress(b"x" * MOST), "gzip", MOST) == b"x" * MOST
    with pytest.raises(Rejection) as refused:
        decode_body(gzip.compress(b"x" * (MOST + 1)), "gzip", MOST)
    assert refused.value.reason == "BODY_TOO_LARGE"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bomb_takes_no_more_memory_than_a_body(coding: str) -> None:
    bomb = gzip.compress(b"\0" * (60 << 20)) if coding == "gzip" else zlib.compress(b"\0" * (60 << 20))
    assert len(bomb) <= MOST
    tracemalloc.start()
    try:
        with pytest.raises(Rejection) as refused:
            decode_body(bomb, coding, MOST)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()
    assert refused.value.reason == "BODY_TOO_LARGE"


@pytest.mark.parametrize(
    "sent",
    [b"", b"hello", gzip.compress(BODY)[:-1], gzip.compress(BODY) + b"x", gzip.compress(BODY) + gzip.compress(BODY)],
    ids=["nothing", "text", "cut off", "something behind", "two"],
)
def test_what_is_no_single_stream_is_refused(sent: bytes) -> None:
    with pytest.raises(Rejection) as refused:
        decode_body(sent, "gzip", MOST)
    assert refused.value.reason == "BODY_UNREADABLE"


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_read_or_refused(sent: bytes, coding: str) -> None:
    try:
        assert len(decode_body(sent, coding, 1000)) <= 1000
    except Rejection as refused:
        assert refused.reason in ("BODY_UNREADABLE", "BODY_TOO_LARGE")
