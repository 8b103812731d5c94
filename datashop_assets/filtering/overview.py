"""What people are shown of a cut-off: counts by verdict and by source, scores to draw, bounds to draw beside them.

What belongs here: tables and numbers out of a decision. What does not: deciding (`decide.py`), drawing (`plots.py`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.deduplication.tables import Rejection
from datashop_assets.filter_settings import Quotas
from datashop_assets.filtering.cutoff import CutoffRecord, Reason, bounds_of
from datashop_assets.filtering.decide import Corpus, Decision
from datashop_assets.records import FILTERED
from datashop_assets.scoring.sketch import merge
from datashop_assets.seams import Lake

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
            "set a smaller share_error; where documents were left to `filtered_documents` to score, materialize "
            "`cutoff` again after it"
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


def funnel_steps(verdicts: pl.DataFrame) -> dict[str, int]:
    """How many documents are left after each step of the filter, in its order, from rows [verdict, documents]; steps
    that drop none are left out, but for the first and the last."""
    counts = dict(verdicts.select("verdict", "documents").iter_rows())
    shown, left = {"documents": sum(counts.values())}, sum(counts.values())
    steps: dict[str, list[Reason] | list[Rejection]] = {
        "not of the annotation pool": [Reason.ANNOTATION_POOL_ONLY],
        "no copy, no evaluation item": list(Rejection),
        "in the population": [Reason.NOT_IN_POPULATION],
        "with all scores": [Reason.UNSCORED],
        "fulfil the condition": [Reason.CONDITION],
    }
    for name, reasons in steps.items():
        if lost := sum(counts.get(reason.value, 0) for reason in reasons):
            left -= lost
            shown[name] = left
    return shown | {"kept": counts.get(Reason.KEPT.value, 0)}


def verdicts_in_table(lake: Lake, lens: str, shards: Sequence[str], version: int) -> pl.DataFrame:
    """Rows [verdict, documents] of the shards' filtered documents as the table had them at a version, the most
    documents first; one column is read."""
    rows = lake.scan(FILTERED.of(lens), {"shard": shards}, version).group_by(verdict="reason")
    counts = rows.agg(documents=pl.len().cast(pl.Int64)).collect(engine="streaming")
    return counts.sort("documents", "verdict", descending=[True, False])


def source_tables(manifest: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Table to (asset that writes it, version that was read) of a release, from its manifest."""
    assets = {"cutoffs": "cutoff", "attribute_scores": "attributes", "exact_scores": "filtered_documents"}
    families = {name: name.split("/")[0] for name in manifest["tables"]}
    return {name: (assets.get(family, family), manifest["tables"][name]) for name, family in families.items()}
