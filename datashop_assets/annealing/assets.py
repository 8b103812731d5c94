"""Assets of the annealing stage: the control, which all lenses share, and one candidate a lens that asks for it."""

from functools import cache
from typing import Any

import dagster as dg
import polars as pl

from datashop_assets.annealing.inputs import draw_documents, has_characters, kept_documents
from datashop_assets.annealing.mixture import build_mixture
from datashop_assets.annealing.packing import DocumentEncoder
from datashop_assets.annealing.produce import AnnealedModel, Workshop, produce_model
from datashop_assets.annealing.train import training_id
from datashop_assets.asset_metadata import (
    OWNERS,
    TRAINING,
    explained,
    lineage_of,
    picture,
    plain_failures,
    table_metadata,
)
from datashop_assets.graph import Graph
from datashop_assets.partitions import EVERY_SHARD, annealed_partitions, lens_to_annealed
from datashop_assets.plots import loss_curves
from datashop_assets.records import ANNEALED_MODELS, DOCUMENTS, FILTERED
from datashop_assets.seams import Lake, ModelStore

# A token is about four characters; four times as much text as is needed makes the choice of documents a real one.
CHARACTERS_PER_TOKEN = 16


def described(model: AnnealedModel, models: ModelStore) -> dg.MaterializeResult:
    """What people see of an annealed model."""
    return dg.MaterializeResult(
        metadata={
            "model": model.model,
            "path": dg.MetadataValue.path(models.place(model.uri)),
            "skipped": model.reused,
            "tokens": model.tokens,
            "first loss": model.losses[0][1],
            "last loss": model.losses[-1][1],
            "mixture": dg.MetadataValue.json(dict(model.mixture)),
            "loss curve": picture(loss_curves({model.role: list(model.losses)}), "training loss by step"),
        }
    )


def annealing_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The annealing assets of a project; none where no lens asks to be annealed."""
    if not graph.annealed:
        return []
    settings, held_out_share = graph.project.anneal, graph.project.evaluation.held_out_share
    characters = settings.tokens * CHARACTERS_PER_TOKEN
    common: dict[str, Any] = {
        "group_name": "annealing",
        "owners": OWNERS,
        "kinds": {"pytorch", "huggingface"},
        "code_version": settings.version,
        "metadata": table_metadata(ANNEALED_MODELS) | {"base model": settings.model},
        "pool": "training",
        "tags": TRAINING,
    }

    def anneal(
        context: dg.AssetExecutionContext,
        lake: Lake,
        workshop: Workshop,
        lens: str | None,
        filtered: pl.DataFrame | None,
    ) -> dg.MaterializeResult:
        base = draw_documents(lake, graph.project, settings.seed, has_characters(characters))
        base_id, base_place = workshop.base_model()
        count = cache(DocumentEncoder(base_place, settings.document_tokens).count)
        controls = build_mixture(base, None, settings, held_out_share, count)
        mixture = controls if filtered is None else build_mixture(base, filtered, settings, held_out_share, count)
        inputs = [DOCUMENTS] if lens is None else [DOCUMENTS, FILTERED.of(lens)]
        model = produce_model(
            lake,
            workshop,
            context,
            role="control" if lens is None else "candidate",
            lens=lens,
            mixture=mixture,
            comparable={"control": training_id(base_id, controls.id, settings), "held_out_share": held_out_share},
            settings=settings,
            lineage=lineage_of(context, lake, *inputs),
        )
        if model.reused:
            context.log.info("%s is already trained on this mixture: nothing to do", model.model)
        return described(model, workshop.models)

    @dg.asset(
        deps=["documents"],
        **common,
        description=explained(
            "The base model annealed on the base mixture, documents as they come. Every lens's candidate is compared "
            "with it: same tokens, same seed, same schedule.",
            costs="training a small model: minutes on the CPU for the demo",
            by_hand="once for each base mixture; all lenses are compared with it",
        ),
    )
    @plain_failures
    def control_model(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], workshop: dg.ResourceParam[Workshop]
    ) -> dg.MaterializeResult:
        return anneal(context, lake, workshop, None, None)

    @dg.asset(
        deps=[
            dg.AssetDep("release", partition_mapping=lens_to_annealed(graph)),
            dg.AssetDep("documents", partition_mapping=EVERY_SHARD),
        ],
        partitions_def=annealed_partitions(graph),
        **common,
        description=explained(
            f"The base model annealed on the same base mixture with {settings.filtered_share:.0%} of its tokens from "
            "the lens's filtered documents, of the cut-off in force.",
            costs="training a small model: minutes on the CPU for the demo",
            by_hand="after a release that you want to be sure of",
        ),
    )
    @plain_failures
    def candidate_model(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], workshop: dg.ResourceParam[Workshop]
    ) -> dg.MaterializeResult:
        filtered = kept_documents(lake, context.partition_key, graph.project, characters, settings.seed)
        return anneal(context, lake, workshop, context.partition_key, filtered)

    return [control_model, candidate_model]
