"""Summaries of each shard's ranked scores, kept so that a cut-off over the corpus reads only what is new.

What belongs here: making, keeping and merging them. What does not: the summary itself (`scoring/sketch.py`), what a
document is ranked by (`candidates.py`), what follows for the cut-off (`decide.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from datashop_assets.cellwork import Produced, Target, have, refresh
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.filtering.candidates import Candidates
from datashop_assets.filtering.decide import Corpus
from datashop_assets.filtering.rule import Ranking
from datashop_assets.filtering.state import ranking_versions, releasable_shards, why_waiting
from datashop_assets.filtering.tables import SCORE_SKETCHES
from datashop_assets.project import Project
from datashop_assets.records import SCORES, Cell
from datashop_assets.scoring.sketch import ScoreSketch, merge, sketch
from datashop_assets.seams import Lake

# One commit, and one look at the table, for as many shards: at most 24 kB each at the default error.
SHARDS_AT_ONCE = 512


@dataclass(frozen=True)
class Sketched:
    """Which shards of a ranking have summaries: the scored documents of the cells whose summary is `current`, is
    `outdated`, or is `missing`; `wanted` are the cells' versions, `waiting` those that cannot be ranked yet."""

    wanted: Mapping[Cell, str]
    current: Mapping[Cell, int]
    outdated: dict[Cell, int]
    missing: dict[Cell, int]
    waiting: Mapping[Cell, Exception]

    @property
    def unsummarised(self) -> dict[str, int]:
        """The documents of each shard whose summary is outdated or missing, in crawl order."""
        return {cell.shard: (self.missing | self.outdated)[cell] for cell in self.wanted if cell not in self.current}

    @property
    def scored(self) -> dict[str, int]:
        """The documents of each shard that can be ranked, in crawl order."""
        documents = {**self.current, **self.missing, **self.outdated}
        return {cell.shard: documents[cell] for cell in self.wanted}


def sketched(lake: Lake, ranking: Ranking, project: Project) -> Sketched:
    """Compare what is stored with every shard that has scored documents and can be released; no rows are read.

    The others have no part in a cut-off: they would take up its keep-fraction.
    """
    scored = lake.cells(SCORES.of(ranking.lens)).filter(
        pl.col("classifier") == ranking.classifier,
        pl.col("shard").is_in(releasable_shards(lake, project)),
        pl.col("rows") > 0,
    )
    scored = scored.select("shard", "rows").sort("shard")
    rows = {Cell(shard, ranking.lens): documents for shard, documents in scored.iter_rows()}
    wanted, waiting = ranking_versions(lake, ranking, project, list(rows))
    stored = {cell: version for cell, (version, _) in have(lake, sketches_target(ranking), list(wanted)).items()}
    return Sketched(
        wanted,
        {cell: rows[cell] for cell, version in wanted.items() if stored.get(cell) == version},
        {cell: rows[cell] for cell, version in wanted.items() if cell in stored and stored[cell] != version},
        {cell: rows[cell] for cell in wanted if cell not in stored},
        waiting,
    )


def sketches_target(ranking: Ranking) -> Target:
    """Where the summaries of a ranking stand."""
    name = ranking.id
    return Target(SCORE_SKETCHES.of(ranking.lens), lambda cell: {"shard": cell.shard, "ranking": name})


def update_sketches(lake: Lake, ranking: Ranking, project: Project, lineage: Mapping[str, Any]) -> int:
    """Make and commit the summaries that are missing or outdated, reading those shards' scores alone; how many."""

    state = sketched(lake, ranking, project)
    seen = Candidates(lake, ranking, project, state.unsummarised)

    def produce(cell: Cell) -> Produced:
        return Produced(sketch_rows(seen.of(cell.shard), ranking.rule.policy.share_error))

    made = refresh(lake, sketches_target(ranking), state.wanted, produce, lineage, batch_cells=SHARDS_AT_ONCE)
    return sum(not outcome.skipped for outcome in made)


