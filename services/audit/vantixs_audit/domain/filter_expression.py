"""Filter expressions as in AIP-160: `status = FAILED AND (webhook = a OR webhook = b) AND NOT comment:test`.

Source: https://google.aip.dev/160. As there, OR binds tighter than AND: `a AND b OR c` is `a AND (b OR c)`. Two conditions
without a word between them, functions and members are not taken.
"""

import re
from dataclasses import dataclass

from vantixs_audit.domain.filter_fields import FIELDS, Field, Kind, Value, read_value

LONGEST, DEEPEST, MOST_TERMS = 2_000, 20, 50
ANY = "*"
_ORDERED = (Kind.TIME, Kind.DURATION, Kind.NUMBER)
_SHOWN = 40


class FilterError(ValueError):
    """An expression that is none: says where (from 1), what was expected there, and what was found."""

    def __init__(self, position: int, expected: str, was: str) -> None:
        self.position = position + 1
        super().__init__(f"at {self.position}: expected {expected}, was {was}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field held against a value. `operator` is =, <, <=, >, >= or `:`; with `:` the value `*` asks whether there is any."""

    name: str
    operator: str
    value: Value

    @property
    def field(self) -> Field:
        """The field."""
        return FIELDS[self.name]


@dataclass(frozen=True, slots=True)
class Not:
    """What must not hold."""

    item: "Expression"


@dataclass(frozen=True, slots=True)
class All:
    """What must all hold."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """Of what one must hold."""

    items: "tuple[Expression, ...]"


Expression = Comparison | Not | All | Some
EVERYTHING = All(())
_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
_OPERATOR = re.compile(r"<=|>=|!=|[=<>:]")
_BARE = re.compile(r"[^\s()\"']+")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)


def read_filter(text: str) -> Expression:
    """The expression of a text; all is found by an empty one.

    Raises:
        FilterError: it is none, has more than 2,000 characters or 50 conditions, or is nested more than 20 deep.
    """
    if len(text) > LONGEST:
        raise FilterError(LONGEST, f"at most {LONGEST} characters", str(len(text)))
    if "\x00" in text:
        raise FilterError(text.index("\x00"), "text", "a NUL character")
    return _Reader(text).read()


class _Reader:
    """Recursive descent, one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0

    def read(self) -> Expression:
        self._skip_space()
        if self._ended:
            return EVERYTHING
        found = self._all(0)
        if not self._ended:
            raise self._wrong("AND, OR or the end")
        return found

    def _all(self, depth: int) -> Expression:
        items = [self._some(depth)]
        while self._take_word("AND"):
            items.append(self._some(depth))
        return items[0] if len(items) == 1 else All(tuple(items))

    def _some(self, depth: int) -> Expression:
        items = [self._term(depth)]
        while self._take_word("OR"):
            items.append(self._term(depth))
        return items[0] if len(items) == 1 else Some(tuple(items))

    def _term(self, depth: int) -> Expression:
        if depth >= DEEPEST:
            raise self._wrong(f"at most {DEEPEST} levels")
        if self._take_word("NOT") or self._take("-"):
            return Not(self._term(depth + 1))
        if not self._take("("):
            return self._comparison()
        found = self._all(depth + 1)
        if not self._take(")"):
            raise self._wrong("AND, OR or `)`")
        return found

    def _comparison(self) -> Expression:
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise self._wrong(f"at most {MOST_TERMS} conditions")
        begin = self._at
        name = self._match(_NAME)
        if name is None or name in ("AND", "OR", "NOT"):
            self._at = begin
            raise self._wrong("a field, for example status")
        field = FIELDS.get(name)
        if field is None:
            self._at = begin
            raise self._wrong("one of " + ", ".join(n for n in FIELDS if not n.endswith("_id")))
        at = self._at
        operator = self._match(_OPERATOR)
        if operator is None:
            raise self._wrong("an operator: = != < <= > >= :")
        if operator[0] in "<>" and field.kind not in _ORDERED:
            self._at = at
            raise self._wrong(f"= != or `:` after {name}")
        if operator == "!=":
            return Not(Comparison(name, "=", self._value(field, "=")))
        return Comparison(name, operator, self._value(field, operator))

    def _value(self, field: Field, operator: str) -> Value:
        begin = self._at
        quoted = self._match(_QUOTED)
        text = re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL) if quoted is not None else self._match(_BARE)
        if operator == ":" and quoted is None and text == ANY:
            return ANY
        # Whether there is any is asked with `*`; a text that is empty is found by `= ""`.
        value = None if text is None or (operator == ":" and not text) else read_value(field, text)
        if value is None:
            self._at = begin
            raise self._wrong("one of " + ", ".join(field.names) if field.names else field.kind.value)
        return value

    @property
    def _ended(self) -> bool:
        return self._at >= len(self._text)

    def _match(self, pattern: "re.Pattern[str]") -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        self._skip_space()
        return found[0]

    def _take(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        self._skip_space()
        return True

    def _take_word(self, word: str) -> bool:
        found = _NAME.match(self._text, self._at)
        if found is None or found[0] != word:
            return False
        return self._take(word)

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _wrong(self, expected: str) -> FilterError:
        found = _BARE.match(self._text, self._at)
        rest = found[0] if found else self._text[self._at : self._at + 1]
        return FilterError(self._at, expected, repr(rest[:_SHOWN]) if rest else "the end")
