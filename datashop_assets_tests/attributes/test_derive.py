"""Combinations and levels of scores."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.attribute_settings import CombinedAttribute, TiersAttribute
from datashop_assets.attributes.derive import boundaries, combine, levels, missing_reasons
from datashop_assets.attributes.distribution import Distribution, distribution
from datashop_assets.scoring.sketch import sketch

NAMES = ("a", "b")
PAIRS = st.lists(st.tuples(st.floats(-100, 100, width=32), st.floats(-100, 100, width=32)), min_size=1, max_size=60)


def frame(rows: list[tuple[float | None, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, dict.fromkeys(NAMES, pl.Float64), orient="row")


def combined(**changes: Any) -> CombinedAttribute:
    return CombinedAttribute.model_validate({"kind": "combined", "of": NAMES} | changes)


def distributions(scores: pl.DataFrame) -> dict[str, Distribution]:
    return {name: distribution(sketch(scores[name].drop_nulls(), 0.0)) for name in NAMES}


@given(PAIRS)
def test_the_best_and_the_worst_rank_bound_the_ranks_and_every_mean_between_them(
    rows: list[tuple[float, float]],
) -> None:
    scores = frame(rows)
    recorded = distributions(scores)
    ranks = np.stack([recorded[name].ranks(scores[name].to_numpy()) for name in NAMES])
    how = {
        "max": combined(how="max"),
        "min": combined(how="min"),
        "mean": combined(how="mean"),
        "weighted": combined(how="weighted", weights={"a": 3, "b": 1}),
    }
    made = {name: combine(scores, settings, recorded).to_numpy() for name, settings in how.items()}
    assert (made["max"] >= ranks).all()
    assert (made["min"] <= ranks).all()
    for mean in ("mean", "weighted"):
        assert (made["min"] - 1e-12 <= made[mean]).all()
        assert (made[mean] <= made["max"] + 1e-12).all()


@given(PAIRS)
def test_ranks_do_not_care_for_a_scores_unit(rows: list[tuple[float, float]]) -> None:
    scores = frame(rows)
    doubled = scores.with_columns(pl.col("a") * 2)
    settings = combined(how="mean")
    assert combine(scores, settings, distributions(scores)).equals(combine(doubled, settings, distributions(doubled)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"how": "max"}, 10.0, id="max"),
        pytest.param({"how": "min"}, 2.0, id="min"),
        pytest.param({"how": "mean"}, 6.0, id="mean"),
        pytest.param({"how": "weighted", "weights": {"a": 3, "b": 1}}, 4.0, id="weights are normalised"),
    ],
)
def test_scores_as_they_are(changes: dict[str, Any], expected: float) -> None:
    assert combine(frame([(2, 10)]), combined(normalize="none", **changes), {}).to_list() == [expected]


@pytest.mark.parametrize("normalize", ["rank", "none"])
def test_a_document_without_one_of_the_scores_has_none_and_the_reason_names_it(normalize: str) -> None:
    scores = frame([(1, 1), (None, 1), (1, None), (None, None)])
    made = combine(scores, combined(normalize=normalize), distributions(scores))
    assert [value is None for value in made] == [False, True, True, True]
    assert missing_reasons(scores, NAMES).to_list() == [None, "no_score:a", "no_score:b", "no_score:a"]


def tiers(**changes: Any) -> TiersAttribute:
    return TiersAttribute.model_validate({"kind": "tiers", "of": "a"} | changes)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=20, max_size=200, unique=True), st.integers(2, 20), st.randoms()
)
def test_levels_hold_equal_shares_and_rise_with_the_score(scores: list[float], count: int, chance: Any) -> None:
    chance.shuffle(scores)
    series = pl.Series(scores)
    made = levels(series, tiers(levels=count), distribution(sketch(series, 0.0)))
    assert made.sort().equals(made[series.arg_sort()])
    sizes = np.bincount(made.cast(pl.Int64).to_numpy(), minlength=count)
    assert len(sizes) == count
    assert sizes.max() - sizes.min() <= 1


def test_levels_by_named_shares_are_as_large_as_these() -> None:
    series = pl.Series([float(number) for number in range(100)])
    made = levels(series, tiers(quantiles=(0.5, 0.9)), distribution(sketch(series, 0.0)))
    assert dict(made.value_counts().iter_rows()) == {0.0: 50, 1.0: 40, 2.0: 10}
    assert boundaries(tiers(quantiles=(0.5, 0.9)), distribution(sketch(series, 0.0))) == [49.0, 89.0]


def test_equal_scores_share_a_level_and_a_document_without_score_has_none() -> None:
    series = pl.Series([1.0] * 9 + [2.0, None])
    made = levels(series, tiers(levels=5), distribution(sketch(series.drop_nulls(), 0.0)))
    assert made.to_list() == [0.0] * 9 + [4.0, None]
