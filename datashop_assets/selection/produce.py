"""A subset, from the pool to the table, the files and the record; and a comparison of strategies.

What belongs here: what identifies a subset, writing it once. What does not: selecting (`budget.py`, the strategies),
comparing (`compare.py`), the assets (`assets.py`).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from datashop_assets.durable import new_directory, sole_writer
from datashop_assets.lineage import content_id
from datashop_assets.seams import Exports, Lake
from datashop_assets.selection import compare
from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.documents import ROWS_AT_ONCE, Population, texts_of
from datashop_assets.selection.pool import Ranking, SelectionError, Strategy
from datashop_assets.selection.tables import SELECTED, SELECTION_COMPARISONS, SELECTIONS

# Raised by hand when the same strategy would take other documents of the same pool.
RECIPE = 1
# The frames of a comparison, as the table keeps them.
SCHEMAS: dict[str, dict[str, Any]] = {
    "selections": compare.SELECTIONS,
    "sources": compare.SOURCES,
    "left_out": compare.LEFT_OUT,
    "overlap": compare.OVERLAP,
    "agreement": compare.AGREEMENT,
}
EXPORTED = ["rank", "id", "text", "source", "license", "score", "curated_score", "reason", "value", "shard"]


@dataclass(frozen=True)
class Choice:
    """How a subset is selected: a strategy with the JSON of its settings, a budget, a seed, and from what."""

    strategy: Strategy
    settings: Mapping[str, Any]
    budget: Budget
    seed: int
    population: str


@dataclass(frozen=True)
class Subset:
    """A subset as it stands. `rows` are those of the table, `record` that of `selections`; `place` has its files."""

    rows: pl.DataFrame
    record: Mapping[str, Any]
    place: str
    reused: bool


def subset_id(lens: str, population: Population, choice: Choice) -> str:
    """The identity of what would be selected; the strategy's name has no part in it."""
    return content_id("subset", RECIPE, lens, population.version, choice.settings, str(choice.budget), choice.seed)


def produce_subset(
    lake: Lake, lens: str, population: Population, choice: Choice, subsets: Exports, lineage: Mapping[str, Any]
) -> Subset:
    """Select, put the files where subsets are, commit the rows, and record; or return what is there.

    Raises SelectionError where nothing is selected, naming what was left out and why.
    """
    subset = subset_id(lens, population, choice)
    name, table = f"{lens}/{subset}", SELECTED.of(lens)
    directory, place = subsets.folder(name), subsets.place(name)
    with sole_writer(directory):  # two runs that want the same subset make it once
        if (known := _standing(lake, lens, subset, directory)) is not None:
            return Subset(*known, place, reused=True)
        rows, record = _selected(lens, subset, population, choice)
        _write(lake, rows, record, directory)
        subsets.publish(name)
        lake.commit(table, rows, [{"subset": subset, "version": population.version}], lineage)
        lake.commit(SELECTIONS, pl.DataFrame([record], schema=SELECTIONS.schema), None, lineage)
    return Subset(rows, record, place, reused=False)


def _standing(lake: Lake, lens: str, subset: str, directory: Path) -> tuple[pl.DataFrame, Mapping[str, Any]] | None:
    """Rows and record of the subset, where they and the files are all there."""
    table = SELECTED.of(lens)
    known = lake.scan(SELECTIONS).filter(pl.col("subset") == subset).sort("created_at").collect()
    if known.height and directory.is_dir() and subset in lake.cells(table)["subset"].to_list():
        rows = lake.scan(table, {"subset": [subset]}).sort("rank").collect()
        return rows, known.row(-1, named=True)
    return None


