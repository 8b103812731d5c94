"""Cut-off, filtered documents and release over whole runs: what is kept, why, and what a release refuses."""

import json
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.corpus.registry import withdraw_shard
from datashop_assets.filtering.overview import verdicts_in_table
from datashop_assets.records import CUTOFFS, DOCUMENTS, EMBEDDINGS, FILTERED, RELEASES, SCORES, SHARDS
from datashop_assets_tests.worlds import DATASET, World, document, failure_of, metadata_of

KEPT = FILTERED.of("teaching")
LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}


@pytest.fixture
def filtered(world: World) -> World:
    return world.once(release_four_shards)


def release_four_shards(world: World) -> None:
    world.land_shards(4)
    world.run_all("teaching")


def released_ids(world: World) -> set[str]:
    folder = world.profile.releases / world.read(RELEASES).sort("created_at")["uri"].to_list()[-1]
    return set(pl.read_parquet(folder / "data" / "*.parquet")["id"].to_list())


def test_the_best_quarter_is_kept_and_every_other_document_has_its_reason(filtered: World) -> None:
    rows = filtered.read(KEPT)
    assert rows.height == 160
    assert dict(rows["reason"].value_counts().iter_rows()) == {"kept": 40, "below_lower": 120}
    scores = filtered.read(SCORES.of("teaching")).join(rows, on=["shard", "id"])
    assert scores.filter("kept")["score"].min() > scores.filter(~pl.col("kept"))["score"].max()


def test_counts_by_reason_and_the_kept_share_are_shown(filtered: World) -> None:
    again = metadata_of(filtered.run("set_cutoff", "teaching"), "cutoff")["teaching"]
    assert again["kept share"] == 0.25
    assert again["documents"] == 160
    assert again["skipped"] is True
    filtered.change_project(lenses={"teaching": LENS | {"cutoff": {"lower": 3.0}}})
    filtered.run("set_cutoff", "teaching")
    facts = metadata_of(filtered.run("filter_documents", "teaching"), "filtered_documents")
    assert sum(f["kept"] for f in facts.values()) == filtered.read(KEPT)["kept"].sum()
    assert all(f["kept"] + f["below_lower"] == 40 for f in facts.values())


def test_a_second_release_is_the_first_one(filtered: World) -> None:
    before = filtered.table_versions()
    facts = metadata_of(filtered.run("cut_release", "teaching"), "release")["teaching"]
    assert facts["skipped"] is True
    assert filtered.table_versions() == before


def test_the_release_holds_the_kept_text_and_nothing_else(filtered: World) -> None:
    kept = filtered.read(KEPT).filter("kept")["id"]
    assert released_ids(filtered) == set(kept)
    manifest = json.loads(filtered.read(RELEASES)["manifest"].item())
    assert manifest["documents"] == 40


def test_the_funnel_of_a_release_is_of_its_own_shards_and_of_its_own_time(filtered: World) -> None:
    """A withdrawn shard's rows stay in the table, and are no part of what is released."""
    withdraw_shard(filtered.lake, "crawl-00003", "half copied", "me", force=True)
    facts = metadata_of(filtered.run("cut_release", "teaching"), "release")["teaching"]
    rest = filtered.read(KEPT).filter(pl.col("shard") != "crawl-00003")["reason"].value_counts(sort=True)
    shown = [line.replace("\\", "") for line in facts["documents by verdict"].splitlines()[2:]]
    assert shown == [f"| {verdict} | {documents} |" for verdict, documents in rest.iter_rows()]
    assert facts["dagster/row_count"] == dict(rest.iter_rows())["kept"]
    version = filtered.lake.version(KEPT)
    filtered.land_shards(1, start=4)
    filtered.reconcile()
    assert verdicts_in_table(filtered.lake, "teaching", filtered.shards, version)["documents"].sum() == 160


