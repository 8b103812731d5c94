"""What people are shown of a cut-off: counts by verdict and by source, scores to draw, bounds to draw beside them.

What belongs here: tables and numbers out of a decision. What does not: deciding (`decide.py`), drawing (`plots.py`).
"""

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.filter_settings import Quotas
from datashop_assets.filtering.cutoff import CutoffRecord, Reason, bounds_of
from datashop_assets.filtering.decide import Corpus, Decision
from datashop_assets.scoring.sketch import merge

# A histogram of so many equally spaced order statistics looks like one of all of them.
SHOWN_SCORES = 20_000
SHOWN_BOUNDS = 6
# An error of more than this part of the kept share is one that people should know of.
POOR_ERROR = 0.1


def cutoff_facts(decision: Decision) -> dict[str, Any]:
    """The decision in single values."""
    record = decision.record
    bounds = {name: bound for name, bound in (("lower", record.lower), ("upper", record.upper)) if bound is not None}
    return {
        **bounds,
        "cutoff": record.cutoff,
        "classifier": record.classifier,
        "kept share": decision.kept_share,
        "bound on the error of a share": record.share_error,
        "documents": decision.documents,
        "unscored": decision.unscored,
        "skipped": not decision.is_new,
        "why": decision.why,
    }


def by_verdict(corpus: Corpus, decision: Decision) -> pl.DataFrame:
    """One row [verdict, documents] for each that there are: kept, not kept by score, and each reason besides."""
    ranked, kept = sum(sketch.n for sketch in corpus.ranked.values()), sum(decision.kept.values())
    counts = {Reason.KEPT.value: kept, "not kept by score": ranked - kept}
    for reasons in corpus.unranked.values():
        for reason, documents in sorted(reasons.items()):
            counts[reason] = counts.get(reason, 0) + documents
    return pl.DataFrame(list(counts.items()), schema={"verdict": pl.String, "documents": pl.Int64}, orient="row")


def by_source(corpus: Corpus, decision: Decision) -> pl.DataFrame:
    """One row [source, documents, kept, share, at least] for each source that has a bound of its own; empty where all
    documents have one. `documents` are those that are ranked."""
    rows = [
        (
            source,
            ranked.n,
            decision.kept[source],
            decision.kept[source] / ranked.n if ranked.n else None,
            bounds_of(decision.record, source).lower,
        )
        for source, ranked in corpus.ranked.items()
        if source
    ]
    schema = {
        "source": pl.String,
        "documents": pl.Int64,
        "kept": pl.Int64,
        "share": pl.Float64,
        "at least": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def cutoff_problems(record: CutoffRecord) -> list[str]:
    """What a person should look at in a record; empty where there is nothing."""
    problems = []
    if record.kept_share in (0, 1):
        problems.append("nothing is kept" if record.kept_share == 0 else "everything is kept")
    if record.share_error > POOR_ERROR * record.kept_share > 0:
        problems.append(
            f"the kept share {record.kept_share:.4g} is known to within {record.share_error:.2g} only: "
            "set a smaller share_error"
        )
    policy = record.ranking.rule.policy
    if isinstance(policy, Quotas):
        asked = [source for source, quota in policy.quotas.items() if quota.documents != 0]
        if gone := sorted(source for source in asked if math.isinf(bounds_of(record, source).lower or 0)):
            problems.append(f"no documents of the sources {gone} were ranked: are they spelled as in the corpus?")
    return problems


def shown_scores(corpus: Corpus) -> NDArray[np.float32]:
    """The ranked scores, or equally spaced ones of very many, for a histogram."""
    return merge(corpus.ranked.values()).spread(SHOWN_SCORES)


def drawn_bounds(record: CutoffRecord) -> dict[str, float]:
    """The bounds by name, those of a few sources alone."""
    bounds = {"lower": record.lower, "upper": record.upper}
    if len(record.lower_by_source) <= SHOWN_BOUNDS:
        bounds |= record.lower_by_source
    return {name: bound for name, bound in bounds.items() if bound is not None and np.isfinite(bound)}
