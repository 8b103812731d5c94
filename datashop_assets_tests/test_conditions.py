"""Conditions mean what they say, and what is no condition is refused with its place."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datashop_assets.conditions import Condition, ConditionError, Operand, parse


def true_of(condition: Condition, **columns: float) -> bool:
    values = {name.replace("_int", ".int"): [value] for name, value in columns.items()}
    schema = dict.fromkeys(values, pl.Float32)
    return bool(pl.DataFrame(values, schema=schema).select(condition.expression).item())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("edu >= 3", True, id="at least, and it is just that"),
        pytest.param("edu > 3", False, id="more than"),
        pytest.param("edu >= 3 and code < 2", True, id="and"),
        pytest.param("edu < 3 or code == 1.5", True, id="or"),
        pytest.param("not (edu < 3 or code != 1.5)", True, id="not"),
        pytest.param("edu < 3 and code < 2 or code > 1", True, id="and binds tighter than or"),
        pytest.param("1 <= code < edu <= 3", True, id="chained"),
        pytest.param("1 <= code < edu < 3", False, id="every link of a chain counts"),
        pytest.param("0.5 * edu + code / 2 - 1 > 1.2", True, id="arithmetic"),
        pytest.param("-edu <= -3", True, id="minus"),
        pytest.param("code.int == 2", True, id="the integer score"),
        pytest.param("edu\n  >= 3", True, id="over several lines"),
    ],
)
def test_a_condition_is_true_where_its_words_are(text: str, expected: bool) -> None:
    assert true_of(parse(text), edu=3.0, code=1.5, code_int=2) is expected


def test_the_names_are_known_in_order_and_odd_ones_are_quoted() -> None:
    condition = parse('edu > 1 and "code-quality".int < 2 and edu.int == 3 and "code-quality" > 0')
    assert condition.names == ("edu", "code-quality")
    assert condition.operands[:2] == (Operand("edu"), Operand("code-quality", rounded=True))
    assert [operand.column for operand in condition.operands] == [
        "edu",
        "code-quality.int",
        "edu.int",
        "code-quality",
    ]


@given(value=st.floats(-1000, 1000), bound=st.floats(-1000, 1000))
@example(value=0.7, bound=0.7)
def test_scores_are_compared_as_the_single_precision_that_they_are_stored_in(value: float, bound: float) -> None:
    assert true_of(parse(f"edu >= {bound!r}"), edu=value) == (np.float32(value) >= np.float32(bound))


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        pytest.param("edu >= 3 andd code < 2", 10, "not readable", id="a slip"),
        pytest.param("edu >=", 7, "not readable", id="unfinished"),
        pytest.param("", 1, "not readable", id="nothing"),
        pytest.param("edu", 1, "compare it", id="a bare name"),
        pytest.param("edu > 1 and code", 13, "compare it", id="a bare name among others"),
        pytest.param("edu + 1", 1, "compare it", id="a bare number"),
        pytest.param("(edu > 1) + 1 > 1", 2, "where a number is needed", id="arithmetic on a truth"),
        pytest.param("1 < 2", 1, "names no lens", id="no name"),
        pytest.param("edu.lang > 1", 1, "only .int", id="an unknown property"),
        pytest.param("edu in (1, 2)", 8, "not of its language", id="membership"),
        pytest.param("edu is 1", 1, "compares with is", id="identity"),
        pytest.param("edu ** 2 > 1", 1, "not of its language", id="a power"),
        pytest.param("edu / code > 1", 7, "divides by", id="division by a name"),
        pytest.param("edu / 0 > 1", 7, "divides by", id="division by zero"),
        pytest.param("edu > 1e999", 7, "not finite", id="an infinite number"),
        pytest.param("edu > True", 7, "not of its language", id="a truth as a number"),
        pytest.param("exp(edu) > 1", 1, "not of its language", id="a call"),
        pytest.param("__import__('os').system('x') > 1", 1, "not of its language", id="code"),
        pytest.param("edu if edu > 1 else code", 1, "not of its language", id="a choice"),
        pytest.param("(x := edu) > 1", 2, "not of its language", id="an assignment"),
        pytest.param("é > 1 and edu", 11, "compare it", id="the place counts letters, not bytes"),
    ],
)
def test_what_is_not_of_the_language_is_refused_with_its_place(text: str, place: int, what: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    message = str(caught.value)
    assert what in message
    assert f"at character {place}:" in message
    assert message.splitlines()[2].index("^") - 4 == place - 1


@given(st.text(max_size=40))
@example("(" * 5000 + "edu" + ")" * 5000)
@example("not " * 3000 + "edu > 1")
@example("a" + "+a" * 4000 + " > 1")
@example("\x00")
def test_any_text_is_a_condition_or_refused_as_one(text: str) -> None:
    try:
        condition = parse(text)
    except ConditionError:
        return
    assert condition.names


def test_a_missing_operand_makes_no_number() -> None:
    frame = pl.DataFrame({"edu": [None, math.nan]}, schema={"edu": pl.Float32})
    assert frame.select(parse("edu + 1 > 0").expression.alias("c"))["c"].to_list()[0] is None
