"""Several strategies on one pool, side by side: what each takes, and how much they take alike.

What belongs here: running strategies x budgets x seeds, and the frames of figures. What does not: how diversity is
measured (`diversity.py`), plots and tables in the lake, which strategy is better to train on (the evaluation stage).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.diversity import Diversity, diversity
from datashop_assets.selection.pool import Pool, Ranking, Rows, SelectionError, Strategy

# Documents of a subset that look for their nearest: on 300,000 x 384 that is half a TFLOP, all would be 70.
NEAREST_ASKED = 2000

SELECTION = {"strategy": pl.String, "budget": pl.String, "seed": pl.Int64}
SELECTIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    **SELECTION,
    "rows": pl.Int64,
    "tokens": pl.Int64,
    "mean_score": pl.Float64,
    "scored": pl.Int64,
    "mean_curated_score": pl.Float64,
    "curated": pl.Int64,
    "vendi": pl.Float64,
    "nearest_distance": pl.Float64,
    "nearest_margin": pl.Float64,
    "nearest_asked": pl.Int64,
    "notes": pl.List(pl.String),
}
FIGURES = ("rows", "tokens", "mean_score", "mean_curated_score", "vendi", "nearest_distance")
SOURCES = {**SELECTION, "source": pl.String, "rows": pl.Int64, "share": pl.Float64}
LEFT_OUT = {**SELECTION, "reason": pl.String, "rows": pl.Int64}
OVERLAP = {
    "budget": pl.String,
    "strategy": pl.String,
    "other": pl.String,
    "jaccard": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "by_chance": pl.Float64,
    "seeds": pl.Int64,
}
AGREEMENT = {
    "strategy": pl.String,
    "budget": pl.String,
    "jaccard": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "pairs": pl.Int64,
}


@dataclass(frozen=True)
class Comparison:
    """Frames of figures, in the order of the strategies, budgets and seeds asked for; a missing figure is null.

    `selections` (SELECTIONS), a row for each strategy, budget and seed: its documents and tokens, the mean score of
    those `scored` and the mean curated score of those `curated`, its diversity as of `diversity.Diversity` (over what
    has a direction), and the notes of its ranking. `sources` (SOURCES): its documents by source. `left_out`
    (LEFT_OUT): the rest of the pool by reason. `overlap` (OVERLAP): for two strategies at one budget the mean Jaccard
    index of what they take with the same seed, its extremes, and what two independent uniform draws of their sizes
    have in common. `agreement` (AGREEMENT): for a strategy at one budget the same over all pairs of seeds.
    """

    selections: pl.DataFrame
    sources: pl.DataFrame
    left_out: pl.DataFrame
    overlap: pl.DataFrame
    agreement: pl.DataFrame

    def summary(self) -> pl.DataFrame:
        """A row for each strategy and budget: the means of FIGURES over the seeds, their least and greatest value as
        `<figure>_lowest` and `<figure>_highest`, the number of `seeds`, and the seeds' `agreement`.
        """
        figures = pl.col(*FIGURES)
        return (
            self.selections.group_by("strategy", "budget", maintain_order=True)
            .agg(
                figures.mean(),
                figures.min().name.suffix("_lowest"),
                figures.max().name.suffix("_highest"),
                seeds=pl.len(),
            )
            .join(
                self.agreement.select("strategy", "budget", agreement="jaccard"),
                on=["strategy", "budget"],
                maintain_order="left",
            )
        )


@dataclass(frozen=True)
class _Subset:
    strategy: str
    budget: str
    seed: int
    ranking: Ranking
    rows: Rows  # in the order of the pool


def compare(pool: Pool, strategies: Sequence[Strategy], budgets: Sequence[Budget], seeds: Sequence[int]) -> Comparison:
    """What every strategy takes of the pool at every budget with every seed.

    Raises SelectionError where one of the three is empty or stands twice (strategies by name), and whatever a strategy
    raises, with its name in front.
    """
    for kind, names in {
        "strategy": [strategy.name for strategy in strategies],
        "budget": [str(budget) for budget in budgets],
        "seed": [str(seed) for seed in seeds],
    }.items():
        if not names or len(set(names)) < len(names):
            raise SelectionError(f"a comparison needs each {kind} once, and one or more; it got {names}")
    subsets = [_subset(strategy, pool, budget, seed) for strategy in strategies for budget in budgets for seed in seeds]
    measured: dict[bytes, Diversity] = {}
    selections, sources, left_out = [], [], []
    for subset in subsets:
        key = subset.rows.tobytes()
        if key not in measured:
            measured[key] = _diversity(pool, subset.rows)
        selections.append(_figures(pool, subset, measured[key]))
        named = (subset.strategy, subset.budget, subset.seed)
        by_source = pool.rows[subset.rows]["source"].value_counts().sort("count", "source", descending=[True, False])
        sources += [(*named, source, rows, rows / len(subset.rows)) for source, rows in by_source.iter_rows()]
        left_out += [(*named, reason, rows) for reason, rows in sorted(subset.ranking.left_out.items())]
    return Comparison(
        selections=pl.DataFrame(selections, schema=SELECTIONS, orient="row"),
        sources=pl.DataFrame(sources, schema=SOURCES, orient="row"),
        left_out=pl.DataFrame(left_out, schema=LEFT_OUT, orient="row"),
        overlap=_overlap(subsets, len(pool)),
        agreement=_agreement(subsets),
    )


def _subset(strategy: Strategy, pool: Pool, budget: Budget, seed: int) -> _Subset:
    try:
        ranking = select(strategy, pool, seed, budget)
    except SelectionError as error:
        raise SelectionError(f"{strategy.name} at {budget}, seed {seed}: {error}") from error
    return _Subset(strategy.name, str(budget), seed, ranking, np.sort(ranking.order))


def _diversity(pool: Pool, rows: Rows) -> Diversity:
    """Of those of the rows that have a direction; those that look for their nearest are drawn once for all subsets."""
    within = np.zeros(len(pool), bool)
    within[rows] = True
    usable = pool.directed()
    usable = usable[within[usable]]
    unit = pool.vectors[usable] / np.linalg.norm(pool.vectors[usable], axis=1, keepdims=True)
    return diversity(unit, np.sort(np.argsort(pool.draws(0)[usable])[:NEAREST_ASKED]))


def _figures(pool: Pool, subset: _Subset, diverse: Diversity) -> tuple[object, ...]:
    rows = pool.rows[subset.rows]
    score, curated = (rows[column].filter(rows[column].is_finite()) for column in ("score", "curated_score"))
    return (
        subset.strategy,
        subset.budget,
        subset.seed,
        len(rows),
        rows["tokens"].sum(),
        score.mean(),
        len(score),
        curated.mean(),
        len(curated),
        diverse.vendi,
        diverse.nearest_distance,
        diverse.margin,
        diverse.asked,
        list(subset.ranking.notes),
    )


def jaccard(first: Rows, second: Rows) -> float | None:
    """Shared documents over all documents of two subsets (each names a row once); null where both are empty."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    union = len(first) + len(second) - shared
    return shared / union if union else None


