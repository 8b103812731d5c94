"""What the reconcile sensor asks for in a project that deduplicates."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.deduplication.tables import DUPLICATES
from datashop_assets.demo.__main__ import steps
from datashop_assets.records import FILTERED
from datashop_assets_tests.deduplication.copied_texts import EDITED, EVERYTHING, OTHER, TEXT, line
from datashop_assets_tests.deduplication.copied_texts import world as deduplicating
from datashop_assets_tests.worlds import World, write_project


def test_new_documents_are_signed_then_judged_then_nothing_is_left(tmp_path: Path) -> None:
    write_project(tmp_path, deduplication=EVERYTHING)
    world = World(tmp_path)
    world.land("a", lines=[line(TEXT), line(OTHER)])
    world.land("b", lines=[line(EDITED)])
    world.register()
    assert world.reconcile() == ["parse_and_embed_shards", "sign_documents", "deduplicate"]
    assert world.read(DUPLICATES)["reason"].drop_nulls().to_list() == ["near_duplicate"]
    world.change_project(deduplication=EVERYTHING | {"near": {"threshold": 0.99}})
    assert world.reconcile() == ["deduplicate"]
    assert world.read(DUPLICATES)["reason"].null_count() == 3


def test_a_shard_waits_for_earlier_ones_but_not_for_one_that_cannot_be_read(tmp_path: Path) -> None:
    write_project(tmp_path, deduplication={"near": {}})
    world = World(tmp_path)
    broken = world.land("a", lines=["x"]).with_suffix(".parquet")
    (tmp_path / "landing" / "a.jsonl").rename(broken)
    world.land("b", lines=[line(TEXT)])
    first, second = world.register()
    world.run("parse_and_embed_shards", shards=[second])
    # the first shard was not tried yet: it may bring what the second is a duplicate of
    assert {work.job for work in world.stale()} == {"parse_and_embed_shards", "sign_documents"}
    world.run("sign_documents", shards=[second])
    assert [work.job for work in world.stale()] == ["parse_and_embed_shards"]
    world.run("parse_and_embed_shards", shards=[first], fails=True)
    assert {work.job for work in world.stale()} == {"parse_and_embed_shards", "deduplicate"}


def test_what_is_rejected_is_not_kept_and_what_is_not_judged_is_not_filtered(world: World) -> None:
    world.change_project(deduplication={"exact": True})
    world.land_shards(3)
    world.land("part-009", range(20))  # the first half of the first shard again
    world.register()
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "teaching")
    assert world.reconcile() == ["score_documents", "deduplicate", "set_cutoff", "filter_documents"]
    filtered = world.read(FILTERED.of("teaching"))
    assert filtered.filter(pl.col("reason") == "exact_duplicate")["shard"].to_list() == [world.shards[-1]] * 20
    assert not filtered.filter(pl.col("kept") & (pl.col("shard") == world.shards[-1])).height
    world.change_project(deduplication={"exact": True, "near": {}})
    assert world.reconcile() == ["sign_documents", "deduplicate", "set_cutoff", "filter_documents"]


@pytest.mark.parametrize(
    ("asked", "jobs"),
    [
        pytest.param({}, set(), id="nothing by default"),
        pytest.param({"exact": True}, {"deduplicate"}, id="exact duplicates need no signatures"),
        pytest.param(EVERYTHING, {"sign_documents", "deduplicate"}, id="all that there is"),
    ],
)
def test_the_demo_makes_what_its_project_asks_for(tmp_path: Path, asked: dict[str, Any], jobs: set[str]) -> None:
    graph = deduplicating(tmp_path, asked).graph
    assert {step.job for step in steps(graph, ["crawl-00000"])} & {"sign_documents", "deduplicate"} == jobs
