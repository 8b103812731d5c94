"""How the scores of several names compare: distributions, rank correlations, best tenths in common, nulls by reason.

What belongs here: drawing a sample, the figures, their record. What does not: pictures and tables (`assets.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, Literal

import polars as pl

from datashop_assets.attributes.produce import source_scores
from datashop_assets.corpus.registry import active_shards
from datashop_assets.lineage import content_id, stable_fraction
from datashop_assets.project import Project
from datashop_assets.scoring.sources import ScoreSource, score_source
from datashop_assets.scoring.tables import ATTRIBUTE_REPORTS, ATTRIBUTE_SCORES
from datashop_assets.seams import Lake

# Documents that are compared, of whole shards in an order drawn by their keys' hash; a correlation of 20,000 documents
# is known to 0.014 (95 %).
SAMPLE = 20_000
BEST = 0.1


@dataclass(frozen=True, eq=False)
class AttributeReport:
    """`scores` has a row a name, `pairs` one for each two names; `samples` are the names' scores in the sample.

    `left_out` says of the names without scores why they have none.
    """

    names: list[str]
    documents: int
    scores: pl.DataFrame
    pairs: pl.DataFrame
    samples: Mapping[str, pl.Series]
    left_out: Mapping[str, str]

    def matrix(self, figure: Literal["spearman", "overlap"]) -> list[list[float | None]]:
        """The pairs' figures, both ways round; of a name with itself 1, null where there is none."""
        known = {frozenset((a, b)): value for a, b, value in self.pairs.select("first", "second", figure).iter_rows()}
        return [[1.0 if a == b else known.get(frozenset((a, b))) for b in self.names] for a in self.names]

    def matrix_frame(self, figure: Literal["spearman", "overlap"]) -> pl.DataFrame:
        """The same as a table: a row and a column a name."""
        columns = dict(zip(self.names, zip(*self.matrix(figure), strict=True), strict=True))
        return pl.DataFrame({"": self.names} | {name: list(values) for name, values in columns.items()})


def report_attributes(
    lake: Lake, project: Project, names: Sequence[str], lineage: Mapping[str, Any]
) -> AttributeReport:
    """Compare those of the names that have scores, over the same documents, and keep the figures as a record.

    Raises LookupError where none has scores, or no shard has scores of all of them.
    """
    sources, left_out = _sources(lake, project, names)
    shards = _common_shards(lake, sources, [shard.shard for shard in active_shards(lake, project)])
    sample, used = _sample(lake, sources, shards)
    made = AttributeReport(
        [source.name for source in sources],
        sample.height,
        pl.DataFrame([_about(lake, source, sample, used) for source in sources], infer_schema_length=None),
        pl.DataFrame(
            [pair(sample, a.name, b.name) for a, b in combinations(sources, 2)],
            schema={"first": pl.String, "second": pl.String, "spearman": pl.Float64, "overlap": pl.Float64, "n": int},
        ),
        {source.name: sample[source.name].drop_nulls() for source in sources},
        left_out,
    )
    _record(lake, made, lineage)
    return made


def pair(sample: pl.DataFrame, first: str, second: str) -> dict[str, Any]:
    """Spearman's rank correlation (ties share their mean rank) and the share of the two best tenths in common, over the
    documents with both scores; null where one of them does not vary, or there are fewer than ten.

    A tenth that ends among equal scores takes those with the smaller ids, so that it is a tenth.
    """
    both = sample.select("id", first, second).drop_nulls()
    enough = both.height >= 1 / BEST and both[first].n_unique() > 1 and both[second].n_unique() > 1
    if not enough:
        return {"first": first, "second": second, "spearman": None, "overlap": None, "n": both.height}
    size = int(both.height * BEST)
    best = [both.sort(name, "id", descending=[True, False])["id"][:size] for name in (first, second)]
    return {
        "first": first,
        "second": second,
        "spearman": both.select(pl.corr(first, second, method="spearman")).item(),
        "overlap": int(best[0].is_in(best[1].implode()).sum()) / size,
        "n": both.height,
    }


def _sources(lake: Lake, project: Project, names: Sequence[str]) -> tuple[list[ScoreSource], dict[str, str]]:
    sources, left_out = [], {}
    for name in names:
        try:
            sources.append(score_source(lake, project, name))
        except LookupError as error:
            left_out[name] = str(error)
    if not sources:
        raise LookupError("\n".join(left_out.values()))
    return sources, left_out


def _common_shards(lake: Lake, sources: Sequence[ScoreSource], active: Sequence[str]) -> list[str]:
    common = set(active)
    for source in sources:
        cells = lake.cells(source.table).filter(pl.col("classifier") == source.classifier)
        common &= set(cells["shard"])
    if not common:
        names = [source.name for source in sources]
        raise LookupError(f"no shard has scores of all of {names}; materialize them over the same shards first")
    return sorted(common)


def _sample(lake: Lake, sources: Sequence[ScoreSource], shards: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """`id` and the scores of the documents of whole shards, up to SAMPLE of them; and these shards."""
    frames: list[pl.DataFrame] = []
    used: list[str] = []
    for shard in sorted(shards, key=lambda key: (stable_fraction(key), key)):
        used.append(shard)
        frames.append(source_scores(lake, sources, shard).with_columns(id=pl.format("{}/{}", pl.lit(shard), "id")))
        if sum(frame.height for frame in frames) >= SAMPLE:
            break
    return pl.concat(frames).head(SAMPLE), used


def _about(lake: Lake, source: ScoreSource, sample: pl.DataFrame, shards: Sequence[str]) -> dict[str, Any]:
    scores = sample[source.name].drop_nulls()
    quantiles = {f"{q:.0%}": scores.quantile(q, "nearest") for q in (0.0, 0.1, 0.5, 0.9, 1.0)}
    return {
        "name": source.name,
        "classifier": source.classifier,
        "documents": sample.height,
        "without score": _reasons(lake, source, shards),
        "mean": scores.mean(),
        **quantiles,
    }


def _reasons(lake: Lake, source: ScoreSource, shards: Sequence[str]) -> str:
    """Nulls by reason over the shards, the commonest first."""
    if "reason" not in source.table.columns:
        return ""
    rows = lake.scan(ATTRIBUTE_SCORES.of(source.name), {"shard": shards, "classifier": [source.classifier]})
    counts = rows.drop_nulls("reason").group_by("reason").len().sort("len", "reason", descending=True).collect()
    return ", ".join(f"{count} {reason}" for reason, count in counts.iter_rows())


def _record(lake: Lake, made: AttributeReport, lineage: Mapping[str, Any]) -> None:
    """Keep the figures, unless the newest record says the same."""
    pairs = made.pairs.to_dicts()
    report = content_id(made.scores.to_dicts(), pairs)
    newest = lake.scan(ATTRIBUTE_REPORTS).sort("created_at").select("report").tail(1).collect()["report"]
    if newest.to_list() == [report]:
        return
    row = {
        "report": report,
        "documents": made.documents,
        "scores": json.dumps(made.scores.to_dicts()),
        "correlations": json.dumps([{k: p[k] for k in ("first", "second", "spearman", "n")} for p in pairs]),
        "overlaps": json.dumps([{k: p[k] for k in ("first", "second", "overlap", "n")} for p in pairs]),
        "created_at": datetime.now(UTC),
    }
    lake.commit(ATTRIBUTE_REPORTS, pl.DataFrame([row], schema=ATTRIBUTE_REPORTS.schema), None, lineage)
