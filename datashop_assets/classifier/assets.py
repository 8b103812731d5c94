"""Assets of the classifier stage: a trained classifier, and the promotion that puts it in force."""

from collections.abc import Callable

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    estimates,
    explained,
    lineage_of,
    picture,
    plain_failures,
    preview,
    table,
    table_metadata,
)
from datashop_assets.classifier.comparison import better_by
from datashop_assets.classifier.produce import OtherRatings, produce_classifier
from datashop_assets.classifier.promoting import put_in_force
from datashop_assets.classifier.registry import Decision
from datashop_assets.classifier.report_pictures import illustrated, label_funnel
from datashop_assets.classifier.sharing import publish_classifier, tracked_training
from datashop_assets.classifier.versions import known_versions
from datashop_assets.classifier.workbench import Workers, workbench
from datashop_assets.corpus.registry import active_shards
from datashop_assets.graph import Graph
from datashop_assets.markdown import figures_table
from datashop_assets.partitions import EVERY_SHARD, GRID_TO_LENS, lens_partitions
from datashop_assets.plots import funnel
from datashop_assets.records import ANNOTATIONS, CLASSIFIERS, DOCUMENTS, EMBEDDINGS, PROMOTIONS
from datashop_assets.seams import Lake, ModelFiles, ModelStore, Publisher, Rater, Tracker
from resources.encoders import TransformerEncoder

GROUP = "classifier"


class PromotionConfig(dg.Config):
    """Which classifier to put in force. As it is: the newest one, if nothing speaks against it."""

    classifier: str | None = Field(
        None,
        description="the version to promote, or to roll back to, from the table `known versions` of this asset's last "
        "materialization; null: the newest one",
    )
    by: str | None = Field(None, description="who decides; recorded. null: the user that the run belongs to")
    note: str | None = Field(None, description="why; recorded")
    override: bool = Field(
        False,
        description="promote it although its checks failed or it is worse than the one in force; needs `by` and `note`",
    )


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
        description=explained(
            "A classifier by the lens's recipe (a linear head on the frozen encoder where none is named), trained on "
            "all ratings of the lens and measured on rows that no classifier of the lens ever trains on. Stored so "
            "that it loads without our code.",
            costs="a linear head: seconds to minutes on the CPU; a fine-tuned encoder: hours, better on a GPU",
            by_hand="after new annotations or a changed recipe; nothing downstream changes until it is promoted",
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
        beside = {name: graph.settings(name) for name in settings.recipe.other_lenses}
        others = [
            OtherRatings(graph.lenses[name], raters(other.rater).id, other.population) for name, other in beside.items()
        ]
        bench = workbench(workshop, model_files, context)
        made = produce_classifier(
            lake,
            models,
            encoder,
            lens,
            rater,
            settings.recipe,
            active,
            lineage,
            settings.curation,
            bench,
            others,
            settings.population,
        )
        if made.reused:
            context.log.info("%s was trained from the same inputs: nothing to do", made.record.classifier)
        report, recipe = made.report, settings.recipe.model_dump(mode="json")
        told = {"tracked": tracker.track(tracked_training(made.record, report, recipe))} if tracker else {}
        figures = estimates(report.figures, report.notes)
        sections = illustrated(report, made.held_out, settings.cutoff)
        documents = int(lake.cells(DOCUMENTS)["rows"].sum())
        return dg.MaterializeResult(
            metadata={
                "verdict": made.record.verdict,
                "metrics": figures["metrics"],
                **{title: dg.MetadataValue.md(text) for title, text in sections.items()},
                "confident errors": dg.MetadataValue.md(made.errors),
                "held-out rows": preview(made.held_out, ["id", "label", "prediction"]),
                "label funnel": picture(funnel(label_funnel(report.counts, documents), "Labels"), "labels left"),
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
        description=explained(
            "Puts a classifier in force for the lens; scoring follows the newest promotion, never the newest training. "
            "The newest classifier is promoted where its checks passed and it is not worse than the one in force, "
            "beyond chance, on the rows that both held out. To roll back, name an older version in the config: its "
            "scores are still there, and cut-off and filtered documents follow.",
            costs="nothing by itself, but every shard is scored and filtered again afterwards by the reconcile sensor",
            by_hand="to put another classifier in force, or to roll back: name it in the launchpad, with a note",
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
        lens, settings = graph.lenses[context.partition_key], graph.settings(context.partition_key)
        decision = Decision(config.by, config.note, config.override)
        lineage = lineage_of(context, lake, CLASSIFIERS)
        done = put_in_force(lake, models, lens, settings.promotion, config.classifier, decision, lineage)
        context.log.info(done.words)
        publish, current, compared = settings.publish, done.promotion, done.standing.comparison
        place = {"published": publish_classifier(done.record, models, publisher, publish)} if publish else {}
        return dg.MaterializeResult(
            metadata={
                "outcome": done.words,
                "classifier": current.classifier,
                "promoted at": dg.MetadataValue.timestamp(current.promoted_at),
                "by": current.by,
                "override": current.override,
                "note": current.note or "",
                "skipped": not done.is_new,
                "verdict": done.record.verdict,
                "against the one in force": done.standing.words,
                "paired differences": dg.MetadataValue.md(figures_table(better_by(compared), compared.notes)),
                "known versions": table(known_versions(lake, lens.name)),
                **place,
            }
        )

    return [classifier, promotion]
