"""A release of documents that were parsed anew since they were scored is refused, whatever scored them."""

import json
from collections.abc import Sequence

import dagster as dg

from datashop_assets.partitions import range_tags
from datashop_assets.records import RELEASES, SCORES
from datashop_assets_tests.worlds import DATASET, World, failure_of, metadata_of

LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
LANDING = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}


def parse_anew(world: World, shards: Sequence[str]) -> None:
    """The same files give documents of another version: their licence is read as well. Nothing else is made of them."""
    world.change_project(landings=[LANDING | {"license_column": "terms"}])
    made = dg.materialize(
        [asset for asset in world.defs.assets or [] if isinstance(asset, dg.AssetsDefinition)],
        selection=["documents"],
        instance=world.instance,
        tags=range_tags(None, shards[0], shards[-1]),
        resources=world.defs.resources,
    )
    assert made.success


def released(world: World) -> str:
    return str(metadata_of(world.run("cut_release", "teaching"), "release")["teaching"]["release"])


def test_it_names_the_shards_and_what_to_materialize_and_gives_another_id_afterwards(world: World) -> None:
    world.land_shards(4)
    world.run_all("teaching")
    before = released(world)
    parse_anew(world, world.shards[:2])
    message = failure_of(world.run("cut_release", "teaching", fails=True))
    assert "2 of 4 shards were parsed anew since they were scored (crawl-00000, crawl-00001)" in message
    assert "materialize `embeddings`, `scores` of lens 'teaching' and then `filtered_documents`" in message
    world.run("parse_and_embed_shards", shards=world.shards[:2])
    message = failure_of(world.run("cut_release", "teaching", fails=True))
    assert "materialize `scores` of lens 'teaching' and then" in message
    world.run("score_documents", "teaching", shards=world.shards[:2])
    assert "2 of 4 shards are not filtered" in failure_of(world.run("cut_release", "teaching", fails=True))
    world.run("filter_documents", "teaching")
    assert released(world) != before
    assert world.read(RELEASES)["cutoff"].n_unique() == 1


def test_what_a_condition_reads_is_of_the_documents_too(world: World) -> None:
    world.change_project(
        attributes={"chars": {"kind": "length"}},
        lenses={"teaching": LENS | {"cutoff": {"keep_fraction": 0.5, "condition": "chars > 0"}}},
    )
    world.land_shards(2)
    world.run("parse_and_embed_shards")
    world.run("measure_attributes", "chars")
    world.run_all("teaching")
    manifest = json.loads(world.read(RELEASES)["manifest"].item())
    assert manifest["tables"]["scores/chars"] == world.lake.version(SCORES.of("chars"))
    parse_anew(world, world.shards)
    world.run("parse_and_embed_shards")
    world.run("score_documents", "teaching")
    world.run("filter_documents", "teaching")
    message = failure_of(world.run("cut_release", "teaching", fails=True))
    assert "materialize `attributes` of 'chars' and then `filtered_documents`" in message
