"""Assets of the scoring stage: the promoted classifier over the whole corpus."""

from typing import Any

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    RETRY,
    explained,
    lineage_of,
    plain_failures,
    reported,
    table_metadata,
)
from datashop_assets.graph import Graph
from datashop_assets.lineage import SCORING_RECIPE
from datashop_assets.partitions import RANGES, cells_by_lens, grid_partitions
from datashop_assets.records import SCORES
from datashop_assets.scoring.by_cascade import left_to_cascade, load_in_force, score_cells_by_cascade
from datashop_assets.scoring.produce import score_cells
from datashop_assets.scoring.state import input_of, require_scorer
from datashop_assets.seams import Encoder, Lake, ModelStore, Staging


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
        description=explained(
            "The promoted classifier's score of every document: a matrix product over the stored embeddings, no text "
            "is read; or, of a classifier that reads texts (fastText, a fine-tuned encoder), a run of it over them. "
            "Scores of earlier classifiers stay, so that a roll-back costs nothing.",
            costs="of a head on embeddings, a matrix product a shard; of a classifier of texts, a pass over them all",
            by_hand="hardly ever: the reconcile sensor follows every promotion and every new shard",
        ),
    )
    @plain_failures
    def scores(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        models: dg.ResourceParam[ModelStore],
        staging: dg.ResourceParam[Staging],
    ) -> None:
        def shown(rows: pl.DataFrame) -> dict[str, Any]:
            return {"mean score": rows["score"].mean()}

        with reported(context) as take:
            for name, cells in cells_by_lens(context).items():
                classifier, lens = require_scorer(lake, name, encoder.id), graph.lenses[name]
                lineage = lineage_of(context, lake, input_of(classifier.encoder)[0].table)
                force = load_in_force(lake, models, graph.settings(name).cascade, classifier, encoder)
                skipping = left_to_cascade(lake, force, cells)
                others, log = [cell for cell in cells if cell not in skipping], context.log.info
                take(score_cells(lake, models, classifier, lens, others, staging, shown, log, lineage))
                if force is not None:
                    take(score_cells_by_cascade(lake, force, lens, skipping, staging, shown, log, lineage))

    return [scores]