def test_the_licence_of_each_document_reaches_the_release_and_is_counted(world: World) -> None:
    world.change_project(
        landings=[{"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0, "license_column": "terms"}],
        lenses={"teaching": LENS | {"cutoff": {"lower": -100}}},  # all are kept, so that all are counted
    )
    terms = {shard: ["MIT", "CC0-1.0", None, "MIT"][shard] for shard in range(4)}
    for shard, stated in terms.items():
        numbers = range(shard * 40, (shard + 1) * 40)
        world.land(f"part-{shard}", lines=[json.dumps({"text": document(n), "terms": stated}) for n in numbers])
    world.register()
    world.run_all("teaching")
    facts = metadata_of(world.run("cut_release", "teaching"), "release")["teaching"]
    assert facts["by licence"].splitlines()[2:] == ["| MIT | 80 |", "| CC0-1.0 | 40 |", "| *null* | 40 |"]
    assert facts["documents without licence"] == 40
    released = pl.read_parquet(Path(facts["path"]) / "data" / "*.parquet")
    by_shard = released.select("shard", "license").unique().sort("shard").rows()
    assert by_shard == [(f"crawl-0000{shard}", stated) for shard, stated in terms.items()]


def test_the_release_names_the_rater_that_gave_the_labels_also_when_another_is_asked_today(filtered: World) -> None:
    before = filtered.read(RELEASES)
    filtered.change_project(lenses={"teaching": LENS | {"rater": "other"}})
    facts = metadata_of(filtered.run("cut_release", "teaching"), "release")["teaching"]
    assert facts["skipped"] is True, "the text that is kept is the same"
    card = (filtered.profile.releases / before["uri"].item() / "README.md").read_text()
    assert "scripted" in card


def test_a_partly_filtered_corpus_is_not_released_and_the_shards_are_named(filtered: World) -> None:
    filtered.change_project(lenses={"teaching": LENS | {"cutoff": {"lower": 3.0}}})
    filtered.run("set_cutoff", "teaching")
    filtered.run("filter_documents", "teaching", shards=filtered.shards[:2])
    message = failure_of(filtered.run("cut_release", "teaching", fails=True))
    assert "2 of 4 shards are not filtered" in message
    assert "crawl-00002, crawl-00003" in message
    assert filtered.read(RELEASES).height == 1


def test_shards_that_are_for_annotation_only_are_never_released(world: World) -> None:
    (world.folder / "pool").mkdir()
    landings = [
        {"dataset": "crawl", "url": "landing", "shard_bytes": 1, "settle_s": 0},
        {"dataset": "pool", "url": "pool", "shard_bytes": 1, "settle_s": 0, "pool_only": True},
    ]
    world.change_project(landings=landings)
    file = world.land("best", [n for n in range(1000, 1300) if n % 6 == 5])
    file.rename(world.folder / "pool" / "best.jsonl")
    world.land_shards(3)
    world.run_all("teaching")
    rows = world.read(KEPT)
    reasons = rows.filter(pl.col("shard") == "pool-00000")["reason"].unique().to_list()
    assert reasons == ["annotation_pool_only"]
    pool = set(world.read(DOCUMENTS).filter(pl.col("dataset") == "pool")["id"])
    assert pool
    assert not pool & released_ids(world)
    assert len(released_ids(world)) == 30, "a quarter of the 120 that can be released, whatever the pool holds"


def test_a_shard_without_any_document_flows_through_as_empty_and_is_not_planned_again(world: World) -> None:
    world.land_shards(3)
    world.land("part-900", lines=["not json", '{"text": null}'])
    world.register()
    world.run_all("teaching")
    for table in (DOCUMENTS, EMBEDDINGS.of(world.encoder.id), SCORES.of("teaching"), KEPT):
        cells = {row["shard"]: row["rows"] for row in world.lake.cells(table).to_dicts()}
        assert cells == {"crawl-00000": 40, "crawl-00001": 40, "crawl-00002": 40, "crawl-00003": 0}, table.name
    assert world.stale() == []


@pytest.mark.parametrize(
    ("job", "asset"),
    [
        pytest.param("score_documents", "promotion", id="scoring without a promoted classifier"),
        pytest.param("set_cutoff", "promotion", id="cutting without a promoted classifier"),
        pytest.param("filter_documents", "cutoff", id="filtering without a cut-off"),
        pytest.param("cut_release", "cutoff", id="releasing without a cut-off"),
    ],
)
def test_a_step_too_early_says_what_to_materialize(world: World, job: str, asset: str) -> None:
    world.land_shards(1, documents=3)
    world.run("parse_and_embed_shards")
    assert f"materialize `{asset}`" in failure_of(world.run(job, "teaching", fails=True))


# What depends on what: each change, and the tables that may move. `table_versions` holds every other one still.


def moved(world: World, before: dict[str, int | None]) -> set[str]:
    return {name.split("/")[0] for name, version in world.table_versions().items() if before.get(name) != version}


def test_a_new_classifier_makes_scores_and_filtered_documents_anew_and_nothing_before_them(filtered: World) -> None:
    filtered.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    filtered.change_project(lenses={"teaching": LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.3]}}}})
    before = filtered.table_versions()
    filtered.run("train_and_promote_classifier", "teaching")
    assert moved(filtered, before) == {"classifiers", "promotions"}
    assert [(w.job, w.stretch.lens, w.stretch.stale) for w in filtered.stale()] == [("score_documents", "teaching", 4)]
    assert filtered.reconcile() == ["score_documents", "set_cutoff", "filter_documents"]
    made = {"scores", "score_sketches", "cutoffs", "filtered_documents"}
    assert moved(filtered, before) == {"classifiers", "promotions"} | made


def test_a_changed_cutoff_policy_touches_cutoff_and_filtered_documents_only(filtered: World) -> None:
    filtered.change_project(lenses={"teaching": LENS | {"cutoff": {"keep_fraction": 0.5}}})
    before = filtered.table_versions()
    for job in ("train_and_promote_classifier", "score_documents", "set_cutoff"):
        filtered.run(job, "teaching")
    assert filtered.reconcile() == ["filter_documents"]
    assert moved(filtered, before) == {"cutoffs", "filtered_documents"}
    assert filtered.read(KEPT)["kept"].sum() == 80
    assert filtered.read(CUTOFFS).height == 2, "the old record stands"


def test_a_new_shard_is_made_alone(filtered: World) -> None:
    def cells() -> dict[tuple[str, str], str]:
        tables = (DOCUMENTS, EMBEDDINGS.of(filtered.encoder.id), SCORES.of("teaching"), KEPT)
        return {(t.name, r["shard"]): r["version"] for t in tables for r in filtered.lake.cells(t).to_dicts()}

    before = cells()
    asked = list(filtered.raters["scripted"].asked)
    filtered.land_shards(1, start=4)
    assert [w.stretch.first for w in filtered.stale()] == ["crawl-00004"]
    # A corpus that grew by more than a tenth is looked at: the cut-off stays, and what it filtered with it.
    jobs = ["parse_and_embed_shards", "score_documents", "set_cutoff", "filter_documents"]
    assert filtered.reconcile() == jobs
    assert filtered.read(CUTOFFS).height == 1
    after = cells()
    assert {shard for _, shard in after.keys() - before.keys()} == {"crawl-00004"}
    assert {key: after[key] for key in before} == before
    assert filtered.raters["scripted"].asked == asked, "raters cost money: reconciling never asks them"
    assert filtered.read(SHARDS).height == 5
