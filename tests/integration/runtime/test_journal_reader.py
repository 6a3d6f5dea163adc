"""The reader of the whole journal, with a broker whose deliveries are lost in transit."""

import pytest
from nats.aio.msg import Msg
from vantixs.runtime.journal_reader import Reader
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer

from tests.support.until import until

COUNT = 20


@pytest.mark.parametrize("missing_until", [0, COUNT])
async def test_delivery_that_is_lost_in_transit_is_read_again_also_where_messages_may_be_missing(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, missing_until: int
) -> None:
    """After a gap was accepted history reads the journal again, and what the journal has may not be passed over."""
    fetch, lost, seen = Reader._fetch, list[int](), list[int]()

    async def lossy(reader: Reader) -> list[Msg]:
        messages = await fetch(reader)
        for message in messages:
            if message.metadata.sequence.stream == 7 and not lost:
                lost.append(7)
                return [m for m in messages if m is not message]
        return messages

    monkeypatch.setattr(Reader, "_fetch", lossy)
    async with connected(nats) as (journal, life):
        for number in range(COUNT):
            await journal.publish("vantixs.journal.v1.test", b"%d" % number, f"m{number}")
        reader = Reader(
            journal, start_after=lambda: seen[-1] if seen else 0, missing_until=lambda: missing_until, linger_s=0
        )

        async def read() -> None:
            async for deliveries in reader.batches(life.stopping):
                seen.extend(delivery.stream_sequence for delivery in deliveries)

        life.spawn(read(), name="reader")
        await until(lambda: seen[-1:] == [COUNT])
        assert lost
        assert seen == list(range(1, COUNT + 1))
        assert not journal.gap
