"""The scores of a run's cells of one lens: score what is not scored by the promoted classifier.

What belongs here: the order of the steps, for classifiers that read vectors and for those that read texts. What does
not: scoring a cell (`score.py`, `texts.py`), versions (`state.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, refresh
from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.embedding.inputs import ready_cells, vector_batches
from datashop_assets.embedding.shard import clearing
from datashop_assets.rating.lens import Lens
from datashop_assets.records import Cell
from datashop_assets.scoring.score import ScoringError, score_batches, score_rows
from datashop_assets.scoring.state import input_of, scores_target, wanted_scores
from datashop_assets.scoring.texts import score_texts, whole
from datashop_assets.seams import Lake, ModelStore, Progress, Staging


def score_cells(
    lake: Lake,
    models: ModelStore,
    classifier: ClassifierRecord,
    lens: Lens,
    cells: Sequence[Cell],
    staging: Staging,
    describe: Callable[[pl.DataFrame], Mapping[str, Any]],
    log: Callable[[str], Any],
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Score the shards that are not at their wanted version. `describe` makes a cell's facts of its rows.

    Of a classifier that reads texts a shard is committed by itself, and `staging` keeps what is done of it until then.
    Shards without their inputs, and those with a document that has no finite score, do not hold up the others:
    CellsFailedError names them at the end.
    """
    scorer = load_scorer(models.fetch(classifier.uri))
    source, asset = input_of(classifier.encoder)
    ready, missing = ready_cells(lake, source, cells, asset)
    wanted = wanted_scores(lake, classifier.encoder, classifier.classifier, ready)
    staged: dict[Cell, Progress] = {}

    def from_vectors(cell: Cell) -> Produced:
        rows = score_batches(vector_batches(lake, classifier.encoder, cell.shard), scorer, lens)
        return Produced(rows, describe(rows))

    def from_texts(cell: Cell) -> Produced:
        staged[cell] = staging("scores", lens.name, classifier.classifier, cell.shard, wanted[cell])
        made = score_texts(scorer, lake, cell.shard, staged[cell], log)
        scored = whole(made)
        rows = score_rows(scored["id"], scored["score"].to_numpy(), lens, "look at their text")
        return Produced(rows, {**describe(rows), "documents/s": round(made.rate, 1)})

    reads_texts = classifier.encoder == TEXT_ENCODER
    outcomes = refresh(
        lake,
        scores_target(lens.name, classifier.classifier),
        wanted,
        from_texts if reads_texts else from_vectors,
        lineage,
        batch_cells=1 if reads_texts else 16,
        tolerate=(ScoringError,),
        missing=missing,
    )
    yield from clearing(outcomes, staged)
