"""Random sequences of fills, from a seed: long and short, spot and perpetual, through zero, tiny and huge."""

from fractions import Fraction
from random import Random

from tests.reference.books import Books, Fill, assets, is_perpetual

INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "SOL/USDT:USDT")
MOST = Fraction(10**20) - Fraction(1, 10**18)


def text(amount: Fraction) -> str:
    """An amount of at most 18 decimals as the wire carries it."""
    units = amount * 10**18
    assert units.denominator == 1, amount
    sign, digits = ("-" if units < 0 else ""), str(abs(units.numerator)).rjust(19, "0")
    return f"{sign}{digits[:-18]}.{digits[-18:]}".rstrip("0").rstrip(".")


def draw(random: Random, *, wide: bool = True) -> Fraction:
    """Above 0, at most 20 digits before the point and 18 behind it: ordinary, tiny, huge, or with every digit used.

    What is not wide has at most 5 decimals and is below 10,000.
    """
    if not wide:
        digits = random.randint(1, 5)
        return Fraction(random.randint(1, 10 ** (digits + 4) - 1), 10**digits)
    kind = random.randrange(6)
    if kind == 0:
        return Fraction(random.randint(1, 10), 10**18)
    if kind == 1:
        return MOST - Fraction(random.randint(0, 10**18), 10**18)
    if kind == 2:
        return Fraction(random.randint(1, 10**38 - 1), 10**18)
    digits = random.randint(1, 18)
    return Fraction(random.randint(1, 10 ** random.randint(1, digits + 6)), 10**digits)


def fills(random: Random, most: int, *, wide: bool = True) -> list[Fill]:
    """One to `most` fills of up to three instruments."""
    books, chosen = Books("USDT", Fraction(0)), random.sample(INSTRUMENTS, random.randint(1, 3))
    made = []
    while len(made) < most and (not made or random.random() < 0.9):
        instrument = random.choice(chosen)
        fill = _fill(random, instrument, books.lines[instrument].quantity, wide=wide)
        if fits(books, fill):
            books.book(fill)
            made.append(fill)
    return made


def fits(books: Books, fill: Fill) -> bool:
    """Whether the position after a fill fits into a message: or nobody could name it in an order."""
    base, _ = assets(fill.instrument)
    signed = Fraction(fill.quantity) if fill.buy else -Fraction(fill.quantity)
    if fill.fee_asset == base and not is_perpetual(fill.instrument):
        signed -= Fraction(fill.fee)
    return abs(books.lines[fill.instrument].quantity + signed) <= MOST


def _fill(random: Random, instrument: str, held: Fraction, *, wide: bool) -> Fill:
    quantity, buy = draw(random, wide=wide), random.random() < 0.5
    kind = random.randrange(5)
    if held and kind < 4:
        buy = held < 0
        part = {0: abs(held), 1: abs(held) * random.randint(1, 6) / 7, 2: abs(held) * 2, 3: abs(held) / 3}[kind]
        # To a decimal, and what a message can carry.
        unit = 10 ** (18 if wide else 5)
        quantity = min(max(Fraction(int(part * unit), unit), Fraction(1, unit)), MOST)
    price, fee = draw(random, wide=wide), draw(random, wide=wide)
    return Fill(instrument, buy, text(quantity), text(price), *_fee(random, instrument, quantity, fee))


def _fee(random: Random, instrument: str, quantity: Fraction, fee: Fraction) -> tuple[str, str]:
    base, quote = assets(instrument)
    kind = random.randrange(6)
    if kind == 0:
        return "0", ""
    if kind == 1 and not is_perpetual(instrument):
        part = quantity * random.choice([1, 10, -5]) / 10_000
        return text(Fraction(int(part * 10**5), 10**5)), base
    # Of a perpetual the base asset is one like any other.
    assets_paid = ["", quote, quote, base if is_perpetual(instrument) else "BNB", "BNB"]
    return text(fee * random.choice([1, 1, 1, -1])), random.choice(assets_paid)
