"""Runs of `documents`: what people see of good, bad and unreadable crawl files, and of a second run."""

import gzip
import json
import shutil
from dataclasses import replace

import dagster as dg
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from datashop_assets.corpus.registry import withdraw_shard
from datashop_assets.partitions import SHARDS
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, EMBEDDINGS, QUARANTINE
from datashop_assets_tests.worlds import DATASET, World, document, failure_of, metadata_of


def checks_of(result: dg.ExecuteInProcessResult, name: str) -> list[dg.AssetCheckEvaluation]:
    return [event for event in result.get_asset_check_evaluations() if event.check_name == name]


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


CUT_OFF = gzip.compress(b'{"text": "some text that is long enough"}\n' * 50)[:-20]


def one_bad_of_five(world: World) -> list[str]:
    """Five shards, the third with a file that is cut off; returns the good ones."""
    for name in "abde":
        world.land(name, range(ord(name), ord(name) + 3))
    (world.folder / "landing" / "c.jsonl.gz").write_bytes(CUT_OFF)
    world.register()
    return [shard for shard in world.shards if shard != "crawl-00002"]


def test_the_good_shards_of_a_range_with_a_bad_one_go_the_whole_way_and_the_bad_one_alone_is_red(world: World) -> None:
    good = one_bad_of_five(world)
    failed = world.run("parse_and_embed_shards", fails=True)
    assert "1 of the run's cells failed" in failure_of(failed)
    assert "crawl-00002: c.jsonl.gz is cut short" in failure_of(failed)
    for asset, table in (("documents", DOCUMENTS), ("embeddings", EMBEDDINGS.of(world.encoder.id))):
        assert world.read(table)["shard"].unique().sort().to_list() == good
        status = world.instance.get_status_by_partition(dg.AssetKey(asset), world.shards, SHARDS)
        assert status == {
            shard: AssetPartitionStatus.MATERIALIZED if shard in good else AssetPartitionStatus.FAILED
            for shard in world.shards
        }
        event = world.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event.asset_materialization.metadata["dagster/partition_row_count"].value == 3
    assert [(work.job, work.stretch.first, work.stretch.cells) for work in world.stale()] == [
        ("parse_and_embed_shards", "crawl-00002", 1)
    ]


def test_the_good_shards_of_a_range_are_rated_and_the_bad_one_is_named(world: World) -> None:
    good = one_bad_of_five(world)
    world.run("parse_and_embed_shards", fails=True)
    failed = failure_of(world.run("rate_documents", "teaching", fails=True))
    assert "teaching | crawl-00002: materialize `documents` first" in failed
    assert world.read(ANNOTATIONS.of("teaching"))["shard"].unique().sort().to_list() == good
    made = world.instance.get_materialized_partitions(dg.AssetKey("annotations"))
    assert made == {f"teaching|{shard}" for shard in good}


def test_a_bad_shard_stays_visible_in_facts_and_check_until_its_file_is_read(world: World) -> None:
    one_bad_of_five(world)
    world.run("parse_and_embed_shards", fails=True)
    world.run("parse_and_embed_shards", shards=["crawl-00002"], fails=True)  # a second time changes nothing
    (fault,) = world.look().facts["unreadable shards"]
    assert fault.startswith("crawl-00002: c.jsonl.gz is cut short")
    (check,) = checks_of(world.run("parse_and_embed_shards", shards=world.shards[:2]), "every_shard_is_readable")
    assert not check.passed
    assert "c.jsonl.gz" in str(check.metadata["why"].value)

    withdraw_shard(world.lake, "crawl-00002", "cut off", "me")
    assert world.look().facts["unreadable shards"] == []
    (check,) = checks_of(world.run("parse_and_embed_shards", shards=world.shards[:2]), "every_shard_is_readable")
    assert check.passed


def test_a_file_that_is_restored_is_read_and_its_fault_forgotten(world: World) -> None:
    file = world.land("a", range(3))
    world.register()
    file.rename(world.folder / "away")
    world.run("parse_and_embed_shards", fails=True)
    assert world.read(QUARANTINE)["reason"].to_list() == ["unreadable_file"]
    (world.folder / "away").rename(file)
    world.run("parse_and_embed_shards")
    assert world.read(QUARANTINE).is_empty()
    assert world.look().facts["unreadable shards"] == []


def test_a_partition_of_another_project_does_not_keep_a_range_from_being_parsed(world: World) -> None:
    world.land("a", range(3))
    world.register()
    world.instance.add_dynamic_partitions("shard", ["ghost-00000"])
    world.land("b", range(3, 6))
    world.register()
    failed = world.run("parse_and_embed_shards", fails=True)
    assert "shard 'ghost-00000' is a partition but not in the table" in failure_of(failed)
    assert "crawl" not in failure_of(failed)
    assert world.read(EMBEDDINGS.of(world.encoder.id)).height == 6
    assert world.stale() == []


def test_a_shard_whose_landing_left_the_project_rests_and_the_others_are_parsed(world: World) -> None:
    (world.folder / "more").mkdir()
    more = {"dataset": "more", "url": "more", "shard_bytes": 1, "settle_s": 0}
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}
    world.change_project(landings=[landing, more])
    world.land("a", range(3))
    world.land("z", range(3, 6)).rename(world.folder / "more" / "z.jsonl")
    world.register()
    world.change_project(landings=[landing])
    failed = failure_of(world.run("parse_and_embed_shards", fails=True))
    assert "shard more-00000 rests: the project file has no landing 'more'" in failed
    assert world.read(DOCUMENTS)["shard"].unique().to_list() == ["crawl-00000"]
    assert world.stale() == []


def test_documents_alone_can_be_made_and_embedded_later(world: World) -> None:
    world.land_shards(2, documents=3)
    assets = [asset for asset in world.defs.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    made = dg.materialize(
        assets,
        selection=["documents"],
        instance=world.instance,
        partition_key="crawl-00000",
        resources=world.defs.resources,
    )
    assert [event.asset_key.to_user_string() for event in made.get_asset_materialization_events()] == ["documents"]
    assert world.read(EMBEDDINGS.of(world.encoder.id)).is_empty()
    assert metadata_of(world.run("parse_and_embed_shards"), "documents")["crawl-00000"]["skipped"]
    assert world.read(EMBEDDINGS.of(world.encoder.id)).height == 6


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
    assert stored.metadata().configuration["datashop.schema_version"] == str(DOCUMENTS.schema_version)
    assert world.read(DOCUMENTS).height == 6

    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0, "license_column": "terms"}
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
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0, "license_column": "terms"}
    world.change_project(landings=[landing])
    world.run("parse_and_embed_shards")
    facts = metadata_of(world.run("rate_documents", "teaching"), "annotations")
    assert [fact["skipped"] for fact in facts.values()] == [False]
    assert world.raters["scripted"].asked == asked != []
    assert world.read(ANNOTATIONS.of("teaching"))["score"].null_count() == 0