def _by_chance(first: int, second: int, pool: int) -> float | None:
    """The index of two independent uniform draws of so many, at the expected number of shared documents."""
    shared = first * second / pool if pool else 0
    union = first + second - shared
    return shared / union if union else None


def _spread(values: Sequence[float | None]) -> tuple[float | None, float | None, float | None, int]:
    known = [value for value in values if value is not None]
    return (float(np.mean(known)), min(known), max(known), len(known)) if known else (None, None, None, 0)


def _overlap(subsets: Sequence[_Subset], pool: int) -> pl.DataFrame:
    lines = []
    for budget in dict.fromkeys(subset.budget for subset in subsets):
        mine = [subset for subset in subsets if subset.budget == budget]
        for strategy in dict.fromkeys(subset.strategy for subset in mine):
            for other in dict.fromkeys(subset.strategy for subset in mine):
                pairs = [
                    (one.rows, two.rows)
                    for one in mine
                    for two in mine
                    if (one.strategy, two.strategy, one.seed) == (strategy, other, two.seed)
                ]
                mean, lowest, highest, seeds = _spread([jaccard(*pair) for pair in pairs])
                chance, *_ = _spread([_by_chance(len(one), len(two), pool) for one, two in pairs])
                lines.append((budget, strategy, other, mean, lowest, highest, chance, seeds))
    return pl.DataFrame(lines, schema=OVERLAP, orient="row")


def _agreement(subsets: Sequence[_Subset]) -> pl.DataFrame:
    lines = []
    for strategy, budget in dict.fromkeys((subset.strategy, subset.budget) for subset in subsets):
        mine = [subset.rows for subset in subsets if (subset.strategy, subset.budget) == (strategy, budget)]
        lines.append((strategy, budget, *_spread([jaccard(*pair) for pair in combinations(mine, 2)])))
    return pl.DataFrame(lines, schema=AGREEMENT, orient="row")
