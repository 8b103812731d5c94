"""Runs of attributes: measured, derived, filtered on from their tables, reported, and planned by the sensor."""

import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from datashop_assets.project import ProjectError, load_project
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES
from datashop_assets.scoring.sources import score_source
from datashop_assets.scoring.tables import ATTRIBUTE_REPORTS, ATTRIBUTE_SCORES, ATTRIBUTES
from datashop_assets_tests.worlds import World, failure_of, light_export, metadata_of, write_project

ATTRIBUTES_OF_TEXT = {
    "words": {"kind": "length", "unit": "words"},
    "ratio": {"kind": "compression_ratio"},
}
DERIVED = {
    "best_of_both": {"kind": "combined", "of": ["teaching", "ratio"], "how": "max"},
    "level": {"kind": "tiers", "of": "best_of_both", "levels": 4},
}


@pytest.fixture(scope="module")
def scored_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose four shards of 40 documents are scored by one lens: made once, each test works on a copy."""
    folder = tmp_path_factory.mktemp("scored")
    write_project(folder, attributes=ATTRIBUTES_OF_TEXT | DERIVED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datashop_assets.classifier.produce.export", light_export)
        world = World(folder)
        world.land_shards(4)
        world.run("parse_and_embed_shards")
        world.run("rate_documents", "teaching")
        world.run("train_and_promote_classifier", "teaching")
        world.run("score_documents", "teaching")
    return folder


@pytest.fixture
def scored(scored_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("datashop_assets.classifier.produce.export", light_export)
    shutil.copytree(scored_folder, tmp_path, dirs_exist_ok=True)
    world = World(tmp_path)
    world.register()
    return world


def attribute_rows(world: World, name: str) -> pl.DataFrame:
    source = score_source(world.lake, world.graph.project, name)
    return world.read(source.table).filter(pl.col("classifier") == source.classifier)


def test_every_document_has_a_number_in_the_documents_order(scored: World) -> None:
    result = scored.run("measure_attributes", "words")
    rows = attribute_rows(scored, "words")
    documents = scored.read(DOCUMENTS)
    for shard in scored.shards:
        mine, texts = rows.filter(shard=shard), documents.filter(shard=shard).sort("file", "row")
        assert mine["id"].to_list() == texts["id"].to_list()
        assert mine["score"].to_list() == [float(len(text.split())) for text in texts["text"]]
    assert set(metadata_of(result, "attributes")) == {f"words|{shard}" for shard in scored.shards}
    assert all(e.passed for e in result.get_asset_check_evaluations())


def test_a_second_run_does_nothing_and_other_settings_make_other_scores_beside_the_old_ones(scored: World) -> None:
    scored.run("measure_attributes", "ratio")
    before = scored.table_versions(), scored.lake.version(ATTRIBUTE_SCORES.of("ratio"))
    result = scored.run("measure_attributes", "ratio")
    assert (scored.table_versions(), scored.lake.version(ATTRIBUTE_SCORES.of("ratio"))) == before
    assert all(facts["skipped"] for facts in metadata_of(result, "attributes").values())
    old = score_source(scored.lake, scored.graph.project, "ratio").classifier
    scored.change_project(attributes={"ratio": {"kind": "compression_ratio", "level": 19}})
    scored.run("measure_attributes", "ratio")
    rows = scored.read(ATTRIBUTE_SCORES.of("ratio"))
    assert rows["classifier"].n_unique() == 2
    assert old != score_source(scored.lake, scored.graph.project, "ratio").classifier


def test_levels_of_a_combination_are_made_in_one_run_with_the_combination_before_them(scored: World) -> None:
    scored.run("measure_attributes", "ratio")
    scored.run("derive_attributes", "level")
    best, levels = attribute_rows(scored, "best_of_both"), attribute_rows(scored, "level")
    assert best["score"].is_between(0, 1).all()
    together = best.join(levels, on=["shard", "id"], suffix="_level").sort("score")
    assert together["score_level"].is_sorted()
    sizes = together["int_score_level"].value_counts(sort=True)["count"]
    assert sizes.sum() == 160
    assert sizes.max() - sizes.min() <= 2, "levels hold equal shares of the corpus"


def test_the_sources_are_asked_for_by_their_asset_where_they_are_not_there(scored: World) -> None:
    said = failure_of(scored.run("derive_attributes", "best_of_both", fails=True))
    assert "attribute 'ratio' has no scores as it is set now; materialize `attributes` for it first" in said
    scored.run("measure_attributes", "ratio", shards=scored.shards[:3])
    said = failure_of(scored.run("derive_attributes", "best_of_both", fails=True))
    assert f"best_of_both | {scored.shards[3]}: materialize `attributes` first" in said
    assert attribute_rows(scored, "best_of_both")["shard"].n_unique() == 3, "the others are made"


def test_a_new_shard_leaves_the_ranks_of_old_documents_as_they_are_until_the_corpus_has_moved(scored: World) -> None:
    scored.run("measure_attributes", "ratio")
    scored.run("derive_attributes", "best_of_both")
    before = attribute_rows(scored, "best_of_both").sort("shard", "id")
    scored.land_shards(1, start=4)  # 25 % more
    assert "derive_attributes" in scored.reconcile()
    after = attribute_rows(scored, "best_of_both").sort("shard", "id")
    assert after.height == 200
    assert after.filter(pl.col("shard").is_in(before["shard"].implode())).equals(before)
    long = ["click " * 300 + str(number) for number in range(400)]
    scored.land("part-005", lines=[json.dumps({"text": text}) for text in long])
    scored.register()
    scored.reconcile()
    moved = attribute_rows(scored, "best_of_both")
    assert moved["classifier"].unique().to_list() != before["classifier"].unique().to_list()
    assert scored.stale() == []


def test_a_promotion_makes_what_is_combined_of_its_scores_anew(scored: World) -> None:
    scored.run("measure_attributes", "ratio")
    scored.run("derive_attributes", "best_of_both")
    first = score_source(scored.lake, scored.graph.project, "best_of_both").classifier
    scored.judge = lambda text: float(len(text) % 5)
    scored.change_project(lenses={"teaching": {"rater": "other", "sample_per_shard": 40}})
    scored.run("rate_documents", "teaching")
    scored.run("train_and_promote_classifier", "teaching", fails=True)
    scored.promote("teaching", override=True, by="someone", note="a test of promotions")
    ran = scored.reconcile()
    assert ran.index("score_documents") < ran.index("derive_attributes")
    assert score_source(scored.lake, scored.graph.project, "best_of_both").classifier != first


def test_the_sensor_asks_for_what_is_stale_until_nothing_is_and_never_for_a_raters_attribute(scored: World) -> None:
    rated = {"rated": {"kind": "rater", "rater": "scripted", "lens": "teaching"}}
    scored.change_project(attributes=ATTRIBUTES_OF_TEXT | DERIVED | rated)
    ran = scored.reconcile()
    assert set(ran) >= {"measure_attributes", "derive_attributes"}
    assert scored.stale() == []
    with pytest.raises(LookupError, match="'rated' has no scores"):
        score_source(scored.lake, scored.graph.project, "rated")


def test_a_raters_attribute_covers_every_document_or_a_lenss_survivors_with_failures_null(scored: World) -> None:
    scored.run("set_cutoff", "teaching")
    scored.run("filter_documents", "teaching")
    asked = {"kind": "rater", "rater": "scripted", "lens": "clarity"}
    scored.change_project(attributes={"all": asked, "survivors": asked | {"survivors_of": "teaching"}})
    scored.judge = lambda text: "refused" if text.startswith("doc7 ") else 2.0
    scored.run("measure_attributes", "all")
    rows = attribute_rows(scored, "all")
    assert rows.filter(pl.col("score").is_null())["reason"].to_list() == ["refused"]
    assert rows["int_score"].drop_nulls().unique().to_list() == [2]
    scored.run("measure_attributes", "survivors")
    rows = attribute_rows(scored, "survivors")
    assert rows.height == 160
    assert dict(rows["reason"].value_counts().iter_rows())["not_a_survivor"] == 120
    assert rows["score"].drop_nulls().len() in (39, 40)


def test_a_raters_budget_ends_the_run_and_the_next_one_goes_on(scored: World) -> None:
    served = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "budget": {"documents": 50}}
    rated = {"rated": {"kind": "rater", "rater": "scripted", "lens": "clarity"}}
    scored.change_project(attributes=rated, raters={"scripted": served, "other": served})
    said = failure_of(scored.run("measure_attributes", "rated", fails=True))
    assert "30 documents of crawl-00001 are still to be rated" in said
    assert attribute_rows(scored, "rated").height == 40, "a whole shard stands"
    asked: list[str] = []
    scored.judge = lambda text: asked.append(text) or 1.0
    for _ in range(2):
        scored.run("measure_attributes", "rated", fails=True)
    scored.run("measure_attributes", "rated")
    assert len(asked) == 110, "nothing is asked about twice"
    assert attribute_rows(scored, "rated").height == 160


def test_judgements_are_kept_apart_from_models_scores_and_those_of_the_former_stage_are_taken_over(
    scored: World,
) -> None:
    asked = {"kind": "rater", "rater": "scripted", "lens": "clarity"}
    scored.change_project(attributes={"depth": asked})
    scored.run("measure_attributes", "depth")
    staging = scored.profile.staging
    assert not (staging / "attributes").exists()
    (staging / "rated_attributes").rename(staging / "attributes")
    scored.lake.commit(ATTRIBUTE_SCORES.of("depth"), *nothing_of(scored, "depth"), {})
    questions: list[str] = []
    scored.judge = lambda text: questions.append(text) or 1.0
    scored.run("measure_attributes", "depth")
    assert questions == []
    assert attribute_rows(scored, "depth")["score"].drop_nulls().len() == 160


def nothing_of(world: World, attribute: str) -> tuple[pl.DataFrame, list[dict[str, str]]]:
    """The attribute's cells without rows, as an earlier version made them."""
    table = ATTRIBUTE_SCORES.of(attribute)
    cells = world.lake.cells(table).select("classifier", "shard", version=pl.lit("earlier")).to_dicts()
    return table.empty(), cells


