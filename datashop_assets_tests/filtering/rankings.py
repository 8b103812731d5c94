"""Scores in memory as the filter sees them, without a lake."""

from datetime import datetime

import polars as pl

from datashop_assets.filtering import decide as deciding
from datashop_assets.filtering.cutoff import CutoffRecord, Reason
from datashop_assets.filtering.decide import Corpus, Decision
from datashop_assets.filtering.filter import apply
from datashop_assets.filtering.rule import Policy, Rule
from datashop_assets.scoring.sketch import sketch


def candidates(scores: pl.DataFrame) -> pl.DataFrame:
    """Rows [score, and source where there are several] as `candidates.candidates` gives them."""
    finite = pl.col("score").is_finite().fill_null(False)
    source = pl.col("source") if "source" in scores.columns else pl.lit("")
    return scores.select(
        id=pl.col("id") if "id" in scores.columns else pl.int_range(pl.len()).cast(pl.String),
        source=source,
        key=pl.when(finite).then(pl.col("score").cast(pl.Float32)),
        reason=pl.when(~finite).then(pl.lit(Reason.UNSCORED.value)),
        detail=pl.when(~finite).then(pl.lit("teaching")),
    )


def corpus(scores: pl.DataFrame, policy: Policy) -> Corpus:
    """Rows [shard, score, and source where there are several], summarised."""
    rows = candidates(scores)
    ranked = {
        str(source): sketch(group["key"].drop_nulls(), policy.share_error)
        for (source,), group in sorted(rows.group_by("source"))
    }
    unscored = {
        str(source): {Reason.UNSCORED.value: int(group["reason"].is_not_null().sum())}
        for (source,), group in rows.group_by("source")
    }
    return Corpus(ranked, unscored, tuple(scores["shard"].unique().sort()))


def decide(
    scores: pl.DataFrame,
    policy: Policy,
    lens: str,
    classifier: str,
    previous: CutoffRecord | None,
    now: datetime | None = None,
) -> Decision:
    return deciding.decide(corpus(scores, policy), Rule(policy), lens, classifier, previous, now=now)


def verdicts(scores: pl.DataFrame, record: CutoffRecord, pool_only: bool = False) -> pl.DataFrame:
    return apply(candidates(scores), record, pool_only)
