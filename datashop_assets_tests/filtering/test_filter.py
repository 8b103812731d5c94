"""Every document gets a verdict and a reason, in its place."""

from datetime import UTC, datetime

import polars as pl
import pytest

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.filter import reason_counts
from datashop_assets.records import FILTERED
from datashop_assets_tests.filtering.rankings import decide, verdicts

SCORES = pl.DataFrame(
    {"shard": ["s"] * 5, "id": ["e", "d", "c", "b", "a"], "score": [0.0, 1.0, None, 2.0, float("nan")]},
    schema_overrides={"score": pl.Float32},
)


@pytest.mark.parametrize(
    ("policy", "pool_only", "reasons"),
    [
        pytest.param(
            Threshold(lower=1.0, upper=1.5),
            False,
            ["below_lower", "kept", "unscored", "above_upper", "unscored"],
            id="a range",
        ),
        pytest.param(
            Threshold(lower=1.0, upper=1.5, reverse=True),
            False,
            ["kept", "inside_excluded_range", "unscored", "kept", "unscored"],
            id="a reversed range never keeps what has no score",
        ),
        pytest.param(
            Threshold(lower=0.0),
            True,
            ["annotation_pool_only"] * 5,
            id="a pool shard keeps nothing, whatever the score",
        ),
    ],
)
def test_reasons(policy: Threshold, pool_only: bool, reasons: list[str]) -> None:
    record = decide(SCORES, policy, "lens", "a", None, now=datetime(2026, 1, 1, tzinfo=UTC)).record
    filtered = verdicts(SCORES, record, pool_only)
    assert filtered["id"].to_list() == ["e", "d", "c", "b", "a"]
    assert filtered["reason"].to_list() == reasons
    assert filtered["kept"].to_list() == [reason == "kept" for reason in reasons]
    assert {name: FILTERED.schema[name] for name in filtered.columns} == dict(filtered.schema)
    counts = reason_counts(filtered)
    assert {reason: n for reason, n in counts.items() if n} == {r: reasons.count(r) for r in set(reasons)}
    assert sum(counts.values()) == SCORES.height


def test_an_empty_shard_stays_empty() -> None:
    record = decide(SCORES, Threshold(lower=0.0), "lens", "a", None).record
    filtered = verdicts(SCORES.clear(), record)
    assert filtered.height == 0
    assert set(reason_counts(filtered).values()) == {0}
