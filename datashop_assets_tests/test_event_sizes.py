"""What the event log has to keep: an event of each cell for ever, 160,000 of them for 16,000 shards and ten lenses.

A picture takes some 20 kB: on each of those cells it would be 3 GB, on a lens it is nothing. So cells say numbers, and
the assets of a lens show pictures.
"""

from collections import defaultdict

import dagster as dg
from dagster._serdes import serialize_value

from datashop_assets_tests.worlds import World

ATTRIBUTES = {
    "words": {"kind": "length", "unit": "words"},
    "level": {"kind": "tiers", "of": "words", "levels": 3},
}
SHARD = ("documents", "embeddings")
LENS = ("rating_summary", "classifier", "promotion", "cutoff", "release")
# Bytes of what an event says of its own, measured on this project and a tenth more. What Dagster says beside it (run,
# step, input versions) is 1,400 to 2,100. A cell of annotations was paid for: it says more of itself.
CELLS = {
    "scores": 900,
    "filtered_documents": 1_000,
    "attributes": 1_500,
    "derived_attributes": 1_500,
    "annotations": 3_800,
}
MOST = CELLS | dict.fromkeys(SHARD, 3_000) | dict.fromkeys(LENS, 150_000)


def said(event: dg.AssetMaterialization) -> int:
    """Bytes of an event's metadata as the log keeps it."""
    return len(serialize_value(event)) - len(serialize_value(event.with_metadata({})))


def test_events_of_cells_are_small_and_pictures_stand_on_the_assets_of_a_lens(world: World) -> None:
    world.change_project(attributes=ATTRIBUTES)
    world.land_shards(3)
    world.run_all("teaching")
    world.run("summarise_ratings", "teaching")
    for job, attribute in (("measure_attributes", "words"), ("derive_attributes", "level")):
        world.run(job, attribute)
    largest: dict[str, int] = defaultdict(int)
    pictures = set()
    for asset in MOST:
        found = world.instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
        assert found, f"{asset} was not made"
        for record in found:
            event = record.asset_materialization
            assert event is not None
            largest[asset] = max(largest[asset], said(event))
            if any("data:image/png" in str(value.value) for value in event.metadata.values()):
                pictures.add(asset)
    assert {asset: size for asset, size in largest.items() if size > MOST[asset]} == {}
    assert pictures == {"rating_summary", "classifier", "cutoff", "release"}
