"""Assets of the rating stage: a sample of each shard, rated through each lens."""

from collections.abc import Callable

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import OWNERS, lineage_of, report, table_metadata
from datashop_assets.cellwork import Produced, Target, refresh
from datashop_assets.embedding.inputs import documents_of, versions
from datashop_assets.graph import Graph
from datashop_assets.lineage import ANNOTATION_RECIPE, annotations_version
from datashop_assets.partitions import RANGES, cells_by_lens, grid_partitions
from datashop_assets.rating.annotate import Progress, annotate, summary
from datashop_assets.rating.sampling import sample
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, Cell
from datashop_assets.seams import Lake, Rater


class AnnotationConfig(dg.Config):
    """Overrides the project file for one run."""

    rater: str | None = Field(None, description="name of a rater in the project file; null: the lens's own")
    sample_per_shard: int | None = Field(None, ge=0, description="documents rated in each shard; null: the lens's own")


def rating_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The rating assets of a project."""

    @dg.asset(
        deps=["documents"],
        partitions_def=grid_partitions(graph),
        backfill_policy=RANGES,
        group_name="rating",
        owners=OWNERS,
        kinds={"huggingface", "deltalake"},
        code_version=f"{ANNOTATION_RECIPE}-{graph.lens_code_version}",
        metadata=table_metadata(ANNOTATIONS),
        pool="rater",
        description=(
            "A hash-chosen sample of each shard, rated by an LLM through a lens. A judgement that fails is a null "
            "score with a reason, never a number. Ratings that exist are never asked for again."
        ),
    )
    def annotations(
        context: dg.AssetExecutionContext,
        config: AnnotationConfig,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Callable[[str], Rater]],
        staging: dg.ResourceParam[Callable[..., Progress]],
    ) -> None:
        for lens_name, cells in cells_by_lens(context).items():
            lens, settings = graph.lenses[lens_name], graph.settings(lens_name)
            rater = raters(config.rater or settings.rater)
            size = settings.sample_per_shard if config.sample_per_shard is None else config.sample_per_shard
            wanted = {
                cell: annotations_version(version, lens.version, rater.id, size, settings.sample_seed)
                for cell, version in versions(lake, Target(DOCUMENTS), cells, "documents").items()
            }
            table = ANNOTATIONS.of(lens_name)

            def produce(cell: Cell, lens=lens, rater=rater, size=size, seed=settings.sample_seed) -> Produced:
                sampled = sample(documents_of(lake, cell).collect(), size, seed)
                paid = lake.scan(ANNOTATIONS.of(lens.name), {"shard": [cell.shard], "rater": [rater.id]}).collect()
                progress = staging("annotations", lens.name, lens.version, rater.id, cell.shard)
                rows = annotate(sampled, lens, rater, paid, progress, context.log.info)
                return Produced(rows, summary(rows, lens))

            target = Target(table, lambda cell, rater=rater: {"shard": cell.shard, "rater": rater.id})
            for outcome in refresh(lake, target, wanted, produce, lineage_of(context, lake, DOCUMENTS), batch_cells=1):
                report(context, outcome)

    return [annotations]
