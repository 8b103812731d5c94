"""Rating the cells of one lens: sample, judge what was not judged before, commit cell by cell.

What belongs here: the order of the steps. What does not: each step (`sampling.py`, `annotate.py`), the asset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, Target, refresh
from datashop_assets.embedding.inputs import documents_of, versions
from datashop_assets.lineage import annotations_version
from datashop_assets.rating.annotate import Progress, annotate
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.quality import annotations_target
from datashop_assets.rating.sampling import sample
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.seams import Lake, Rater


@dataclass(frozen=True)
class Assignment:
    """Who rates how much: a rater, a lens, and a sample of `size` documents a shard."""

    lens: Lens
    rater: Rater
    size: int
    seed: int


def rate_cells(
    lake: Lake,
    assignment: Assignment,
    cells: Sequence[Cell],
    staging: Callable[..., Progress],
    describe: Callable[[pl.DataFrame], Mapping[str, Any]],
    log: Callable[[str], Any],
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Rate the cells that are not at their wanted version, one commit each. `describe` makes a cell's facts.

    `staging(*names)` gives the progress of a cell; it is cleared once the cell is committed. Raises
    MissingUpstreamError, or what the rater raises where it can judge nothing at all.
    """
    lens, rater = assignment.lens, assignment.rater
    target = annotations_target(lens.name, rater.id)
    documents = versions(lake, Target(DOCUMENTS), cells, "documents")
    wanted = {
        cell: annotations_version(version, lens.version, rater.id, assignment.size, assignment.seed)
        for cell, version in documents.items()
    }

    def progress(cell: Cell) -> Progress:
        return staging("annotations", lens.name, lens.version, rater.id, cell.shard)

    def produce(cell: Cell) -> Produced:
        documents_text = documents_of(lake, cell).select("id", "text", "text_sha").collect()
        sampled = sample(documents_text, assignment.size, assignment.seed)
        rated_before = lake.scan(target.table, {"shard": [cell.shard], "rater": [rater.id]}).collect()
        rows = annotate(sampled, lens, rater, rated_before, progress(cell), log)
        return Produced(pl.concat([rows, _kept(rated_before, rows, documents_text)]), describe(rows))

    for outcome in refresh(lake, target, wanted, produce, lineage, batch_cells=1):
        if not outcome.skipped:
            progress(outcome.cell).clear()
        yield outcome


def _kept(rated_before: pl.DataFrame, rows: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """Judgements that were paid for and are not in today's sample: of a larger one, or through an earlier lens version.

    They stay while the document's text does, so that going back to that sample or lens costs nothing. Training looks at
    the present lens version only.
    """
    known = rated_before.filter(pl.col("reason").is_null()).select(rows.columns)
    return known.join(rows, on=["id", "lens_version"], how="anti").join(documents, on=["id", "text_sha"], how="semi")
