"""What `benchmarks.filtering` measures of datashop, each in a process of its own.

    python -m benchmarks.filtering_ours keeplist|release|scores DATA BOUND OUT

`keeplist`: `filtered_documents` made anew for a new cut-off, as the asset does it: scores of each shard read, the
verdict on each, committed to the Delta table. `release`: the kept text copied out, as the asset `release` does it, in
the one format that the peers write. `scores`: the scores of a new classifier committed. DATA is a folder of
`benchmarks.filtering_data`; the tables of `keeplist` and `scores` are written in its lake, and replaced at each run.

Whole processes are measured, so each way imports what it needs and no more. The processor's seconds until then are told
as `imports`: a run works on up to 256 cells in one process, and has them once.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.rule import Rule
from datashop_assets.lineage import content_id
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES, Cell
from resources.lake import DeltaLake

LENS, CLASSIFIER, KEPT_SHARE = "benchmark", "c" * 16, 0.08
# The processor's seconds when all was imported.
imported: list[float] = []


def cutoff_at(bound: float) -> CutoffRecord:
    """The record of a bound."""
    return CutoffRecord(
        lens=LENS,
        cutoff=content_id("cutoff", bound),
        classifier=CLASSIFIER,
        policy=Rule(Threshold(lower=bound)).text,
        lower=bound,
        upper=None,
        reverse=False,
        kept_share=KEPT_SHARE,
        documents=1,
        shards=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def keeplist(lake: DeltaLake, bound: float) -> int:
    """Filter every document anew; returns how many are kept."""
    from datashop_assets.filtering.verdicts import filter_cells
    from datashop_assets.project import Project

    imported.append(time.process_time())
    asked = {
        "name": "benchmark",
        "landings": [{"dataset": "web", "url": "."}],
        "raters": {"any": {"backend": "imported", "model": "any"}},
        "lenses": {LENS: {"rater": "any"}},
    }
    cells = [Cell(shard, LENS) for shard in lake.cells(SCORES.of(LENS))["shard"].unique().sort()]
    made = filter_cells(lake, cutoff_at(bound), Project.model_validate(asked), cells, {})
    return sum(outcome.facts["kept"] for outcome in made)


def release(lake: DeltaLake, bound: float, out: Path) -> int:
    """Copy the kept text out; returns how many documents that are."""
    from datashop_assets.filtering.facts import ReleaseFacts
    from datashop_assets.filtering.release import write_release
    from datashop_assets.filtering.texts import KeptTexts
    from datashop_assets.rating.lens import Lens
    from datashop_assets.release_settings import ReleaseSettings

    imported.append(time.process_time())
    cutoff = cutoff_at(bound)
    versions = {table.name: lake.version(table) or 0 for table in (DOCUMENTS, SCORES.of(LENS), FILTERED.of(LENS))}
    settings = ReleaseSettings(formats=("parquet",))
    lens = Lens(LENS, "Benchmark", "a benchmark", 0, 5, 3, 4000, "", "", exemplars=())
    facts = ReleaseFacts("0" * 16, lens, cutoff, "none", {}, versions, settings)
    shards = lake.cells(FILTERED.of(LENS))["shard"].to_list()
    texts = KeptTexts(lake, cutoff, shards, versions, settings.row_group_rows)
    return write_release(out / "release", texts, facts).documents


def new_scores(lake: DeltaLake, classifier: str) -> int:
    """Commit the scores of another classifier; returns how many. Another formula stands for its matrix product."""
    imported.append(time.process_time())
    table = SCORES.of(LENS)
    shards = lake.cells(DOCUMENTS)["shard"].to_list()
    where = {"shard": shards, "classifier": [CLASSIFIER]}
    new = lake.scan(table, where).select("shard", "id", score=1 - pl.col("score"))
    new = new.with_columns(
        int_score=pl.col("score").round().cast(pl.Int8), classifier=pl.lit(classifier), version=pl.lit("new")
    )
    cells = [{"classifier": classifier, "shard": shard, "version": "new"} for shard in shards]
    return lake.commit(table, new.select(list(table.columns)).collect(), cells, {}).rows


if __name__ == "__main__":
    what, data, bound, out = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    opened = DeltaLake(str(data / "lake"))
    ways = {
        "keeplist": lambda: keeplist(opened, bound),
        "release": lambda: release(opened, bound, out),
        "scores": lambda: new_scores(opened, "n" * 16),
    }
    sys.stdout.write(json.dumps({"kept": ways[what](), "imports": imported[0]}) + "\n")