def test_functions_of_scores_and_of_text(scored: World) -> None:
    module = "datashop_assets_tests.attributes.some_functions"
    functions = {
        "per_word": {"kind": "function", "function": f"{module}:score_per_word", "inputs": ["teaching", "words"]},
        "shouting": {"kind": "function", "function": f"{module}:capitals", "text": True},
        "broken": {"kind": "function", "function": f"{module}:too_few", "text": True},
    }
    scored.change_project(attributes=ATTRIBUTES_OF_TEXT | functions)
    scored.run("measure_attributes", "words")
    scored.run("measure_attributes", "shouting")
    scored.run("derive_attributes", "per_word")
    teaching = scored.read(SCORES.of("teaching")).select("shard", "id", teaching="score")
    words = attribute_rows(scored, "words").select("shard", "id", words="score")
    rows = attribute_rows(scored, "per_word").join(teaching, on=["shard", "id"]).join(words, on=["shard", "id"])
    assert rows["score"].to_list() == pytest.approx((rows["teaching"] / rows["words"]).to_list(), rel=1e-6)
    assert set(attribute_rows(scored, "shouting")["score"]) == {0.0}
    said = failure_of(scored.run("measure_attributes", "broken", fails=True))
    assert f"function '{module}:too_few' gave 1 numbers for 40 rows" in said