def _selected(lens: str, subset: str, population: Population, choice: Choice) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """Rows and record of a new subset. Raises SelectionError where it would be empty."""
    ranking = select(choice.strategy, population.pool, choice.seed, choice.budget)
    if not len(ranking):
        why = "; ".join([*ranking.notes, *(f"{count:,} {reason}" for reason, count in ranking.left_out.items())])
        raise SelectionError(f"{choice.strategy.name} selects none of {len(population.pool):,} documents: {why}")
    rows = _rows(population, ranking).with_columns(subset=pl.lit(subset)).select(list(SELECTED.schema))
    record = {
        "lens": lens,
        "subset": subset,
        "strategy": choice.strategy.name,
        "settings": json.dumps(choice.settings),
        "population": choice.population,
        "budget": str(choice.budget),
        "seed": choice.seed,
        "pool": population.version,
        "rows": rows.height,
        "tokens": int(rows["tokens"].sum()),
        "left_out": json.dumps(dict(ranking.left_out)),
        "notes": [*population.notes, *ranking.notes],
        "uri": f"{lens}/{subset}",
        "created_at": datetime.now(UTC),
    }
    return rows, record


def _rows(population: Population, ranking: Ranking) -> pl.DataFrame:
    return population.pool.rows[ranking.order].with_columns(
        pl.Series("rank", np.arange(1, len(ranking) + 1), pl.Int64),
        pl.Series("reason", ranking.reasons, pl.String),
        pl.Series("value", ranking.values, pl.Float64).fill_nan(None),
        version=pl.lit(population.version),
    )


def _write(lake: Lake, rows: pl.DataFrame, record: Mapping[str, Any], directory: Path) -> None:
    """The subset with its texts as Parquet and JSONL, in the order of ranks, all or nothing; the caller is the sole
    writer. What a run left that was killed before it committed has the same documents: the id is that of all inputs.

    Raises SelectionError where a document has changed meanwhile.
    """
    if directory.is_dir():
        return
    with (
        new_directory(directory) as partial,
        (partial / "subset.jsonl").open("wb") as lines,
        ExitStack() as closing,
    ):
        writer: pq.ParquetWriter | None = None
        for start in range(0, rows.height, ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            texts = texts_of(lake, some, ["text", "license"]).drop("shard", "id", "text_sha")
            whole = pl.concat([some, texts], how="horizontal").select(EXPORTED)
            whole.write_ndjson(lines)
            batch = whole.to_arrow()
            if writer is None:
                writer = closing.enter_context(pq.ParquetWriter(partial / "subset.parquet", batch.schema))
            writer.write_table(batch)
        # Without the time: two machines that make it at once write the same files.
        manifest = {name: value for name, value in record.items() if name != "created_at"}
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def produce_comparison(
    lake: Lake,
    lens: str,
    population: Population,
    choices: Sequence[Choice],
    budgets: Sequence[Budget],
    seeds: Sequence[int],
    lineage: Mapping[str, Any],
) -> tuple[compare.Comparison, bool]:
    """What the choices' strategies take of the pool at every budget with every seed, recorded; and whether that was
    there already."""
    settings = [[choice.strategy.name, choice.settings] for choice in choices]
    comparison = content_id("comparison", RECIPE, lens, population.version, settings, [*map(str, budgets)], [*seeds])
    records = lake.scan(SELECTION_COMPARISONS).filter(pl.col("comparison") == comparison)
    known = records.sort("created_at").collect()
    if known.height:
        return _read(known.row(-1, named=True)), True
    made = compare.compare(population.pool, [choice.strategy for choice in choices], budgets, seeds)
    record = {
        "lens": lens,
        "comparison": comparison,
        "pool": population.version,
        **{name: getattr(made, name).write_json() for name in SCHEMAS},
        "created_at": datetime.now(UTC),
    }
    frame = pl.DataFrame([record], schema=SELECTION_COMPARISONS.schema)
    lake.commit(SELECTION_COMPARISONS, frame, None, lineage)
    return made, False


def _read(record: Mapping[str, Any]) -> compare.Comparison:
    return compare.Comparison(**{name: pl.read_json(StringIO(record[name]), schema=SCHEMAS[name]) for name in SCHEMAS})
