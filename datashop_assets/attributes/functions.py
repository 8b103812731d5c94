"""Functions of the user's: found by name, identified by their source, applied to a frame, their answers checked.

What belongs here: `package.module:name` to scores. What does not: which columns the frame has (`produce.py`).

A function has to be pure and to judge each row by itself: documents come in batches, whose number and order differ.
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import polars as pl

from datashop_assets.lineage import content_id

NOT_FINITE, NO_ANSWER = "not_finite", "no_answer"

Function = Callable[[pl.DataFrame], Any]


class AttributeFunctionError(ValueError):
    """A function that cannot be found or whose answer cannot be used; the message names it and the mend."""


def find_function(reference: str) -> Function:
    """The function `package.module:name`. Raises AttributeFunctionError."""
    module_name, _, name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise AttributeFunctionError(
            f"function {reference!r}: {module_name} cannot be imported ({error}); install it, or put its folder on "
            "PYTHONPATH of the code location"
        ) from error
    found: Function | None = getattr(module, name, None)
    if not callable(found):
        raise AttributeFunctionError(f"function {reference!r}: {module_name} has no function {name}")
    return found


def function_id(reference: str) -> str:
    """A content id of the function's own source. What it calls is not part of it: that is what `revision` is for.

    Raises AttributeFunctionError.
    """
    try:
        return content_id(reference, inspect.getsource(find_function(reference)))
    except (OSError, TypeError) as error:
        raise AttributeFunctionError(
            f"function {reference!r} has no source that can be read ({error}); give a function defined in a file"
        ) from error


def apply(reference: str, function: Function, frame: pl.DataFrame) -> pl.DataFrame:
    """`score` (Float64) and `reason` of each row of the frame: what the function answers.

    A null answer has the reason `no_answer`, NaN and infinite ones `not_finite`. Raises AttributeFunctionError where it
    raises, answers with another number of rows, or with something that is no number.
    """
    try:
        answer = function(frame)
    except Exception as error:
        raise AttributeFunctionError(
            f"function {reference!r} raised {type(error).__name__}: {error}; it was given {frame.height} rows with the "
            f"columns {frame.columns}, in which a document without score is null"
        ) from error
    try:
        scores = pl.Series(answer)
    except (TypeError, ValueError) as error:
        raise AttributeFunctionError(f"function {reference!r} gave {type(answer)}, not one number a row") from error
    if len(scores) != frame.height:
        raise AttributeFunctionError(f"function {reference!r} gave {len(scores)} numbers for {frame.height} rows")
    if not (scores.dtype.is_numeric() or scores.dtype in (pl.Boolean, pl.Null)):
        raise AttributeFunctionError(f"function {reference!r} gave {scores.dtype}, not one number a row")
    number = pl.col("score")
    reason = pl.when(number.is_null()).then(pl.lit(NO_ANSWER)).when(~number.is_finite()).then(pl.lit(NOT_FINITE))
    return (
        pl.DataFrame({"score": scores.cast(pl.Float64)})
        .with_columns(reason=reason)
        .with_columns(score=pl.when(number.is_finite()).then(number))
    )
