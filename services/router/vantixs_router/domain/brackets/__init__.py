"""Protective orders of one position: what should work right now, by the plan of its entry and all that was heard since.

Pure: nothing here sends, stores or knows the time. The caller keeps a `Bracket` and does what `step` says:

    plan = settle_plan(Plan(...), quantity).plan       # raises PlanError: field, what was expected, what it was
    bracket = open_bracket(plan, now)
    bracket, commands = step(bracket, event)           # for everything that is heard, in any order, however often

| module | what it has |
| --- | --- |
| `plan` | `Plan` (stop loss, take profits, trailing, ...) and `settle_plan`, which checks it and says every leg |
| `events` | what can be heard; each has `time`, which is when it is told |
| `commands` | what is to be done: `PlaceLeg`, `CloseNow`, `CancelLeg`, `CancelEntry`, `Report` |
| `step` | `open_bracket`, `step`, and `wake_time`: when a `Tick` is due even if nothing else is heard |
| `state` | `Bracket` and `Leg`: frozen values |
| `encode` | `to_dict` and `from_dict` of a bracket, for storing it as JSON |
| `words` | sentences about the legs and how they hang together, for people |

What the caller owes (ADR 34):

- The new bracket is stored in the commit that stores its commands, before any of them is sent. `leg` numbers each order of the
  bracket from 1 and never means another one, so a client order id can be derived from it and a second sending recognised.
- Every `PlaceLeg` and `CloseNow` is sent reduce-only, or as a group of which the venue cancels the rest (OCO). A venue that has
  neither cannot hold a stop and a target for the same quantity, and must not be given a bracket.
- Every leg that was sent is answered: accepted, filled, cancelled, rejected or in doubt. A cancel that is refused, or of which
  nothing is heard, is `LegInDoubt` until the order was read again, then `LegResolved`.
- `LegCancelled` and `LegResolved` say what the venue says was filled. Until these fills were told, no order takes their place.
- `PositionRead` is for a position that was asked for when `Bracket.revision` was as said. The caller takes the revision, reads
  the position, then reads its own trades and tells those that are new, then tells the position; where something was booked
  meanwhile, the reading does not count.
- Quantities are base units that are held (net of a fee taken in the base asset), prices and fees are in the quote asset: a fee in
  the base asset is told as that amount times the price.
"""
