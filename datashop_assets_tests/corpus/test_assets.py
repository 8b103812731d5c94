"""Runs of `documents`: what people see of good, bad and unreadable crawl files, and of a second run."""

import gzip

from datashop_assets.records import DOCUMENTS, QUARANTINE
from datashop_assets_tests.worlds import World, failure_of, metadata_of


def test_each_shard_of_a_range_run_reports_its_rows_and_its_quarantine(world: World) -> None:
    world.land("a", range(3))
    world.land("b", range(3, 5), lines=['{"text": ""}', "not json", '{"other": 1}'])
    world.register()
    facts = metadata_of(world.run("parse_and_embed_shards"), "documents")
    assert {shard: f["dagster/partition_row_count"] for shard, f in facts.items()} == {
        "crawl-00000": 3,
        "crawl-00001": 2,
    }
    assert [facts[shard]["quarantined"] for shard in world.shards] == [0, 3]
    assert facts["crawl-00001"]["quarantined: empty_text"] == 1
    bad = world.read(QUARANTINE).sort("row")
    assert [(row["file"], row["row"]) for row in bad.to_dicts()] == [("b.jsonl", 2), ("b.jsonl", 3), ("b.jsonl", 4)]
    assert bad["reason"].null_count() == 0


def test_a_second_run_skips_every_shard_and_says_so(world: World) -> None:
    world.land_shards(2, documents=3)
    world.run("parse_and_embed_shards")
    before = world.table_versions()
    again = world.run("parse_and_embed_shards")
    for asset in ("documents", "embeddings"):
        facts = metadata_of(again, asset)
        assert sorted(map(str, facts)) == world.shards
        assert all(f["skipped"] and f["dagster/partition_row_count"] == 3 for f in facts.values())
    assert world.table_versions() == before


def test_an_unreadable_file_fails_its_shard_by_name_and_no_other(world: World) -> None:
    world.land("a", range(3))
    cut_off = gzip.compress(b'{"text": "some text that is long enough"}\n' * 50)[:-20]
    (world.folder / "landing" / "b.jsonl.gz").write_bytes(cut_off)
    world.land("c", range(3, 6))
    world.register()
    failed = world.run("parse_and_embed_shards", fails=True)
    assert "crawl-00001" in failure_of(failed)
    assert "b.jsonl.gz" in failure_of(failed)
    assert "crawl-00000" not in failure_of(failed)
    assert world.read(DOCUMENTS)["shard"].unique().sort().to_list() == ["crawl-00000", "crawl-00002"]


def test_a_registered_file_that_changed_is_refused_by_name(world: World) -> None:
    world.land_shards(2, documents=3)
    world.land("part-001", range(50, 53))
    failed = world.run("parse_and_embed_shards", fails=True)
    assert "part-001.jsonl was registered with" in failure_of(failed)
    assert world.read(DOCUMENTS)["shard"].unique().to_list() == ["crawl-00000"]


def test_a_changed_file_of_a_shard_that_is_parsed_already_disturbs_nothing(world: World) -> None:
    world.land_shards(1, documents=3)
    world.run("parse_and_embed_shards")
    before = world.read(DOCUMENTS)
    world.land("part-000", range(50, 53))
    world.run("parse_and_embed_shards")
    assert world.read(DOCUMENTS).equals(before)
    assert world.stale() == []
