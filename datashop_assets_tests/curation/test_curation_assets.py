"""`curated_annotations` in a project: from ratings and embeddings to a table, a report and a check."""

import random
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from datashop_assets.corpus.registry import withdraw_shard
from datashop_assets.curation.produce import current_curation
from datashop_assets.curation.tables import CURATED_ANNOTATIONS, CURATIONS
from datashop_assets.records import ANNOTATIONS, EMBEDDINGS, TableSpec
from datashop_assets_tests.worlds import World, failure_of, metadata_of, worth, write_project
from resources.lake import DeltaLake

LENS = "teaching"
TABLE = CURATED_ANNOTATIONS.of(LENS)


def careless(text: str) -> float:
    """What a rater says who is wrong once in five times."""
    chance = random.Random(text)
    return float(chance.randrange(6)) if chance.random() < 0.2 else worth(text)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return next(e for e in result.get_asset_check_evaluations() if e.check_name == "rater_errors_are_known")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(write_project(tmp_path).parent)
    world.judge = careless
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", LENS)
    return world


def test_ratings_are_curated_once_and_again_when_there_are_more(world: World) -> None:
    first = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    rows = world.read(TABLE)
    rated = world.read(ANNOTATIONS.of(LENS))
    assert rows.height == rated.height == first["documents"] == 160
    assert rows.join(rated, on=["shard", "id", "text_sha", "score"]).height == 160
    assert set(rows["annotations_versions"].explode()) == set(rated["version"])
    assert set(rows["embeddings_version"]) == set(world.read(EMBEDDINGS.of(world.encoder.id))["version"])
    assert not first["skipped"]

    encoded = world.lake.version(EMBEDDINGS.of(world.encoder.id))
    assert metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]["skipped"]
    assert world.lake.version(TABLE) == first["delta_version"]

    world.land_shards(1, start=4)
    world.run("parse_and_embed_shards", shards=world.shards[4:])
    world.run("rate_documents", LENS, shards=world.shards[4:])
    second = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    grown = world.read(TABLE)
    assert grown.height == second["documents"] == 200
    assert grown["version"].unique().to_list() == [second["curation"]] != [first["curation"]]
    # The vectors of the first four shards were not made again.
    assert world.lake.version(EMBEDDINGS.of(world.encoder.id)) == encoded + 1
    kept = world.read(CURATIONS).sort("created_at")["curation"].to_list()
    assert kept == [first["curation"], second["curation"]]


def test_the_lens_s_other_raters_are_fused(tmp_path: Path) -> None:
    settings = {
        "rater": "scripted",
        "also_rated_by": ["other"],
        "sample_per_shard": 40,
        "cutoff": {"keep_fraction": 0.25},
    }
    world = World(write_project(tmp_path, lenses={LENS: settings, "clarity": settings}).parent)
    world.judge = careless
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", LENS)
    facts = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    assert world.read(TABLE)["raters"].unique().to_list() == [2]
    assert {"scripted: right class", "other: right class"} <= set(facts)


def test_the_report_is_pictures_and_tables_that_are_small(world: World) -> None:
    facts = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    for name in ("scripted: errors", "prior", "scores"):
        assert facts[name].startswith("![")
        assert len(facts[name]) < 60_000
    assert "too few" not in facts.get("note", "")


def test_a_small_pool_is_a_warning_and_its_ratings_stay(tmp_path: Path) -> None:
    world = World(write_project(tmp_path).parent)
    world.land_shards(1, documents=30)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", LENS)
    result = world.run("curate_annotations", LENS)
    check = check_of(result)
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert "Rate more documents" in (check.description or "")
    rows = world.read(TABLE)
    assert rows["curated_score"].equals(rows["score"].alias("curated_score"))


def test_failed_judgements_are_counted_and_get_no_score(tmp_path: Path) -> None:
    world = World(write_project(tmp_path).parent)
    world.judge = lambda text: "unparsable_answer" if "doc7 " in text else careless(text)
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", LENS)
    facts = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    assert facts["without a score"] == 1
    assert world.read(TABLE).height == 159


def test_a_shard_that_rests_is_not_in_the_pool(world: World) -> None:
    world.run("curate_annotations", LENS)
    gone = world.shards[0]
    withdraw_shard(world.lake, gone, "a mistake", "me", force=True)
    world.run("curate_annotations", LENS)
    assert gone not in world.read(TABLE)["shard"].to_list()


def test_without_ratings_it_says_what_to_materialize(tmp_path: Path) -> None:
    world = World(write_project(tmp_path).parent)
    world.land_shards(1)
    world.run("parse_and_embed_shards")
    assert "materialize `annotations`" in failure_of(world.run("curate_annotations", LENS, fails=True))


def test_a_run_that_is_killed_between_record_and_rows_leaves_the_curation_before_in_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    world.land_shards(1, start=4)
    world.run("parse_and_embed_shards", shards=world.shards[4:])
    world.run("rate_documents", LENS, shards=world.shards[4:])
    commit = DeltaLake.commit

    def killed(lake: DeltaLake, table: TableSpec, *rest: Any) -> Any:
        if table.name == TABLE.name:
            raise ValueError("killed")
        return commit(lake, table, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(DeltaLake, "commit", killed)
        world.run("curate_annotations", LENS, fails=True)
    report, curation = current_curation(world.lake, LENS)
    assert report is not None
    assert (curation, report.rows) == (first["curation"], 160)
    second = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    assert not second["skipped"]
    assert world.read(TABLE).height == 200
    kept = world.read(CURATIONS)["curation"].to_list()
    assert sorted(kept) == sorted([first["curation"], second["curation"]]), "one record each"


def test_a_curation_that_was_overtaken_is_made_again(world: World) -> None:
    world.run("curate_annotations", LENS)
    rows = world.read(TABLE)
    world.lake.commit(TABLE, rows.with_columns(version=pl.lit("other")), [{"lens": LENS, "version": "other"}], {})
    again = metadata_of(world.run("curate_annotations", LENS), "curated_annotations")[LENS]
    assert not again["skipped"]
    assert world.read(TABLE).sort("shard", "id").equals(rows.sort("shard", "id"))
