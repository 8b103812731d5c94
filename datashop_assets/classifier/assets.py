"""Assets of the classifier stage: a trained classifier, and the promotion that puts it in force."""

from collections.abc import Callable

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    estimates,
    lineage_of,
    plain_failures,
    preview,
    table_metadata,
)
from datashop_assets.classifier.produce import produce_classifier
from datashop_assets.classifier.registry import find_classifier, promote
from datashop_assets.classifier.report_pictures import illustrated
from datashop_assets.classifier.sharing import publish_classifier, tracked_training
from datashop_assets.classifier.workbench import Workers, workbench
from datashop_assets.corpus.registry import active_shards
from datashop_assets.graph import Graph
from datashop_assets.partitions import EVERY_SHARD, GRID_TO_LENS, lens_partitions
from datashop_assets.records import ANNOTATIONS, CLASSIFIERS, EMBEDDINGS, PROMOTIONS
from datashop_assets.seams import Lake, ModelFiles, ModelStore, Publisher, Rater, Tracker
from resources.encoders import TransformerEncoder

GROUP = "classifier"


class PromotionConfig(dg.Config):
    """Which classifier to put in force. Without any of these: the newest one, if its checks passed."""

    classifier: str | None = Field(None, description="the version to promote, or to roll back to; null: the newest")
    override_by: str | None = Field(None, description="who takes responsibility for one whose checks failed")
    note: str | None = Field(None, description="why; required with override_by")


def classifier_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The classifier assets of a project."""

    @dg.asset(
        deps=[
            dg.AssetDep("annotations", partition_mapping=GRID_TO_LENS),
            dg.AssetDep("embeddings", partition_mapping=EVERY_SHARD),
        ],
        partitions_def=lens_partitions(graph),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"scikitlearn", "huggingface"},
        code_version=graph.recipe_code_version,
        metadata=table_metadata(CLASSIFIERS),
        tags=CPU,
        description=(
            "A classifier by the lens's recipe (a linear head on the frozen encoder where none is named), trained on "
            "all ratings of the lens and measured on rows that no classifier of the lens ever trains on. Stored so "
            "that it loads without our code."
        ),
    )
    @plain_failures
    def classifier(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[TransformerEncoder],
        models: dg.ResourceParam[ModelStore],
        raters: dg.ResourceParam[Callable[[str], Rater]],
        workshop: dg.ResourceParam[Workers],
        model_files: dg.ResourceParam[ModelFiles],
        tracker: dg.ResourceParam[Tracker | None],
    ) -> dg.MaterializeResult:
        lens, settings = graph.lenses[context.partition_key], graph.settings(context.partition_key)
        lineage = lineage_of(context, lake, ANNOTATIONS.of(lens.name), EMBEDDINGS.of(encoder.id))
        rater = raters(settings.rater).id
        active = [shard.shard for shard in active_shards(lake, graph.project)]
        others = [(graph.lenses[name], raters(graph.settings(name).rater).id) for name in settings.recipe.other_lenses]
        bench = workbench(workshop, model_files, context)
        made = produce_classifier(
            lake, models, encoder, lens, rater, settings.recipe, active, lineage, settings.curation, bench, others
        )
        if made.reused:
            context.log.info("%s was trained from the same inputs: nothing to do", made.record.classifier)
        report, recipe = made.report, settings.recipe.model_dump(mode="json")
        told = {"tracked": tracker.track(tracked_training(made.record, report, recipe))} if tracker else {}
        figures = estimates(report.figures, report.notes)
        sections = illustrated(report, made.held_out, settings.cutoff)
        return dg.MaterializeResult(
            metadata={
                "verdict": made.record.verdict,
                "metrics": figures["metrics"],
                **{title: dg.MetadataValue.md(text) for title, text in sections.items()},
                "confident errors": dg.MetadataValue.md(made.errors),
                "held-out rows": preview(made.held_out, ["id", "label", "prediction"]),
                "labels": dg.MetadataValue.json(vars(report.counts)),
                "classifier": made.record.classifier,
                "path": dg.MetadataValue.path(models.place(made.record.uri)),
                "skipped": made.reused,
                **told,
                **figures,
            }
        )

    @dg.asset(
        deps=["classifier"],
        partitions_def=lens_partitions(graph),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"deltalake"},
        metadata=table_metadata(PROMOTIONS),
        tags=CPU,
        description=(
            "Puts a classifier in force for the lens; scoring follows the newest promotion, never the newest training. "
            "Name an older version in the config to roll back."
        ),
    )
    @plain_failures
    def promotion(
        context: dg.AssetExecutionContext,
        config: PromotionConfig,
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[ModelStore],
        publisher: dg.ResourceParam[Publisher],
    ) -> dg.MaterializeResult:
        record = find_classifier(lake, context.partition_key, config.classifier)
        lineage = lineage_of(context, lake, CLASSIFIERS)
        current, is_new = promote(lake, record, lineage, config.override_by, config.note)
        context.log.info("%s is %s in force", current.classifier, "now" if is_new else "already")
        publish = graph.settings(record.lens).publish
        place = {"published": publish_classifier(record, models, publisher, publish)} if publish else {}
        return dg.MaterializeResult(
            metadata={
                "classifier": current.classifier,
                "promoted at": dg.MetadataValue.timestamp(current.promoted_at),
                "by": current.by,
                "override": current.override,
                "note": current.note or "",
                "skipped": not is_new,
                "verdict": record.verdict,
                **place,
            }
        )

    return [classifier, promotion]
