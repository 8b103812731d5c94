"""Assets of the scoring stage: the promoted classifier over the whole corpus."""

import dagster as dg

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    RETRY,
    lineage_of,
    picture,
    plain_failures,
    reported,
    table_metadata,
)
from datashop_assets.cellwork import Produced, Target, refresh
from datashop_assets.classifier.recipes import Scorer, load_scorer
from datashop_assets.embedding.inputs import ready_cells, vector_batches
from datashop_assets.graph import Graph
from datashop_assets.lineage import SCORING_RECIPE
from datashop_assets.partitions import RANGES, cells_by_lens, grid_partitions
from datashop_assets.plots import histogram
from datashop_assets.records import EMBEDDINGS, SCORES, Cell
from datashop_assets.scoring.score import ScoringError, score_batches
from datashop_assets.scoring.state import require_scorer, scores_target, wanted_scores
from datashop_assets.seams import Encoder, Lake, ModelStore


def scoring_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The scoring assets of a project."""

    @dg.asset(
        deps=["embeddings", "promotion"],
        partitions_def=grid_partitions(graph),
        backfill_policy=RANGES,
        group_name="scoring",
        owners=OWNERS,
        kinds={"numpy", "deltalake"},
        code_version=str(SCORING_RECIPE),
        metadata=table_metadata(SCORES),
        tags=CPU,
        retry_policy=RETRY,
        description=(
            "The promoted classifier's score of every document: a matrix product over the stored embeddings, no text "
            "is read. Scores of earlier classifiers stay, so that a roll-back costs nothing."
        ),
    )
    @plain_failures
    def scores(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        models: dg.ResourceParam[ModelStore],
    ) -> None:
        vectors_of = EMBEDDINGS.of(encoder.id)
        with reported(context) as take:
            for lens, cells in cells_by_lens(context).items():
                classifier = require_scorer(lake, lens, encoder.id)
                head = load_scorer(models.fetch(classifier.uri))

                def produce(cell: Cell, lens: str = lens, head: Scorer = head) -> Produced:
                    rows = score_batches(vector_batches(lake, encoder.id, cell.shard), head, graph.lenses[lens])
                    shown = picture(histogram(rows["score"]), "scores")
                    return Produced(rows, {"mean score": rows["score"].mean(), "scores": shown})

                ready, missing = ready_cells(lake, Target(vectors_of), cells, "embeddings")
                wanted = wanted_scores(lake, encoder.id, classifier.classifier, ready)
                target, lineage = scores_target(lens, classifier.classifier), lineage_of(context, lake, vectors_of)
                take(refresh(lake, target, wanted, produce, lineage, tolerate=(ScoringError,), missing=missing))

    return [scores]
