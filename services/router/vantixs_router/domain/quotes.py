"""What a quote from outside has to be, and which of two of one instrument holds."""

from datetime import UTC, datetime

from vantixs.model.decimals import parse_decimal

# A source's clock may be ahead of ours by so much; what is further ahead would hold back every quote until then.
AHEAD_NS = 2_000_000_000
# A quote that is held and further ahead than this is from before our clock was set back: any other takes its place.
FORGOTTEN_AHEAD_NS = 10_000_000_000


def check_prices(bid: str, ask: str, bid_size: str, ask_size: str) -> None:
    """Prices are in the quote asset, sizes in base units and empty where they are not known.

    Raises:
        ValueError: a text is no decimal, the prices are not 0 < bid <= ask, or a size is not above 0.
    """
    lower, upper = parse_decimal(bid), parse_decimal(ask)
    if not 0 < lower <= upper:
        raise ValueError(f"expected 0 < bid <= ask, was bid {lower}, ask {upper}")
    for name, size in (("bid_size", bid_size), ("ask_size", ask_size)):
        if size and parse_decimal(size) <= 0:
            raise ValueError(f"expected {name} above 0 or empty, was {size}")


def time_of(given_ns: int | None, held_ns: int, now_ns: int, *, cleared: bool) -> int:
    """The time a quote is taken with, nanoseconds since 1970; one that is not given is now.

    Quotes that follow each other get rising times: one of the same microsecond as the one held is put a nanosecond
    behind it, so that all replicas agree which came last. `cleared` says that what is held is not a quote but that there is none.

    Raises:
        ValueError: it is before the one held, or too far ahead.
    """
    held_ns = 0 if held_ns > now_ns + FORGOTTEN_AHEAD_NS else held_ns
    if given_ns is None:
        return max(now_ns, held_ns + 1)
    if not 0 < given_ns <= now_ns + AHEAD_NS:
        raise ValueError(f"expected at most 2 s after {text_of(now_ns)}, was {text_of(given_ns)}")
    if given_ns // 1000 > held_ns // 1000:
        return given_ns
    if cleared:
        raise ValueError(f"expected after {text_of(held_ns)}, when quotes were cleared, was {text_of(given_ns)}")
    if given_ns // 1000 < held_ns // 1000:
        raise ValueError(f"expected not before {text_of(held_ns)}, the quote that is held, was {text_of(given_ns)}")
    return held_ns + 1


def follows(time_ns: int, held_ns: int, now_ns: int) -> bool:
    """Whether what has this time takes the place of what is held."""
    return time_ns > held_ns or held_ns > now_ns + FORGOTTEN_AHEAD_NS


def text_of(time_ns: int) -> str:
    """A time for people, for example "2026-01-01T00:00:00.000000Z"."""
    try:
        moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ns // 1_000_000_000} s"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 1_000_000_000 // 1000:06d}Z"
