"""What the scores of two names share: rank correlation and best tenths, on hand-made scores."""

import polars as pl
import pytest

from datashop_assets.attributes.report import pair

N = 40
UP = [float(number) for number in range(N)]
SQUARES = 38 * 2**2 + 37**2 + 39**2  # of the differences in rank, where the two best become the two worst


def of(first: list[float | None], second: list[float | None]) -> dict[str, object]:
    ids = [f"{number:03d}" for number in range(len(first))]
    return pair(pl.DataFrame({"id": ids, "a": first, "b": second}, schema_overrides={"a": float, "b": float}), "a", "b")


@pytest.mark.parametrize(
    ("second", "spearman", "overlap"),
    [
        pytest.param([value**3 for value in UP], 1.0, 1.0, id="another unit"),
        pytest.param([-value for value in UP], -1.0, 0.0, id="the other way round"),
        pytest.param(
            [*UP[:38], -1.0, -2.0], pytest.approx(1 - 6 * SQUARES / (N**3 - N)), 0.5, id="two of the best differ"
        ),
    ],
)
def test_ranks_and_best_tenths(second: list[float | None], spearman: object, overlap: float) -> None:
    assert of(list(UP), second) == {"first": "a", "second": "b", "spearman": spearman, "overlap": overlap, "n": N}


@pytest.mark.parametrize(
    "second",
    [
        pytest.param([1.0] * N, id="no variation"),
        pytest.param([1.0, 2.0, *[None] * (N - 2)], id="two documents with both"),
    ],
)
def test_what_cannot_be_known_is_null(second: list[float | None]) -> None:
    made = of(list(UP), second)
    assert (made["spearman"], made["overlap"]) == (None, None)
    assert made["n"] == sum(value is not None for value in second)


def test_a_best_tenth_that_ends_among_equal_scores_is_still_a_tenth() -> None:
    assert of([1.0] * (N - 1) + [2.0], [1.0] * (N - 1) + [2.0])["overlap"] == 1.0
