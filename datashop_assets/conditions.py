"""Conditions on scores of several names, as a project file writes them: `edu >= 3 and code.int < 2`.

What belongs here: reading them (Python's own parser and a list of what is allowed; nothing is ever evaluated as
Python) and their translation for polars. What does not: what they say of scores that are known to within an error
(`condition_ranges.py`), where the scores of a name stand (`scoring/sources.py`), what becomes of a document that fails
one (the filtering stage).

The language: names of lenses and attributes, meaning the score; `name.int`, the score rounded and clipped to the
lens's scale; numbers; `+ - *`, and `/` by a number; comparisons, also chained (`1 <= edu < 4`); `and`, `or`, `not`;
parentheses. A name that is no Python name is quoted: `"code-quality" >= 3`.
"""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import polars as pl

ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
# What float32, in which scores are compared, takes for a number: beyond the first it is infinite, below the second 0.
_LARGEST, _SMALLEST = 3.4e38, 1.2e-38
LANGUAGE = "names, name.int, numbers, + - * /, comparisons, and, or, not, parentheses"


class ConditionError(ValueError):
    """A condition that cannot be used; the message shows the place in its text."""


@dataclass(frozen=True)
class Operand:
    """The score of a name, or its integer score. `column` is what a frame that a condition is asked of calls it."""

    name: str
    rounded: bool = False

    @property
    def column(self) -> str:
        return f"{self.name}.int" if self.rounded else self.name


@dataclass(frozen=True, eq=False)
class Condition:
    """A condition and the operands in it, in order of first mention."""

    text: str
    operands: tuple[Operand, ...]
    expression: pl.Expr

    @property
    def names(self) -> tuple[str, ...]:
        """The lenses and attributes that it speaks of."""
        return tuple(dict.fromkeys(operand.name for operand in self.operands))


class Values(Protocol):
    """What stands for the numbers of a condition: anything that has its operators."""

    def operand(self, operand: Operand) -> Any: ...

    def literal(self, value: float) -> Any: ...


class Columns:
    """Each operand is its column, in single precision."""

    def operand(self, operand: Operand) -> pl.Expr:
        return pl.col(operand.column)

    def literal(self, value: float) -> pl.Expr:
        return pl.lit(value, pl.Float32)


def parse(text: str) -> Condition:
    """Read a condition. Its `expression` is a Boolean of the operands' columns, which are single precision, as scores
    are: so that `edu >= 0.7` is true of the score 0.7.

    Raises ConditionError with the place in the text for what is not of the language, or is no condition but a number.
    """
    return Condition(*read(text, Columns()))


def read(text: str, values: Values) -> tuple[str, tuple[Operand, ...], Any]:
    """The text as it is read, the operands in it, and what its operators make of the values. Raises as `parse` does."""
    # An indented line would be an error of its own; a line break inside is as good as a space.
    plain = text.replace("\n", " ").strip()
    try:
        tree = ast.parse(plain, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = (getattr(error, "offset", None) or len(plain) + 1) - 1  # none where the end is what is wrong
        raise _fault(plain, column, f"is not readable ({error.args[0]})") from error
    reading = _Reading(plain, values)
    try:
        expression = reading.truth(tree.body)
    except RecursionError as error:
        raise _fault(plain, 0, "is nested too deeply") from error
    if not reading.operands:
        raise _fault(plain, 0, "names no lens and no attribute")
    return plain, tuple(reading.operands), expression


def _fault(text: str, column: int, what: str) -> ConditionError:
    return ConditionError(f"the condition {what}, at character {column + 1}:\n    {text}\n    {' ' * column}^")


class _Reading:
    """One text on its way to an expression; a method a kind of value."""

    def __init__(self, text: str, values: Values) -> None:
        self.text, self.values = text, values
        self.operands: dict[Operand, None] = {}

    def fault(self, node: ast.expr, what: str) -> ConditionError:
        # `ast` counts bytes of UTF-8.
        return _fault(self.text, len(self.text.encode()[: node.col_offset].decode()), what)

    def truth(self, node: ast.expr) -> Any:
        match node:
            case ast.BoolOp(op=op, values=values):
                joined = operator.and_ if isinstance(op, ast.And) else operator.or_
                return reduce(joined, [self.truth(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return ~self.truth(inner)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [self.number(side) for side in (left, *comparators)]
                if unknown := [op for op in ops if type(op) not in COMPARISONS]:
                    raise self.fault(
                        node, f"compares with {type(unknown[0]).__name__.lower()}; allowed: < <= > >= == !="
                    )
                links = [COMPARISONS[type(op)](sides[i], sides[i + 1]) for i, op in enumerate(ops)]
                return reduce(operator.and_, links)
            case ast.Name() | ast.Attribute() | ast.Constant() | ast.BinOp() | ast.UnaryOp():
                self.number(node)
                raise self.fault(
                    node, "has a number where something true or false is needed; compare it, as in edu >= 3"
                )
        raise self.fault(node, f"has what is not of its language ({LANGUAGE})")

    def number(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name):
                return self.operand(Operand(name))
            case ast.Constant(value=str(name)):
                return self.operand(Operand(name))
            case ast.Attribute(value=ast.Name(id=name) | ast.Constant(value=str(name)), attr=attribute):
                if attribute != "int":
                    raise self.fault(node, f"asks for .{attribute}; there is only .int, the rounded score")
                return self.operand(Operand(name, rounded=True))
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if abs(value) > _LARGEST:
                    raise self.fault(node, "has a number that is not finite as a score is (in float32)")
                return self.values.literal(float(value))
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self.number(inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                if isinstance(op, ast.Div) and not (
                    isinstance(right, ast.Constant)
                    and isinstance(right.value, (int, float))
                    and not isinstance(right.value, bool)
                    and abs(right.value) >= _SMALLEST
                ):
                    raise self.fault(right, "divides by what is no number, or 0; divide by a number, or multiply")
                return ARITHMETIC[type(op)](self.number(left), self.number(right))
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                raise self.fault(node, "has something true or false where a number is needed")
        raise self.fault(node, f"has what is not of its language ({LANGUAGE})")

    def operand(self, operand: Operand) -> Any:
        self.operands[operand] = None
        return self.values.operand(operand)