def sketch_rows(rows: pl.DataFrame, share_error: float) -> pl.DataFrame:
    """One row [source, values, weights, uncertain, unranked] for each source of a shard's candidates."""
    summaries = []
    for (source,), group in sorted(rows.group_by("source"), key=lambda item: str(item[0][0])):
        ranked = sketch(group["key"].drop_nulls(), share_error)
        reasons = group["reason"].drop_nulls().value_counts().sort("reason")
        summaries.append(
            {
                "source": source,
                "values": ranked.values.tolist(),
                "weights": ranked.weights.tolist(),
                "uncertain": ranked.uncertain,
                "unranked": reasons.select("reason", documents="count").to_dicts(),
            }
        )
    schema = {
        name: dtype for name, dtype in SCORE_SKETCHES.schema.items() if name not in {"ranking", "shard", "version"}
    }
    return pl.DataFrame(summaries, schema=schema)


def ranked_corpus(
    lake: Lake,
    ranking: Ranking,
    project: Project,
    ranked_by: Callable[[str, pl.DataFrame], pl.DataFrame] | None = None,
) -> Corpus:
    """The whole corpus as it is scored now, from the stored summaries; those that are missing or outdated are made in
    memory. With `ranked_by`, which makes a shard's candidates out of its rows as they were read, all are.

    Raises MissingUpstreamError where shards are scored and not one of them can be ranked.
    """
    state = sketched(lake, ranking, project)
    if state.waiting and not state.wanted:
        raise MissingUpstreamError(why_waiting(state.waiting))
    ranked: dict[str, ScoreSketch] = {}
    unranked: dict[str, dict[str, int]] = {}
    stored = _stored(lake, ranking, state) if ranked_by is None else []
    unsummarised = state.unsummarised if ranked_by is None else state.scored
    made = _made(Candidates(lake, ranking, project, unsummarised), ranked_by)
    for rows in chain(stored, made):
        for (source,), group in rows.group_by("source", maintain_order=True):
            name = str(source)
            ranked[name] = merge([*([ranked[name]] if name in ranked else []), *_sketches(group)])
            counts = unranked.setdefault(name, {})
            for reason, documents in group.select(pl.col("unranked").explode()).unnest("unranked").iter_rows():
                if reason is not None:
                    counts[reason] = counts.get(reason, 0) + documents
    shards = tuple(sorted(cell.shard for cell in state.wanted))
    return Corpus(dict(sorted(ranked.items())), unranked, shards, tuple(sorted(cell.shard for cell in state.waiting)))


def _stored(lake: Lake, ranking: Ranking, state: Sketched) -> Iterator[pl.DataFrame]:
    """The summaries that are stored and current, many at a time, in an order that does not change."""
    for shards in _many(sorted(cell.shard for cell in state.current)):
        where = {"ranking": [ranking.id], "shard": shards}
        yield lake.scan(SCORE_SKETCHES.of(ranking.lens), where).collect().sort("shard", "source")


def _made(
    seen: Candidates, ranked_by: Callable[[str, pl.DataFrame], pl.DataFrame] | None = None
) -> Iterator[pl.DataFrame]:
    """The summaries of the candidates' shards, made now, many at a time."""
    share_error = seen.ranking.rule.policy.share_error
    for shards in _many(list(seen.rows)):
        rows = (seen.of(shard) if ranked_by is None else ranked_by(shard, seen.read(shard)) for shard in shards)
        yield pl.concat([sketch_rows(each, share_error) for each in rows])


def _many(shards: Sequence[str]) -> Iterator[Sequence[str]]:
    return (shards[start : start + SHARDS_AT_ONCE] for start in range(0, len(shards), SHARDS_AT_ONCE))


def _sketches(rows: pl.DataFrame) -> Iterator[ScoreSketch]:
    for values, weights, uncertain in zip(rows["values"], rows["weights"], rows["uncertain"], strict=True):
        yield ScoreSketch(values.to_numpy(), weights.to_numpy(), uncertain)
