"""What a condition says of scores that are known to within an error: surely true, surely false, or in doubt.

What belongs here: numbers as ranges, and truths of two sides. What does not: the language (`conditions.py`), how far a
score may be off (`scoring/`).

Ranges go through a condition by its own arithmetic. float32 rounds in order (what is larger is not rounded to less), so
that the value of a condition's term at any scores within their ranges is within the term's range. Where a name stands
twice, as in `edu - edu`, a range is wider than need be: more is in doubt, nothing is missed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from datashop_assets.conditions import Condition, Operand, read


def in_doubt(condition: Condition, range_of: Callable[[Operand], tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """A Boolean of each row: whether the condition may be both true and false of it, where each operand lies between
    the two float32 expressions that `range_of` gives, ends included."""
    _, _, truth = read(condition.text, _Ranges(range_of))
    doubt: pl.Expr = truth.possible & ~truth.sure
    return doubt


@dataclass(frozen=True)
class _Truth:
    """Whether something is true at all values in their ranges (`sure`), and at some (`possible`, where in doubt)."""

    sure: pl.Expr
    possible: pl.Expr

    def __and__(self, other: "_Truth") -> "_Truth":
        return _Truth(self.sure & other.sure, self.possible & other.possible)

    def __or__(self, other: "_Truth") -> "_Truth":
        return _Truth(self.sure | other.sure, self.possible | other.possible)

    def __invert__(self) -> "_Truth":
        return _Truth(~self.possible, ~self.sure)


@dataclass(frozen=True, eq=False)
class _Range:
    """A number between two others."""

    low: pl.Expr
    high: pl.Expr

    def __neg__(self) -> "_Range":
        return _Range(-self.high, -self.low)

    def __add__(self, other: "_Range") -> "_Range":
        return _Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: "_Range") -> "_Range":
        return _Range(self.low - other.high, self.high - other.low)

    def __mul__(self, other: "_Range") -> "_Range":
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return _Range(pl.min_horizontal(products), pl.max_horizontal(products))

    def __truediv__(self, number: "_Range") -> "_Range":
        return _Range(self.low / number.low, self.high / number.high)  # the language divides by positive numbers alone

    def __lt__(self, other: "_Range") -> _Truth:
        return _Truth(self.high < other.low, self.low < other.high)

    def __le__(self, other: "_Range") -> _Truth:
        return _Truth(self.high <= other.low, self.low <= other.high)

    def __gt__(self, other: "_Range") -> _Truth:
        return other < self

    def __ge__(self, other: "_Range") -> _Truth:
        return other <= self

    def __eq__(self, other: object) -> _Truth:  # type: ignore[override]
        if not isinstance(other, _Range):
            return NotImplemented
        return (self <= other) & (other <= self)

    def __ne__(self, other: object) -> _Truth:  # type: ignore[override]
        return ~(self == other)


class _Ranges:
    """Each operand is a range, a number one without width."""

    def __init__(self, range_of: Callable[[Operand], tuple[pl.Expr, pl.Expr]]) -> None:
        self.range_of = range_of

    def operand(self, operand: Operand) -> _Range:
        return _Range(*self.range_of(operand))

    def literal(self, value: float) -> _Range:
        number = pl.lit(value, pl.Float32)
        return _Range(number, number)