def test_attributes_made_elsewhere_are_joined_by_id(scored: World, tmp_path: Path) -> None:
    ids = scored.read(DOCUMENTS).sort("shard", "file", "row")["id"].to_list()
    entries = [{"id": id_, "attributes": {"toxic": [[0, 10, number / 160]]}} for number, id_ in enumerate(ids[:120])]
    entries.append({"id": "nobody", "attributes": {"toxic": [[0, 1, 0.5]]}})
    (tmp_path / "toxic.jsonl").write_text("\n".join(map(json.dumps, entries)))
    scored.change_project(attributes={"toxic": {"kind": "imported", "files": ["toxic.jsonl"], "attribute": "toxic"}})
    result = scored.run("measure_attributes", "toxic")
    rows = attribute_rows(scored, "toxic").sort("score")
    assert rows["score"].drop_nulls().to_list() == pytest.approx([number / 160 for number in range(120)])
    assert rows.filter(pl.col("score").is_null())["reason"].to_list() == ["no_entry"] * 40
    facts = metadata_of(result, "attributes")[f"toxic|{scored.shards[0]}"]
    assert (facts["entries in the files"], facts["entries of no document asked about"]) == (121, 1)
    first = rows["classifier"][0]
    entries[0]["attributes"]["toxic"] = [[0, 10, 1.0]]
    (tmp_path / "toxic.jsonl").write_text("\n".join(map(json.dumps, entries)))
    scored.run("measure_attributes", "toxic", shards=scored.shards[:1])
    assert attribute_rows(scored, "toxic")["classifier"].unique().to_list() != [first], "changed files are seen"
    assert [work.job for work in scored.stale() if work.stretch.lens == "toxic"] == ["measure_attributes"]


def test_the_report_compares_all_that_have_scores_and_keeps_its_figures(scored: World) -> None:
    for name in ("words", "ratio"):
        scored.run("measure_attributes", name)
    (facts,) = metadata_of(scored.run("report_attributes"), "attribute_report").values()
    assert facts["documents compared"] == 160
    assert set(facts["without scores"]) == {"clarity", "best_of_both", "level"}
    (record,) = scored.read(ATTRIBUTE_REPORTS).to_dicts()
    pairs = {frozenset((each["first"], each["second"])): each for each in json.loads(record["correlations"])}
    assert set(pairs) == {frozenset(two) for two in combinations(("teaching", "words", "ratio"), 2)}
    assert pairs[frozenset(("teaching", "ratio"))]["n"] == 160
    assert -1 <= pairs[frozenset(("teaching", "ratio"))]["spearman"] <= 1
    assert pairs[frozenset(("teaching", "words"))]["spearman"] is None, "all texts have thirteen words"


