"""Assets of the rating stage: a sample of each shard, rated through each lens, and a report on who rated it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from datashop_assets.asset_metadata import (
    OWNERS,
    PERMANENT,
    RATER,
    RETRY,
    explained,
    lineage_of,
    log_outcome,
    outcome_metadata,
    picture,
    plain_failures,
    table,
    table_metadata,
)
from datashop_assets.estimate import Estimate
from datashop_assets.graph import Graph
from datashop_assets.lineage import ANNOTATION_RECIPE
from datashop_assets.partitions import (
    GRID_TO_LENS,
    RANGES,
    cells_by_lens,
    dimension_tags,
    grid_partitions,
    lens_partitions,
    partition_key,
)
from datashop_assets.plots import confusion_matrix, predicted_vs_label
from datashop_assets.project import RatingBudget
from datashop_assets.rating.annotate import summary
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.produce import Assignment
from datashop_assets.rating.rater_report import (
    AgainstExemplars,
    Pair,
    against_exemplars,
    exemplar_table,
    names_of,
    pair_table,
    pairs,
    rate_exemplars,
)
from datashop_assets.rating.run import RatingRun
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, EXEMPLAR_RATINGS, Cell
from datashop_assets.seams import Lake, Rater, Staging

Raters = Callable[[str], Rater]
CellEvent = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
BUDGET_CHECK = "budgets_sufficed"
Describe = Callable[[pl.DataFrame, Lens], Mapping[str, Any]]


class AnnotationConfig(dg.Config):
    """Overrides the project file for one run. The bounds are of the whole run, its cells and attempts together, for
    each rater by itself."""

    rater: str | None = Field(None, description="name of a rater in the project file; null: all of the lens's own")
    sample_per_shard: int | None = Field(None, ge=0, description="documents rated in each shard; null: the lens's own")
    retry_failed: bool = Field(
        False, description="rate again what failed, also in shards that are done; a failure may fail again"
    )
    max_documents: int | None = Field(None, ge=0, description="asks about so many at most; null: the rater's own")
    max_tokens: int | None = Field(None, ge=0, description="stops at so many, in and out; null: the rater's own")
    max_cost: float | None = Field(None, ge=0, description="stops at this cost; null: the rater's own")

    def budget(self, own: RatingBudget) -> RatingBudget:
        """A rater's budget with this run's bounds instead of its own where there are some."""
        mine = {"documents": self.max_documents, "tokens": self.max_tokens, "cost": self.max_cost}
        return own.model_copy(update={name: bound for name, bound in mine.items() if bound is not None})


def annotation_facts(rows: pl.DataFrame, lens: Lens) -> dict[str, Any]:
    """What people see of a rated cell: numbers alone, since there is an event of each cell for ever. The documents
    and the picture are on the lens's `rating_summary`."""
    return {name: value for name, value in summary(rows, lens).items() if value is not None}


def report_facts(lens: Lens, exemplars: Sequence[AgainstExemplars], compared: Sequence[Pair]) -> dict[str, Any]:
    """What people see of a lens's raters: tables with intervals, pictures, and the values by themselves to plot."""
    facts: dict[str, Any] = {
        "against the exemplars": table(exemplar_table(exemplars)),
        "raters with each other": table(pair_table(compared)),
    }
    for rater in exemplars:
        facts |= _values(f"{rater.rater}, exemplars", rater.figures)
        if rater.given:
            dots = predicted_vs_label(rater.known, rater.given, lens.low, lens.high, "Exemplars")
            facts[f"{rater.rater}, exemplars"] = picture(dots, "score of the rater against the known score")
    for pair in compared:
        facts |= _values(f"{pair.first} and {pair.second}", pair.figures)
        counts = confusion_matrix(pair.counts.tolist(), lens.low, f"{pair.first[:16]} (rows), {pair.second[:16]}")
        facts[f"{pair.first} and {pair.second}"] = picture(counts, "documents by both raters' levels")
    return facts


def _values(prefix: str, figures: Mapping[str, Estimate | None]) -> dict[str, float]:
    return {f"{prefix}: {name}": figure.value for name, figure in figures.items() if figure is not None}


