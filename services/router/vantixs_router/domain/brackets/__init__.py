"""The protective orders of one position: which should be open now, from the plan of its entry and all events since.

Pure: nothing here sends, stores or reads the time. The caller keeps a `Bracket` and carries out the commands of `step`:

    plan = settle_plan(Plan(...), quantity).plan       # raises PlanError: field, what was expected, what it was
    bracket = open_bracket(plan, now)
    bracket, commands = step(bracket, event)           # for every event, in any order, also repeated

| module | what it has |
| --- | --- |
| `plan` | `Plan` (stop loss, take profits, trailing, ...) and `settle_plan`, which checks it and computes every leg |
| `events` | the events; `time` is when an event is passed to `step` |
| `commands` | what the caller has to do: `PlaceLeg`, `CloseNow`, `CancelLeg`, `CancelEntry`, `Report` |
| `step` | `open_bracket`, `step`, and `wake_time`: when a `Tick` is due even without another event |
| `state` | `Bracket` and `Leg`: frozen values |
| `encode` | `to_dict` and `from_dict` of a bracket, for storing it as JSON |
| `words` | sentences about the legs and how they are related, for people |

What the caller must do (ADR 34):

- Store the new bracket and its commands in one commit, before any command is sent. `leg` numbers the orders of a
bracket from 1,
  and a number is never reused. So a client order id can be derived from it, and an order that is sent twice is recognised.
- Send every `PlaceLeg` and `CloseNow` reduce-only, or as a group of which the venue cancels the rest (OCO). A venue
with neither
  cannot hold a stop and a target for the same quantity, and must not get a bracket.
- Report an answer for every leg that was sent: accepted, filled, cancelled, rejected or in doubt. After a cancel that
was refused
  or not answered, report `LegInDoubt`, and `LegResolved` once the order was read again.
- `LegCancelled` and `LegResolved` have the filled quantity that the venue states. No other order takes the leg's
place until
  these fills were reported as events.
- `PositionRead` has the value of `Bracket.revision` from before the position was read. The order is: take the
revision, read the
  position, read the own trades and report new ones, report the position. If anything was booked in between, the reading is
  ignored.
- Quantities are in base units and net of a fee in the base asset. Prices and fees are in the quote asset: report a
fee in the
  base asset as its amount times the price.
"""
