"""The matching engine of the paper venue. Pure: no clock, no I/O, nothing random (ADR 33).

There is one `book.Book` for each instrument, and for each account whose orders must not share depth with others. Its use:

    book = Book(instrument, Assumptions(latency_ms=50, slippage_bps=Decimal(5), fees=Fees(...)))
    rejected = book.place(OrderTerms(...))         # a Rejected, or None
    for event in book.apply(Quote(...)):           # also Depth, Trade, Bar, Mark
        ...                                        # Filled, Triggered, Canceled, Expired, Rejected
        book.shrink(sibling_id, leaves, now)       # or cancel or place, between two events
    for event in book.advance(now): ...            # only needed without market inputs; `next_time` says when
    for order_id in book.take_changed(): ...       # what to write: `book.orders[order_id].to_dict()`, or that it is gone

- Read all events of one input before the next input. Write state only between inputs, never between two events of one
  input. The stored state is one dict for each order, and `book.eaten`. `Book(instrument, assumptions, orders, eaten)`
  restores it.
- `time` of an input is when it was seen. An input does not affect an order that arrived later, so an input that is late
  or has an old time is harmless. A book has one source of inputs. A snapshot with the same source and time as the
  previous one is the same snapshot: quantity that was taken from it stays taken. Pass each trade once.
- To fill an order at once, place it, and then apply a quote that was read after the order arrived.
- Events name orders by `order_id`. Execution ids are `ORDER_ID-1`, `ORDER_ID-2`, and so on, and are the same in a
  repetition.
- An order has ended with a Filled whose `leaves` is 0, a Canceled, an Expired or a Rejected.
- Invalid inputs (crossed, not above 0, levels out of order) cannot be constructed: ValueError.

The rules are in ADR 33; by module: `market` inputs, `orders` terms and state, `events` outputs, `fees`, `taking` and
`resting` what fills, `index` and `open_orders` what is reached next, `matcher` the steps, `book` the inputs and bars.
"""