def rate_partitions(
    context: dg.AssetExecutionContext,
    config: AnnotationConfig,
    graph: Graph,
    lake: Lake,
    raters: Raters,
    staging: Staging,
    describe: Describe,
    budget_check: str | None = None,
) -> Iterator[CellEvent]:
    """Rate the run's cells by every rater of their lens; `describe` says what people see of a cell's rows.

    Raises dg.Failure, which is not retried, where a person has to change something, and where a rater's budget ended,
    once the other raters had their turn too. A step that fails materializes nothing by itself, so before an error this
    yields what is made all the same: a materialization of every cell that all its raters have rated wholly, and an
    observation of one that is half rated and stays among those to be made. At the end of a budget it says so as the
    asset's check `budget_check` too, which the failed step keeps from running.
    """
    run = RatingRun(lake, staging, lineage_of(context, lake, DOCUMENTS), context.log.info)
    retry_before = _begun_at(context) if config.retry_failed else None
    try:
        for lens_name, cells in cells_by_lens(context).items():
            lens, settings = graph.lenses[lens_name], graph.settings(lens_name)
            size = settings.sample_per_shard if config.sample_per_shard is None else config.sample_per_shard
            # A lens whose ratings are all imported is asked about too: its rater says that they are to be imported.
            for name in [config.rater] if config.rater else graph.asked_raters(lens_name) or [settings.rater]:
                assignment = Assignment(
                    lens, raters(name), size, settings.sample_seed, retry_before, settings.population
                )
                asked = graph.project.raters[name]
                spending = run.spending(name, config.budget(asked.budget), asked.price)
                run.rate(assignment, cells, spending, describe)
        run.raise_what_was_held_back()
    except Exception as error:
        for cell, metadata in _cell_facts(context, run):
            event = dg.AssetMaterialization if run.is_whole(cell) else dg.AssetObservation
            yield event(context.asset_key, metadata=metadata, partition=partition_key(cell), tags=dimension_tags(cell))
        if run.reached and budget_check:
            yield dg.AssetCheckEvaluation(
                asset_key=context.asset_key,
                check_name=budget_check,
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description=str(error),
                metadata=run.spent(),
            )
        if isinstance(error, PERMANENT) or context.retry_number >= RETRY.max_retries:
            run.forget_spendings()
        if isinstance(error, PERMANENT):
            raise dg.Failure(str(error), metadata=run.spent(), allow_retries=False) from error
        raise
    run.forget_spendings()
    for cell, metadata in _cell_facts(context, run):
        context.add_asset_metadata(metadata, partition_key=partition_key(cell))


def _begun_at(context: dg.AssetExecutionContext) -> datetime:
    """When the run began, this attempt or an earlier one: what failed since then was tried by this run already."""
    begun = context.instance.get_run_stats(context.run_id).start_time
    return datetime.now(UTC) if begun is None else datetime.fromtimestamp(begun, UTC)


def _cell_facts(context: dg.AssetExecutionContext, run: RatingRun) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """What people see of each cell; the facts of all raters but the lens's own begin with the rater's name."""
    for cell, outcomes in run.outcomes.items():
        facts: dict[str, Any] = {}
        for number, (name, outcome) in enumerate(outcomes.items()):
            log_outcome(context, outcome)
            prefix = f"{name}: " if number else ""
            facts |= {f"{prefix}{fact}": value for fact, value in outcome_metadata(outcome).items()}
        yield cell, facts


def rated_asset(graph: Graph) -> dict[str, Any]:
    """What the assets of score lenses and of label lenses, which `rate_partitions` makes, have in common."""
    return {
        "deps": ["documents"],
        "backfill_policy": RANGES,
        "group_name": "rating",
        "owners": OWNERS,
        "kinds": {"huggingface", "deltalake"},
        "code_version": f"{ANNOTATION_RECIPE}-{graph.lens_code_version}",
        "metadata": table_metadata(ANNOTATIONS),
        "dagster_type": dg.Nothing,  # the rows are in the lake
        "pool": "rater",
        "tags": RATER,
        "retry_policy": RETRY,
    }


def rating_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The rating assets of a project."""

    @dg.asset(
        **rated_asset(graph),
        partitions_def=grid_partitions(graph),
        description=explained(
            "A hash-chosen sample of each shard, rated by one LLM or more through a lens. A judgement that fails is a "
            "null score with a reason, never a number. Ratings that exist are never asked for again. A run stops at "
            "its budget, keeps what was rated, and goes on from there when it is run again.",
            costs="the rater's time or money, `sample_per_shard` documents of each shard",
            by_hand="**always**, with a budget in the launchpad: a sensor starts it for `auto_annotate` lenses alone",
        ),
    )
    def annotations(
        context: dg.AssetExecutionContext,
        config: AnnotationConfig,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Raters],
        staging: dg.ResourceParam[Staging],
    ) -> Iterator[CellEvent]:
        yield from rate_partitions(context, config, graph, lake, raters, staging, annotation_facts, BUDGET_CHECK)

    @dg.asset(
        deps=[dg.AssetDep("annotations", partition_mapping=GRID_TO_LENS)],
        partitions_def=lens_partitions(graph),
        group_name="rating",
        owners=OWNERS,
        kinds={"huggingface", "scikitlearn"},
        code_version=graph.lens_code_version,
        metadata=table_metadata(EXEMPLAR_RATINGS),
        pool="rater",
        tags=RATER,
        retry_policy=RETRY,
        description=explained(
            "How the raters of a lens follow its check exemplars, whose scores are known, and how they agree with each "
            "other on the documents that both rated. Each rater is asked about the exemplars once.",
            costs="the rater's time for the check exemplars, once for each rater",
            by_hand="after a rater or the lens was changed, before you trust its ratings",
        ),
    )
    @plain_failures
    def rater_report(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Raters],
        staging: dg.ResourceParam[Staging],
    ) -> dg.MaterializeResult:
        lens = graph.lenses[context.partition_key]
        names = {raters(name).id: name for name in graph.settings(lens.name).all_raters}
        lineage = lineage_of(context, lake, ANNOTATIONS.of(lens.name))
        for name in graph.asked_raters(lens.name):
            rate_exemplars(lake, lens, raters(name), staging, lineage, context.log.info)
        shown = names_of(lake, lens, names)
        return dg.MaterializeResult(
            metadata=report_facts(lens, against_exemplars(lake, lens, shown), pairs(lake, lens, shown))
        )

    return [annotations, rater_report]
