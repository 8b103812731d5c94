"""Assets of housekeeping: what each did, or in a dry run would do, with its size."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import CPU, OWNERS, explained, lineage_of, plain_failures, table, table_metadata
from datashop_assets.filtering.superseded import searches
from datashop_assets.graph import Graph
from datashop_assets.housekeeping.chores import Chore, listed, record, summary
from datashop_assets.housekeeping.leftovers import ModelShelf, clear_models, clear_staging, clear_work, judged_through
from datashop_assets.housekeeping.old_runs import prune_runs
from datashop_assets.housekeeping.tables import HOUSEKEEPING
from datashop_assets.housekeeping.tidying import compact_tables, remove_superseded, vacuum_tables
from resources.lake import DeltaLake
from resources.run_storage import RunStorage

HOUR_S = 3600
BY_HAND = (
    "to see what it would do: a dry run, which is the project file's default, only reports. With `dry_run: false` in "
    "the launchpad it does it"
)
Told = dg.MaterializeResult[Any]


class HousekeepingConfig(dg.Config):
    """Whether anything is touched."""

    dry_run: bool | None = Field(
        None, description="true: only report; false: do it; null: as the project file's `automation.housekeeping` says"
    )


def housekeeping_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The housekeeping assets of a project."""
    settings = graph.project.automation.housekeeping
    retention_s = settings.retention_hours * HOUR_S

    def asset(kinds: set[str], what: str, costs: str, deps: Sequence[str] = ()) -> Callable[..., dg.AssetsDefinition]:
        def decorated(body: Callable[..., Any]) -> dg.AssetsDefinition:
            made = dg.asset(
                deps=deps,
                group_name="housekeeping",
                owners=OWNERS,
                kinds=kinds,
                metadata=table_metadata(HOUSEKEEPING),
                tags=CPU,
                description=explained(what, costs, BY_HAND),
            )
            return made(plain_failures(body))

        return decorated

    def told(context: dg.AssetExecutionContext, lake: DeltaLake, found: Iterable[Chore], dry: bool) -> Told:
        """Do the chores one by one, write down what was done even where a later one fails, and report."""
        chores: list[Chore] = []
        try:
            for chore in found:
                chores.append(chore)
                context.log.info("%s %s: %s", chore.action, chore.what, chore.note)
        finally:
            record(lake, context.asset_key.to_user_string(), chores, lineage_of(context, lake))
        return dg.MaterializeResult(metadata={**summary(chores, dry), "report": table(listed(chores))})

    def dry(config: HousekeepingConfig) -> bool:
        return settings.dry_run if config.dry_run is None else config.dry_run

    @asset(
        {"deltalake"},
        "Rewrites the small files of crowded partitions into few; no row and no version changes.",
        "reads and writes the files of crowded partitions once; the old files stay until a vacuum",
    )
    def compacted_tables(
        context: dg.AssetExecutionContext, config: HousekeepingConfig, lake: dg.ResourceParam[DeltaLake]
    ) -> Told:
        chores = compact_tables(lake, settings.compact_from, dry(config))
        return told(context, lake, chores, dry(config))

    @asset(
        {"deltalake"},
        "Deletes files that only replaced rows need, and those of killed writers, once they are older than "
        "`retention_hours`. Every table version that a release's manifest names stays readable.",
        "lists every table's files; earlier versions that no release names cannot be read any more",
        ["compacted_tables"],
    )
    def vacuumed_tables(
        context: dg.AssetExecutionContext, config: HousekeepingConfig, lake: dg.ResourceParam[DeltaLake]
    ) -> Told:
        chores = vacuum_tables(lake, settings.retention_hours, dry(config))
        return told(context, lake, chores, dry(config))

    @asset(
        {"file"},
        "Removes what was kept for cells that no run came back to, judgements through earlier versions of a lens, "
        "models that no record names, and scores and summaries that nobody reads, once older than `retention_hours`.",
        "lists the staging folder and the model store; scores of a classifier that was in force long ago have to be "
        "made again to roll back to it",
    )
    def cleared_leftovers(
        context: dg.AssetExecutionContext,
        config: HousekeepingConfig,
        lake: dg.ResourceParam[DeltaLake],
        models: dg.ResourceParam[ModelShelf],
        scratch: dg.ResourceParam[tuple[Path, Path]],
    ) -> Told:
        staging, work = scratch
        chores = chain(
            clear_staging(staging, judged_through(graph), retention_s, dry(config)),
            clear_work(work, retention_s, dry(config)),
            clear_models(lake, models, retention_s, dry(config)),
            remove_superseded(lake, searches(lake, graph.project), settings.retention_hours, dry(config)),
        )
        return told(context, lake, chores, dry(config))

    @asset(
        {"dagster"},
        "Deletes runs that ended more than `keep_runs_days` ago, with their events, but for those that hold the latest "
        "materialization of a partition, or the latest result of a check: what the UI shows stays.",
        "reads the run table; the deleted runs leave the timeline",
    )
    def pruned_runs(
        context: dg.AssetExecutionContext, config: HousekeepingConfig, lake: dg.ResourceParam[DeltaLake]
    ) -> Told:
        chores = prune_runs(RunStorage(context.instance), settings.keep_runs_days, dry(config))
        return told(context, lake, chores, dry(config))

    return [compacted_tables, vacuumed_tables, cleared_leftovers, pruned_runs]
