"""Runs of `documents`: what people see of good, bad and unreadable crawl files, and of a second run."""

import gzip
import json
import shutil
from dataclasses import replace

from datashop_assets.records import ANNOTATIONS, DOCUMENTS, QUARANTINE
from datashop_assets_tests.worlds import DATASET, World, document, failure_of, metadata_of


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


def licensed(world: World, shard: int) -> None:
    """A crawl file of three documents under the MIT licence."""
    rows = [{"text": document(number), "terms": "MIT"} for number in range(3 * shard, 3 * shard + 3)]
    world.land(f"part-{shard}", lines=[json.dumps(row) for row in rows])
    world.register()


def test_a_documents_table_from_before_licences_is_read_extended_and_made_anew_only_for_a_named_column(
    world: World,
) -> None:
    columns = {name: dtype for name, dtype in DOCUMENTS.columns.items() if name != "license"}
    before_licences = replace(DOCUMENTS, columns=columns, schema_version=1)
    licensed(world, 0)
    world.run("parse_and_embed_shards")
    rows = world.read(DOCUMENTS)
    cell = {"shard": "crawl-00000", "version": rows["version"][0]}
    shutil.rmtree(world.lake.table_uri(DOCUMENTS))
    world.lake.commit(before_licences, rows.drop("license"), [cell], {})

    assert world.read(DOCUMENTS).equals(rows), "the old table is read, with null licences"
    assert world.stale() == []
    licensed(world, 1)
    facts = metadata_of(world.run("parse_and_embed_shards"), "documents")
    assert [facts[shard]["skipped"] for shard in world.shards] == [True, False]
    stored = world.lake.open(DOCUMENTS)
    assert stored is not None
    assert "license" in stored.schema().to_arrow().names
    assert stored.metadata().configuration["datashop.schema_version"] == "2"
    assert world.read(DOCUMENTS).height == 6

    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "license_column": "terms"}
    world.change_project(landings=[landing])
    assert [(work.job, work.stretch.stale) for work in world.stale()] == [("parse_and_embed_shards", 2)]
    world.reconcile()
    assert world.read(DOCUMENTS)["license"].to_list() == ["MIT"] * 6
    assert (
        world.read(DOCUMENTS)
        .filter(shard="crawl-00000")
        .drop("license", "version")
        .sort("row")
        .equals(rows.drop("license", "version").sort("row"))
    )


def test_a_licence_column_that_is_named_later_asks_no_rater_again(world: World) -> None:
    licensed(world, 0)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    asked = list(world.raters["scripted"].asked)
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "license_column": "terms"}
    world.change_project(landings=[landing])
    world.run("parse_and_embed_shards")
    facts = metadata_of(world.run("rate_documents", "teaching"), "annotations")
    assert [fact["skipped"] for fact in facts.values()] == [False]
    assert world.raters["scripted"].asked == asked != []
    assert world.read(ANNOTATIONS.of("teaching"))["score"].null_count() == 0
