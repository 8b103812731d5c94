"""Assets of automation that a person materializes: the plan of what would be asked for, and the pause switch."""

import getpass
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import CPU, OWNERS, explained, picture, plain_failures, table, table_metadata
from datashop_assets.automation.pauses import newest_records, record_pauses
from datashop_assets.automation.rollout import look_ahead
from datashop_assets.automation.status_picture import status_picture
from datashop_assets.automation.tables import PAUSES
from datashop_assets.graph import Graph
from datashop_assets.partitions import SHARDS
from datashop_assets.seams import Encoder, Lake, Rater
from resources.lake import DeltaLake
from resources.lake_history import DeltaHistory

GROUP = "automation"
# Runs that the plan lists.
SHOWN = 50


class PauseConfig(dg.Config):
    """Whom to pause, and whom to resume. Nothing of either: only show what is paused."""

    pause: list[str] = Field([], description="lenses and attributes of which nothing is asked for; * for everything")
    resume: list[str] = Field([], description="those of which it is again; * takes back *, and no other name")
    by: str | None = Field(None, description="who asks for it; null: whoever runs the code location")
    note: str | None = Field(None, description="why, for those who wonder later")


def rollout_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The assets of a project."""

    @dg.asset(
        group_name=GROUP,
        owners=OWNERS,
        kinds={"deltalake"},
        metadata=table_metadata(PAUSES),
        tags=CPU,
        description=explained(
            "The pause switch: name lenses or attributes in the launchpad, and sensors and schedules ask for nothing "
            "of them from their next look on, until they are resumed. What runs already goes on. What the project "
            "file pauses stays paused whatever is recorded here.",
            costs="nothing",
            by_hand="to hold a lens back, and again to let it go on: both with its name in the launchpad",
        ),
    )
    @plain_failures
    def pauses(context: dg.AssetExecutionContext, config: PauseConfig, lake: dg.ResourceParam[Lake]) -> None:
        known = [*graph.lenses, *graph.project.attributes]
        lineage = {"run_id": context.run_id, "asset": "pauses"}
        by = config.by or getpass.getuser()
        record_pauses(lake, known, config.pause, config.resume, by, config.note, lineage)
        paused = [name for name, row in newest_records(lake).items() if row["paused"]]
        context.add_output_metadata(
            {
                "paused": ", ".join(sorted(paused)) or "nothing",
                "paused by the project file": ", ".join(graph.project.automation.paused_names) or "nothing",
                "records": table(lake.scan(PAUSES).sort("changed_at", descending=True).head(SHOWN).collect()),
            }
        )

    @dg.asset(
        deps=["pauses"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"deltalake"},
        tags=CPU,
        description=explained(
            "What would be asked for now, launching nothing: a map of how far each lens is over the shards; runs and "
            "cells of each job and lens; the documents, hours, disk and cost that they take, by what earlier runs "
            "took; and what is stale and waits, with the reason.",
            costs="a look at the tables: seconds, also over a large grid",
            by_hand="before a large backfill or a promotion, to see what it would take",
        ),
    )
    @plain_failures
    def rollout_plan(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[DeltaLake],
        encoder: dg.ResourceParam[Encoder],
        raters: dg.ResourceParam[Callable[[str], Rater]],
    ) -> None:
        shards = list(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        found = look_ahead(lake, DeltaHistory(lake), graph, encoder.id, shards, raters, context.instance)
        shown: dict[str, Any] = {
            "runs": found.runs,
            "stale cells": found.cells,
            "how far each lens is": picture(status_picture(found.status), "status of every shard, lens by lens"),
            "by job": table(found.jobs()),
            "what waits": table(found.waiting()),
            "first runs": table(found.stretches(SHOWN)),
            "paused": found.pauses(),
        }
        context.add_output_metadata(shown)

    return [pauses, rollout_plan]
