"""The funnel of a filter: what is left after each step, in the order in which reasons count."""

import polars as pl
import pytest

from datashop_assets.filtering.overview import funnel_steps


@pytest.mark.parametrize(
    ("verdicts", "left"),
    [
        pytest.param({"kept": 25, "below_lower": 75}, {"documents": 100, "kept": 25}, id="a cut-off alone"),
        pytest.param(
            {"kept": 20, "not kept by score": 50, "near_duplicate": 10, "exact_duplicate": 5, "unscored": 15},
            {"documents": 100, "no copy, no evaluation item": 85, "with all scores": 70, "kept": 20},
            id="copies and documents without score",
        ),
        pytest.param(
            {"kept": 0, "annotation_pool_only": 10},
            {"documents": 10, "not of the annotation pool": 0, "kept": 0},
            id="nothing is kept",
        ),
    ],
)
def test_a_funnel_shows_the_steps_that_drop_something(verdicts: dict[str, int], left: dict[str, int]) -> None:
    rows = pl.DataFrame({"verdict": list(verdicts), "documents": list(verdicts.values())})
    assert funnel_steps(rows) == left
    assert list(funnel_steps(rows)) == list(left)
