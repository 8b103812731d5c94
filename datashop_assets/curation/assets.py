"""Assets of the curation stage: a lens's ratings, corrected."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    explained,
    lineage_of,
    picture,
    plain_failures,
    table,
    table_metadata,
)
from datashop_assets.corpus.registry import active_shards
from datashop_assets.curation.produce import RECIPE, produce_curation
from datashop_assets.curation.report import Report, Suspicious
from datashop_assets.curation.tables import CURATED_ANNOTATIONS, CURATIONS
from datashop_assets.graph import Graph
from datashop_assets.partitions import EVERY_SHARD, GRID_TO_LENS, lens_partitions
from datashop_assets.plots import share_map, side_by_side
from datashop_assets.records import ANNOTATIONS, EMBEDDINGS
from datashop_assets.seams import Encoder, Lake, Rater


def curation_facts(report: Report) -> dict[str, Any]:
    """What people see of a curation: the raters' errors, what they change, and the rows to look at."""
    facts: dict[str, Any] = {
        "documents": report.rows,
        "independent texts": report.texts,
        "without a score": report.without_score,
        "outdated judgements": report.outdated,
        "flagged": report.flagged,
        "changed": report.changed,
        "classes": ", ".join(report.classes),
        "most suspicious": table(suspicious_table(report.suspicious)),
    }
    if report.doubts:
        facts["note"] = " ".join(report.doubts)
    if len(report.classes) < len(report.levels) and report.fitted:
        facts["coarser classes"] = (
            f"{report.texts} independent texts tell {len(report.classes)} classes apart; all levels that occur need "
            f"{report.texts_for_every_level}"
        )
    if report.recall is not None:
        facts["recall of the neighbour search"] = report.recall
    if report.twins_missed is not None:
        facts["twins missed"] = report.twins_missed
    if report.gain is not None:
        facts |= {"prediction gain": report.gain.value, "prediction gain, interval": str(report.gain)}
    if not report.fitted:
        return facts
    levels = [str(level) for level in report.levels]
    facts["raters"] = table(
        pl.DataFrame(
            [
                {
                    "rater": fit.rater,
                    "texts": fit.texts,
                    "right class": f"{fit.right:.1%}",
                    "classes off": round(fit.distance, 3),
                    "converged": f"in {fit.steps} steps" if fit.converged else "no",
                }
                for fit in report.raters
            ]
        )
    )
    for fit in report.raters:
        facts[f"{fit.rater}: right class"] = fit.right
        shown = share_map(fit.transition, report.classes, report.classes, f"True class (rows), rated by {fit.rater}")
        facts[f"{fit.rater}: errors"] = picture(shown, "how probably a text of a true class is rated what")
    shares = {"rated": report.prior_before, "estimated truth": report.prior_after}
    facts["prior"] = picture(side_by_side(shares, report.classes, "Prior", "class", "share"), "prior before and after")
    counts = {"before": report.before, "after": report.after}
    facts["scores"] = picture(side_by_side(counts, levels, "Scores", "score", "documents"), "scores before and after")
    return facts


def suspicious_table(rows: tuple[Suspicious, ...]) -> pl.DataFrame:
    """One row a suspicious document: its scores, the beginning of its text, and what lies beside it."""
    return pl.DataFrame(
        [
            {
                "document": row.document,
                "score": row.score,
                "suggested": row.suggested,
                "wrong": row.wrong,
                "text": row.text,
            }
            | {
                f"neighbour {number}": f"{beside.score:.2f} at {beside.distance:.2f}: {beside.text}"
                for number, beside in enumerate(row.neighbours, 1)
            }
            for row in rows
        ]
    )


def curation_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The curation assets of a project."""

    @dg.asset(
        deps=[
            dg.AssetDep("annotations", partition_mapping=GRID_TO_LENS),
            dg.AssetDep("embeddings", partition_mapping=EVERY_SHARD),
        ],
        partitions_def=lens_partitions(graph),
        group_name="curation",
        owners=OWNERS,
        kinds={"numpy", "deltalake"},
        code_version=f"{RECIPE}-{graph.lens_code_version}-{graph.curation_code_version}",
        metadata=table_metadata(CURATED_ANNOTATIONS, CURATIONS),
        tags=CPU,
        description=explained(
            "All ratings of the lens, corrected by what like documents were rated: how each rater errs, which scores "
            "are probably wrong, what they should be and how sure that is, and how rare each document is.",
            costs="a search for neighbours among the rated documents, on the CPU",
            by_hand="after new annotations, to look at suspicious ratings before training",
        ),
    )
    @plain_failures
    def curated_annotations(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        raters: dg.ResourceParam[Callable[[str], Rater]],
    ) -> dg.MaterializeResult:
        lens, settings = graph.lenses[context.partition_key], graph.settings(context.partition_key)
        lineage = lineage_of(context, lake, ANNOTATIONS.of(lens.name), EMBEDDINGS.of(encoder.id))
        names: dict[str, str] = {}
        for name in settings.all_raters:
            names.setdefault(raters(name).id, name)
        active = [shard.shard for shard in active_shards(lake, graph.project)]
        made = produce_curation(lake, lens, names, encoder.id, settings.curation, active, lineage)
        if made.reused:
            context.log.info("%s was made of the same ratings and vectors: nothing to do", made.curation)
        for doubt in made.report.doubts:
            context.log.warning("%s", doubt)
        facts = curation_facts(made.report) | {"curation": made.curation, "skipped": made.reused}
        if made.table_version is not None:
            facts["delta_version"] = made.table_version
        return dg.MaterializeResult(metadata=facts | {"dagster/partition_row_count": made.report.rows})

    return [curated_annotations]
