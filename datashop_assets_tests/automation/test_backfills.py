"""A backfill that a person launched: the cells that it has no runs of yet are not asked for by anybody else."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from datashop_assets.automation.runs import runs_to_respect
from datashop_assets.automation.sensors import why_nothing
from datashop_assets.automation.work import Outlook
from datashop_assets_tests.worlds import World

SHARDS = [f"crawl-{number:05d}" for number in range(6)]
LENS = "teaching"


@dataclass
class Backfills:
    """Backfills as the UI's web server records them and the daemon goes on with them."""

    world: World

    def launch(self, asset: str, partitions: Sequence[str]) -> PartitionBackfill:
        made = PartitionBackfill.from_asset_partitions(
            backfill_id=str(uuid4())[:8],
            asset_graph=self.world.defs.resolve_asset_graph(),
            partition_names=list(partitions),
            asset_selection=[dg.AssetKey(asset)],
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=self.world.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
        self.world.instance.add_backfill(made)
        return made

    def submit(self, backfill: PartitionBackfill, partitions: Sequence[str], *, fails: bool = False) -> None:
        """Runs of these partitions are there now, or a failure before them keeps them from ever being."""
        data = backfill.asset_backfill_data
        assert data is not None
        ((asset, target),) = data.target_subset.partitions_subsets_by_asset_key.items()
        some = data.target_subset._replace(
            partitions_subsets_by_asset_key={asset: target.empty_subset().with_partition_keys(partitions)}
        )
        data = data.with_failed_and_downstream_subset(some) if fails else data.replace_requested_subset(some)
        self.world.instance.update_backfill(backfill._replace(asset_backfill_data=data))

    def busy(self, job: str, lens: str | None = LENS) -> set[str]:
        settings = self.world.graph.project.automation
        return set(runs_to_respect(self.world.instance, settings).over(SHARDS).busy(job, lens))


@pytest.fixture
def backfills(world: World) -> Backfills:
    world.instance.add_dynamic_partitions("shard", SHARDS)
    return Backfills(world)


def cells(shards: Sequence[str], lens: str = LENS) -> list[str]:
    return [f"{lens}|{shard}" for shard in shards]


def test_cells_of_a_backfill_are_busy_until_they_have_runs(backfills: Backfills) -> None:
    made = backfills.launch("scores", cells(SHARDS[1:4]))
    assert backfills.busy("score_documents") == set(SHARDS[1:4])
    assert not backfills.busy("score_documents", "clarity")
    assert not backfills.busy("filter_documents")
    backfills.submit(made, cells(SHARDS[1:3]))
    assert backfills.busy("score_documents") == {SHARDS[3]}


@pytest.mark.parametrize("status", [BulkActionStatus.CANCELING, BulkActionStatus.CANCELED, BulkActionStatus.FAILED])
def test_a_backfill_that_asks_for_no_more_holds_nothing(backfills: Backfills, status: BulkActionStatus) -> None:
    made = backfills.launch("scores", cells(SHARDS))
    backfills.world.instance.update_backfill(made.with_status(status))
    assert not backfills.busy("score_documents")


def test_what_a_failure_keeps_a_backfill_from_is_not_held_for_ever(backfills: Backfills) -> None:
    made = backfills.launch("scores", cells(SHARDS[:2]))
    backfills.submit(made, cells(SHARDS[:1]), fails=True)
    assert backfills.busy("score_documents") == {SHARDS[1]}


def test_shards_without_a_lens_and_lenses_without_shards(backfills: Backfills) -> None:
    backfills.launch("embeddings", SHARDS[2:3])
    assert backfills.busy("parse_and_embed_shards", None) == {SHARDS[2]}
    backfills.launch("cutoff", [LENS])
    assert backfills.busy("set_cutoff") == set(SHARDS), "a run over the lens is one over all of its shards"
    assert not backfills.busy("set_cutoff", "clarity")


def test_a_tick_that_asks_for_nothing_says_so(backfills: Backfills) -> None:
    backfills.launch("scores", cells(SHARDS))
    settings = backfills.world.graph.project.automation
    runs = runs_to_respect(backfills.world.instance, settings)
    assert "backfills of the UI are to ask for 6 cells more" in why_nothing(Outlook([], []), runs, [], settings)
