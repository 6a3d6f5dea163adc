"""The matching engine of the paper venue: values in, values out. No clock, no I/O, no chance (ADR 33).

How it is driven, one `book.Book` for each instrument (and each account whose orders must not share depth with others'):

    book = Book(instrument, Assumptions(latency_ms=50, slippage_bps=Decimal(5), fees=Fees(...)))
    rejected = book.place(OrderTerms(...))         # a Rejected, or None
    for event in book.apply(Quote(...)):           # also Depth, Trade, Bar, Mark
        ...                                        # Filled, Triggered, Canceled, Expired, Rejected
        book.shrink(sibling_id, leaves, now)       # or cancel or place, between two events
    for event in book.advance(now): ...            # only needed where nothing is seen; `next_time` says when
    for order_id in book.take_changed(): ...       # what to write: `book.orders[order_id].to_dict()`, or that it is gone

- The events of one input are used up before the next. State is written between inputs, never between two events of one;
  what is stored is one dict an order and `book.eaten`, and `Book(instrument, assumptions, orders, eaten)` goes on from there.
- `time` of an input is when it was seen. It does nothing to an order that arrived later, so an input that is late or given with
  an old time is harmless. Inputs have one source a book. A snapshot with the source and time of the one before is the same
  snapshot: what was taken of it stays taken. Trades are given once each.
- A caller that wants an order filled at once applies a quote that it reads when the order has arrived (`place`, then `apply`).
- Events name orders by `order_id`; execution ids are `ORDER_ID-1`, `ORDER_ID-2`, ... and the same when it is done again.
- An order has ended with a Filled whose `leaves` is 0, a Canceled, an Expired or a Rejected. Invalid inputs (crossed, not above
  0, levels out of order) cannot be constructed: ValueError.

The rules are in ADR 33; by module: `market` inputs, `orders` terms and state, `events` outputs, `fees`, `taking` and
`resting` what fills, `index` and `open_orders` what is reached next, `matcher` the steps, `book` the inputs and bars.
"""
