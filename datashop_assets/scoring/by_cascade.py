"""Scores of shards without vectors, by a cascade: the encoder reads only what the cheap stage lets pass.

What belongs here: the order of the steps, the versions of such cells, the count of what the cascade did. What does not:
scoring texts by a cascade (`cascade.py`), records of cascades (`cascades.py`), shards with vectors (`produce.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.cellwork import Outcome, Produced, Target, have, refresh
from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.recipes import Scorer
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.embedding.inputs import versions
from datashop_assets.embedding.shard import clearing, work_through
from datashop_assets.rating.lens import Lens
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.scoring.cascade import Cascade, score_by_cascade
from datashop_assets.scoring.cascades import CascadeRecord, cascade_in_force, cascade_scores_version
from datashop_assets.scoring.first_stage import load_first_stage
from datashop_assets.scoring.score import ScoringError, score_rows
from datashop_assets.scoring.state import scores_target, wanted_scores
from datashop_assets.scoring.tables import CASCADE_AUDITS
from datashop_assets.seams import Encoder, Lake, ModelStore, Progress, Staging

ROWS = {"id": pl.String, "score": pl.Float32, "passed": pl.Boolean, "audited": pl.Boolean}


@dataclass(frozen=True)
class CascadeInForce:
    """A calibrated cascade with what it needs to score."""

    record: CascadeRecord
    cascade: Cascade
    encoder: Encoder
    head: Scorer


def load_in_force(
    lake: Lake, models: ModelStore, settings: CascadeSettings | None, classifier: ClassifierRecord, encoder: Encoder
) -> CascadeInForce | None:
    """The cascade in force for a lens's promoted classifier; None where the lens asks for none (no `settings`), none is
    calibrated to its cut-off, or the classifier does not read this encoder's vectors."""
    record = cascade_in_force(lake, classifier.lens, classifier.classifier)
    if settings is None or record is None or classifier.encoder != encoder.id:
        return None
    stage = load_first_stage(models.fetch(record.uri))
    cascade = Cascade(stage, record.threshold, record.lower, record.audit_share, record.seed)
    return CascadeInForce(record, cascade, encoder, load_scorer(models.fetch(classifier.uri)))


def left_to_cascade(lake: Lake, force: CascadeInForce | None, cells: Sequence[Cell]) -> list[Cell]:
    """The cells that the cascade scores: those whose shard has documents and no vectors; none without a cascade."""
    if force is None:
        return []
    embedded, parsed = have(lake, Target(EMBEDDINGS.of(force.encoder.id)), cells), have(lake, Target(DOCUMENTS), cells)
    return [cell for cell in cells if cell in parsed and cell not in embedded]


def wanted_by_cascade(lake: Lake, encoder: str, record: CascadeRecord, cells: Sequence[Cell]) -> dict[Cell, str]:
    """The scores version of each cell without vectors, from its documents as they are. Raises MissingUpstreamError."""
    made = versions(lake, Target(DOCUMENTS), cells, "documents")
    return {
        cell: cascade_scores_version(version, encoder, record.classifier, record.cascade)
        for cell, version in made.items()
    }


def wanted_with_cascade(
    lake: Lake, encoder: str, settings: CascadeSettings | None, classifier: ClassifierRecord, cells: Sequence[Cell]
) -> dict[Cell, str]:
    """The scores version of each cell, whether it is scored from vectors or by the cascade in force.

    Raises MissingUpstreamError.
    """
    record = cascade_in_force(lake, classifier.lens, classifier.classifier) if settings else None
    if record is None or classifier.encoder != encoder:
        return wanted_scores(lake, classifier.encoder, classifier.classifier, cells)
    embedded = have(lake, Target(EMBEDDINGS.of(encoder)), cells)
    wanted = wanted_scores(lake, encoder, classifier.classifier, [cell for cell in cells if cell in embedded])
    wanted |= wanted_by_cascade(lake, encoder, record, [cell for cell in cells if cell not in embedded])
    return {cell: wanted[cell] for cell in cells}


def score_cells_by_cascade(
    lake: Lake,
    force: CascadeInForce,
    lens: Lens,
    cells: Sequence[Cell],
    staging: Staging,
    describe: Callable[[pl.DataFrame], Mapping[str, Any]],
    log: Callable[[str], Any],
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Score the cells, each committed by itself; what the cascade did is recorded before the scores are."""
    record = force.record
    wanted = wanted_by_cascade(lake, force.encoder.id, record, cells)
    target = scores_target(lens.name, record.classifier)
    staged: dict[Cell, Progress] = {}

    def make(batch: pl.DataFrame) -> pl.DataFrame:
        made = score_by_cascade(batch["text"].to_list(), force.cascade, force.encoder, force.head)
        columns = {"score": made.scores, "passed": made.division.passed, "audited": made.division.audited}
        return batch.select("id").with_columns(**{name: pl.Series(values) for name, values in columns.items()})

    def produce(cell: Cell) -> Produced:
        staged[cell] = staging("cascade", lens.name, cell.shard, wanted[cell])
        made = work_through(lake, cell.shard, make, ROWS, staged[cell], log, "scored by the cascade")
        rows = pl.concat([pl.DataFrame(schema=ROWS), *made])
        counts = counts_of(rows, record)
        audits = Target(CASCADE_AUDITS.of(lens.name), target.keys)
        list(refresh(lake, audits, {cell: wanted[cell]}, lambda _: Produced(counts), lineage))
        scores = score_rows(rows["id"], rows["score"].to_numpy(), lens, "look at their text")
        facts = counts.row(0, named=True)
        return Produced(scores, {**describe(scores), **facts, "documents/s": round(made.rate, 1)})

    outcomes = refresh(lake, target, wanted, produce, lineage, batch_cells=1, tolerate=(ScoringError,))
    yield from clearing(outcomes, staged)


def counts_of(rows: pl.DataFrame, record: CascadeRecord) -> pl.DataFrame:
    """One row of `cascade_audits` without its cell: how many documents passed, were audited, and are kept of either."""
    kept = pl.col("score") >= pl.lit(record.lower, pl.Float32)
    return rows.select(
        pl.lit(record.cascade).alias("cascade"),
        pl.len().cast(pl.Int64).alias("documents"),
        pl.col("passed").sum().cast(pl.Int64),
        pl.col("audited").sum().cast(pl.Int64),
        (kept & pl.col("passed")).sum().cast(pl.Int64).alias("found"),
        (kept & pl.col("audited")).sum().cast(pl.Int64).alias("missed"),
    )
