"""What a user relies on: the asked share is kept exactly, and a cut-off changes only when it must."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.filter_settings import KeepFraction, Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.decide import CutoffError
from datashop_assets.records import CUTOFFS
from datashop_assets_tests.filtering.rankings import decide, verdicts

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEEP_30 = KeepFraction(keep_fraction=0.3, tolerance=0.05)


def scores(values: list[float | None], shard: str = "crawl-0") -> pl.DataFrame:
    return pl.DataFrame(
        {"shard": [shard] * len(values), "score": values}, schema={"shard": pl.String, "score": pl.Float32}
    )


def record_of(values: list[float | None], policy: KeepFraction | Threshold = KEEP_30) -> CutoffRecord:
    return decide(scores(values), policy, "lens", "a", None, now=NOW).record


def kept_by(record: CutoffRecord, values: list[float | None]) -> list[bool]:
    return verdicts(scores(values), record)["kept"].to_list()


def through_the_table(record: CutoffRecord) -> CutoffRecord:
    return CutoffRecord.from_row(pl.DataFrame([record.to_row()], schema=CUTOFFS.schema).to_dicts()[0])


float32s = st.one_of(st.floats(width=32), st.none(), st.sampled_from([0.1, 0.7, 3.0, -0.0, 0.0]))


@given(
    values=st.lists(float32s, min_size=1, max_size=60).filter(
        lambda values: any(v is not None and math.isfinite(v) for v in values)
    ),
    share=st.floats(0.001, 0.999),
)
def test_a_keep_fraction_keeps_the_k_best_and_what_ties_with_them(values: list[float | None], share: float) -> None:
    single = [None if v is None else float(np.float32(v)) for v in values]
    ranked = sorted((v for v in single if v is not None and math.isfinite(v)), reverse=True)
    worst_kept = ranked[max(1, round(share * len(ranked))) - 1]
    expected = [v is not None and math.isfinite(v) and v >= worst_kept for v in single]

    decision = decide(scores(values), KeepFraction(keep_fraction=share), "lens", "a", None)

    assert kept_by(decision.record, values) == expected
    assert decision.record.kept_share == sum(expected) / len(ranked)
    assert (decision.documents, decision.unscored) == (len(ranked), len(values) - len(ranked))


@given(
    values=st.lists(float32s, min_size=1, max_size=30).filter(
        lambda values: any(v is not None and math.isfinite(v) for v in values)
    ),
    bounds=st.tuples(st.none() | st.floats(-5, 5), st.none() | st.floats(-5, 5)).filter(lambda b: b != (None, None)),
    reverse=st.booleans(),
)
def test_a_stored_record_keeps_the_same_documents_in_single_and_double_precision(
    values: list[float | None], bounds: tuple[float | None, float | None], reverse: bool
) -> None:
    lower, upper = bounds if None in bounds else sorted(bounds)  # type: ignore[type-var]
    made = record_of(values, Threshold(lower=lower, upper=upper, reverse=reverse))
    record = through_the_table(made)

    in_double = []
    for value in scores(values)["score"].to_list():
        finite = value is not None and math.isfinite(value)
        inside = (
            finite
            and (record.lower is None or value >= record.lower)
            and (record.upper is None or value <= record.upper)
        )
        in_double.append(finite and inside != reverse)
    assert kept_by(record, values) == in_double


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(Threshold(lower=0.7), [0.7, 0.9], id="a score equal to the lower bound is kept"),
        pytest.param(Threshold(upper=0.7), [0.1, 0.7], id="a score equal to the upper bound is kept"),
        pytest.param(Threshold(lower=0.5, upper=0.8), [0.7], id="between the bounds"),
        pytest.param(Threshold(lower=0.5, upper=0.8, reverse=True), [0.1, 0.9], id="reverse keeps both ends"),
        pytest.param(Threshold(lower=0.7, reverse=True), [0.1], id="reverse with one bound keeps what is below it"),
        pytest.param(Threshold(lower=2.0), [], id="nothing reaches the bound"),
    ],
)
def test_thresholds_keep(policy: Threshold, expected: list[float]) -> None:
    values: list[float | None] = [0.1, 0.7, None, 0.9]
    record = record_of(values, policy)
    assert [v for v, kept in zip(values, kept_by(record, values), strict=True) if kept] == expected
    assert record.kept_share == pytest.approx(len(expected) / 3)


def test_equal_scores_at_the_bound_are_all_kept_and_the_realised_share_says_so() -> None:
    record = record_of([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], KeepFraction(keep_fraction=0.1))
    assert (record.lower, record.kept_share) == (1.0, 0.4)


TEN: list[float | None] = [float(n) for n in range(10)]


@pytest.mark.parametrize(
    ("values", "policy", "classifier", "is_new", "why"),
    [
        pytest.param(TEN, KEEP_30, "a", False, "within 0.05", id="nothing changed"),
        pytest.param([*TEN, 9.5, 0.5], KEEP_30, "a", False, "within 0.05", id="new shards, same share"),
        pytest.param([*TEN, 9.5, 9.6, 9.7], KEEP_30, "a", True, "keeps 0.4615", id="better shards moved the share"),
        pytest.param(TEN, KEEP_30, "b", True, "made for a", id="another classifier"),
        pytest.param(TEN, KeepFraction(keep_fraction=0.2), "a", True, "policy", id="another share"),
        pytest.param(TEN, Threshold(lower=7.0), "a", True, "policy", id="another kind of policy"),
        pytest.param(
            TEN, KeepFraction(keep_fraction=0.3, tolerance=0.01), "a", False, "within 0.01", id="another tolerance only"
        ),
    ],
)
def test_a_new_record_only_when(
    values: list[float | None], policy: KeepFraction | Threshold, classifier: str, is_new: bool, why: str
) -> None:
    before = record_of(TEN)
    decision = decide(scores(values), policy, "lens", classifier, before, now=NOW.replace(year=2027))
    assert decision.is_new == is_new
    assert (decision.record is before) == (not is_new)
    assert why in decision.why


def test_ties_that_no_bound_can_mend_do_not_make_a_record_each_time() -> None:
    values: list[float | None] = [1.0] * 5 + [0.0] * 5
    before = record_of(values, KEEP_30)
    after = decide(scores([*values, 1.0, 0.0]), KEEP_30, "lens", "a", before)
    assert after.record is before
    assert "equal scores" in after.why


def test_an_absolute_threshold_stands_however_the_share_moves() -> None:
    before = record_of(TEN, Threshold(lower=7.0))
    after = decide(scores([9.0] * 50), Threshold(lower=7.0), "lens", "a", before)
    assert (after.record is before, after.kept_share) == (True, 1.0)


def test_the_id_names_the_content_and_not_the_moment() -> None:
    ids = {
        decide(scores(TEN, shard), policy, lens, classifier, None, now=NOW.replace(year=year)).record.cutoff
        for shard, policy, lens, classifier, year in [
            ("crawl-0", KEEP_30, "lens", "a", 2026),
            ("crawl-0", KEEP_30, "lens", "a", 2027),
            ("crawl-1", KEEP_30, "lens", "a", 2026),
            ("crawl-0", KeepFraction(keep_fraction=0.5), "lens", "a", 2026),
            ("crawl-0", KEEP_30, "other", "a", 2026),
            ("crawl-0", KEEP_30, "lens", "b", 2026),
        ]
    }
    assert len(ids) == 5


def test_without_any_score_it_says_what_to_do() -> None:
    with pytest.raises(CutoffError, match=r"'lens'.*none of 2 documents.*materialize scores"):
        decide(scores([None, math.nan]), KEEP_30, "lens", "a", None)


def test_a_record_survives_the_table() -> None:
    record = replace(record_of(TEN), upper=None)
    assert through_the_table(record) == record