def test_a_project_without_attributes_has_none_of_their_assets_and_one_without_lenses_may_have_some(
    world: World,
) -> None:
    assert "attributes" not in {node.group_name for node in world.defs.resolve_asset_graph().asset_nodes}
    world.change_project(attributes={"words": ATTRIBUTES_OF_TEXT["words"]})
    keys = {key.to_user_string() for key in world.defs.resolve_asset_graph().get_all_asset_keys()}
    assert {"attributes", "attribute_report"} <= keys
    assert "derived_attributes" not in keys
    dg.Definitions.validate_loadable(world.defs)


def test_what_is_in_force_is_a_record_that_says_what_it_was_made_of(scored: World) -> None:
    scored.run("measure_attributes", "ratio")
    scored.run("derive_attributes", "best_of_both")
    rows = {row["attribute"]: row for row in scored.read(ATTRIBUTES).to_dicts()}
    assert rows["best_of_both"]["documents"] == 320
    assert json.loads(rows["best_of_both"]["sources"])["ratio"] == rows["ratio"]["classifier"]
    assert {name: one["n"] for name, one in json.loads(rows["best_of_both"]["distribution"]).items()} == {
        "teaching": 160,
        "ratio": 160,
    }


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        pytest.param({"teaching": {"kind": "length"}}, r"\['teaching'\] have the names of lenses", id="a lens's name"),
        pytest.param({"Ratio": {"kind": "length"}}, r"begins with a letter", id="no name of a table"),
        pytest.param(
            {"a": {"kind": "tiers", "of": "b"}}, r"'a' is made of \['b'\]; known .*'clarity', 'teaching'", id="unknown"
        ),
        pytest.param(
            {"a": {"kind": "tiers", "of": "b"}, "b": {"kind": "combined", "of": ["a"]}},
            r"made of each other: \w <- \w <- \w",
            id="a circle",
        ),
        pytest.param(
            {"a": {"kind": "rater", "rater": "nobody", "lens": "teaching"}}, r"rater 'nobody'", id="unknown rater"
        ),
        pytest.param(
            {"a": {"kind": "combined", "of": ["teaching"], "how": "weighted"}}, r"`weights` are given", id="no weights"
        ),
        pytest.param({"a": {"kind": "tiers", "of": "teaching", "quantiles": [0.5, 0.2]}}, "ascend", id="descending"),
    ],
)
def test_a_project_whose_attributes_do_not_resolve_is_refused(
    tmp_path: Path, attributes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProjectError, match=said):
        load_project(write_project(tmp_path, attributes=attributes))


def test_a_lens_is_filtered_by_attributes_once_the_sensor_has_made_them(scored: World) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"lower": 0, "condition": "level.int >= 2"}}
    scored.change_project(lenses={"teaching": lens})
    ran = scored.reconcile()
    order = ["measure_attributes", "derive_attributes", "set_cutoff", "filter_documents"]
    assert [ran.index(job) for job in order] == sorted(ran.index(job) for job in order)
    kept = scored.read(FILTERED.of("teaching")).filter("kept").select("shard", "id")
    levels = attribute_rows(scored, "level")
    upper = levels.filter(pl.col("int_score") >= 2).select("shard", "id")
    scores = scored.read(SCORES.of("teaching")).filter(pl.col("score") >= 0).select("shard", "id")
    assert set(kept.rows()) == set(upper.rows()) & set(scores.rows())
    assert 60 <= kept.height <= 80


def test_a_derived_attribute_comes_after_its_own_sources_on_the_same_shard(scored: World) -> None:
    """What a backfill over several assets, and the UI's lineage of a partition, go by."""
    graph = scored.defs.resolve_asset_graph()
    derived = graph.get(dg.AssetKey("derived_attributes"))
    shards = scored.shards
    for asset, before, after in (("scores", "teaching", ["best_of_both"]), ("attributes", "words", [])):
        upstream = graph.get(dg.AssetKey(asset))
        subset = upstream.partitions_def.subset_with_partition_keys([f"{before}|{shards[1]}"])
        found = derived.partition_mappings[dg.AssetKey(asset)].get_downstream_partitions_for_partitions(
            subset, upstream.partitions_def, derived.partitions_def, dynamic_partitions_store=scored.instance
        )
        assert sorted(found.get_partition_keys()) == [f"{name}|{shards[1]}" for name in after]
