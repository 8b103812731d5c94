"""What automation tells people: an asset whose pages the sensor fills, and which nobody has to make."""

import dagster as dg

from datashop_assets.asset_metadata import OWNERS, explained
from datashop_assets.automation.rollout_assets import rollout_assets
from datashop_assets.graph import Graph

GROUP = "automation"

resting_work = dg.AssetSpec(
    "resting_work",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"dagster"},
    description=explained(
        "Shards that are stale and not asked for, because runs over them failed or were cancelled: how often, until "
        "when they rest, and the last run. The reconcile sensor writes it whenever that changes. A new classifier or "
        "cut-off is tried at once; so is what a person launches.",
        costs="nothing",
        by_hand="never; to try a resting shard at once, launch the asset that rests there",
    ),
)


def automation_assets(graph: Graph) -> list[dg.AssetSpec | dg.AssetsDefinition]:
    """The assets of automation."""
    return [resting_work, *rollout_assets(graph)]
