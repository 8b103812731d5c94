"""A user's functions: found by name, known by their source, their answers checked, their faults named."""

import polars as pl
import pytest

from datashop_assets.attributes.functions import AttributeFunctionError, apply, find_function, function_id

HERE = "datashop_assets_tests.attributes.some_functions"
FRAME = pl.DataFrame({"text": ["a", "b", "c", "d"]})


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        pytest.param("no_such_package.module:f", "no_such_package.module cannot be imported", id="no module"),
        pytest.param(f"{HERE}:no_such", f"{HERE} has no function no_such", id="no function"),
    ],
)
def test_a_function_that_is_not_there_is_named(reference: str, said: str) -> None:
    with pytest.raises(AttributeFunctionError, match=said):
        find_function(reference)


def test_a_functions_id_is_that_of_its_source() -> None:
    assert function_id(f"{HERE}:capitals") == function_id(f"{HERE}:capitals")
    assert function_id(f"{HERE}:capitals") != function_id(f"{HERE}:too_few")
    with pytest.raises(AttributeFunctionError, match="has no source"):
        function_id("math:sqrt")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("too_few", "gave 1 numbers for 4 rows", id="too few"),
        pytest.param("refuses", r"raised KeyError: 'colour'; it was given 4 rows with .*'text'", id="raises"),
        pytest.param("words_of_text", "gave String, not one number a row", id="no numbers"),
    ],
)
def test_an_answer_that_cannot_be_used_names_the_function(name: str, said: str) -> None:
    with pytest.raises(AttributeFunctionError, match=f"{HERE}:{name}' {said}"):
        apply(f"{HERE}:{name}", find_function(f"{HERE}:{name}"), FRAME)


def test_no_number_is_null_with_its_reason() -> None:
    answered = apply(f"{HERE}:odd_answers", find_function(f"{HERE}:odd_answers"), FRAME)
    assert answered.rows() == [(1.0, None), (None, "no_answer"), (None, "not_finite"), (None, "not_finite")]
