"""What is known of a lens's raters: how they follow the exemplars of known score, and each other.

What belongs here: asking about the exemplars, and which judgements are compared. What does not: the measures
(`agreement.py`), pictures and tables (the asset).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.estimate import Estimate
from datashop_assets.rating.agreement import agreement, level_counts
from datashop_assets.rating.annotate import Log, annotate
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Exemplar, Lens
from datashop_assets.records import ANNOTATIONS, EXEMPLAR_RATINGS
from datashop_assets.seams import Lake, Progress, Rater

# A pair of raters is compared on so many documents at most, those with the smallest text hash: the intervals are narrow
# by then, and the measures take some 20 ms for each of the resamples.
MOST_COMPARED = 10_000
# Stands in the place of the shard where exemplars are rated.
CHECK = "check"


@dataclass(frozen=True)
class AgainstExemplars:
    """A rater's scores of the lens's check exemplars beside the known ones; `failed` were not judged."""

    rater: str
    known: tuple[float, ...]
    given: tuple[float, ...]
    failed: int
    figures: Mapping[str, Estimate | None]


@dataclass(frozen=True)
class Pair:
    """Two raters on the documents that both judged: `both` of them, of which figures and `counts` (by level, first
    rater's in rows) compare at most MOST_COMPARED."""

    first: str
    second: str
    both: int
    counts: NDArray[np.int64]
    figures: Mapping[str, Estimate | None]


def rate_exemplars(
    lake: Lake,
    lens: Lens,
    rater: Rater,
    staging: Callable[..., Progress],
    lineage: Mapping[str, Any],
    log: Log,
) -> None:
    """Have the rater judge the lens's check exemplars, and keep that in the lake.

    What it judged before through the same version of the lens is not asked again, but for what failed.
    """
    table = EXEMPLAR_RATINGS.of(lens.name)
    cell = {"shard": CHECK, "rater": rater.id}
    exemplars = {_digest(exemplar): exemplar for exemplar in lens.used_for("check")}
    ids = pl.Series("id", list(exemplars), pl.String)
    progress = staging("exemplars", lens.name, lens.version, rater.id)

    def existing() -> pl.LazyFrame:
        return lake.scan(table, {name: [value] for name, value in cell.items()})

    def read(rows: pl.DataFrame) -> Iterator[Document]:
        return (Document(exemplars[id_].text, exemplars[id_].fields) for id_ in rows["id"])

    sampled = pl.DataFrame({"id": ids, "text_sha": ids})
    rows = annotate(sampled, read, lens, rater, existing, progress, log=log).rows
    if progress.scan() is None:
        return  # nothing is new
    address = {**cell, "version": lens.version}
    frame = rows.with_columns(**{name: pl.lit(value) for name, value in address.items()})
    lake.commit(table, frame.select(list(table.schema)), [address], lineage)
    progress.clear()


def against_exemplars(lake: Lake, lens: Lens, raters: Mapping[str, str]) -> list[AgainstExemplars]:
    """How each of the raters (id -> name to show) scored the lens's exemplars; those that never did are left out."""
    known = {_digest(exemplar): exemplar.score for exemplar in lens.used_for("check")}
    rows = (
        lake.scan(EXEMPLAR_RATINGS.of(lens.name), {"rater": list(raters)})
        .filter(pl.col("lens_version") == lens.version)
        .select("rater", "id", "score")
        .sort("id")
        .collect()
    )
    found = []
    for rater, name in raters.items():
        mine = rows.filter(pl.col("rater") == rater)
        judged = mine.drop_nulls("score")
        agreed, given = tuple(known[id_] for id_ in judged["id"]), tuple(judged["score"])
        figures = agreement(agreed, given, lens.low, lens.high)
        if mine.height:
            found.append(AgainstExemplars(name, agreed, given, mine.height - judged.height, figures))
    return found


def pairs(lake: Lake, lens: Lens, raters: Mapping[str, str]) -> list[Pair]:
    """Every two of the raters (id -> name to show) that judged the same documents through the lens as it is now."""
    found = []
    for first, second, both, compared in judged_by_both(lake, lens, raters, "score"):
        scores = compared["score"], compared["score_second"]
        counts = level_counts(*scores, lens.low, lens.high)
        figures = agreement(*scores, lens.low, lens.high)
        found.append(Pair(first, second, both, counts, figures))
    return found


def judged_by_both(
    lake: Lake, lens: Lens, raters: Mapping[str, str], column: str
) -> Iterator[tuple[str, str, int, pl.DataFrame]]:
    """Every two raters' names, how many documents both judged, and MOST_COMPARED of these at most with `column` of the
    first rater and, as `<column>_second`, of the second. Pairs without such a document are left out."""
    judged = (
        lake.scan(ANNOTATIONS.of(lens.name), {"rater": list(raters)})
        .filter(pl.col("lens_version") == lens.version, pl.col("reason").is_null())
        .select("rater", "shard", "id", "text_sha", column)
        .collect()
    )
    by_rater = {rater: judged.filter(pl.col("rater") == rater) for rater in raters}
    for first, second in combinations(raters, 2):
        both = by_rater[first].join(by_rater[second], on=["shard", "id", "text_sha"], suffix="_second")
        if not both.is_empty():
            compared = both.bottom_k(MOST_COMPARED, by=["text_sha", "shard", "id"])
            yield raters[first], raters[second], both.height, compared


def exemplar_table(compared: Sequence[AgainstExemplars]) -> pl.DataFrame:
    """One row a rater: judged and failed exemplars, and every measure with its interval as text."""
    return pl.DataFrame(
        [
            {"rater": each.rater, "exemplars": len(each.given), "failed": each.failed} | _as_text(each.figures)
            for each in compared
        ]
    )


def pair_table(compared: Sequence[Pair]) -> pl.DataFrame:
    """One row a pair: documents that both judged, and every measure with its interval as text."""
    return pl.DataFrame(
        [
            {"first": pair.first, "second": pair.second, "both judged": pair.both} | _as_text(pair.figures)
            for pair in compared
        ]
    )


def _as_text(figures: Mapping[str, Estimate | None]) -> dict[str, str]:
    return {name.replace("_", " "): str(figure) if figure else "not defined" for name, figure in figures.items()}


def names_of(lake: Lake, lens: Lens, known: Mapping[str, str]) -> dict[str, str]:
    """Id -> name of every rater with judgements through the lens: that of `known`, else its id; `known` ones first."""
    there = lake.cells(ANNOTATIONS.of(lens.name))["rater"].unique().sort().to_list()
    return {**known, **{rater: rater for rater in there if rater not in known}}


def _digest(exemplar: Exemplar) -> str:
    content = exemplar.text
    if exemplar.fields:
        content += "\n" + json.dumps(exemplar.fields, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
