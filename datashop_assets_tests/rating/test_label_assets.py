"""Runs of label lenses: labelled like any lens, reported, and in the way of no later stage."""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from datashop_assets.definitions import build_defs
from datashop_assets.demo.__main__ import steps
from datashop_assets.demo.summary import summarise
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets.rating.questions import Question
from datashop_assets.records import ANNOTATIONS
from datashop_assets_tests.worlds import World, failure_of, metadata_of, write_project
from resources.exports import LocalExports
from resources.profiles import laptop
from resources.raters.scripted import ScriptedChatModel

TOPICS = ANNOTATIONS.of("topics")
LENSES = {
    "teaching": {"rater": "scripted", "sample_per_shard": 4},
    "topics": {"rater": "scripted", "sample_per_shard": 6},
}


def write_label_lens(library: Path) -> None:
    folder = library / "topics"
    folder.mkdir(parents=True, exist_ok=True)
    sets = [{"name": "domains", "labels": ["odd", "even", "neither"]}, {"name": "uses", "labels": ["search"]}]
    (folder / "lens.yaml").write_text(yaml.safe_dump({"title": "Topics", "description": "What.", "label_sets": sets}))
    (folder / "system.jinja").write_text("You label.")
    (folder / "prompt.jinja").write_text("{{ document }}")


def parity(text: str) -> dict[str, tuple[str, ...]]:
    number = int(text.split()[0].removeprefix("doc"))
    return {"domains": ("odd",) if number % 2 else ("even",), "uses": ("search",) if number % 3 == 0 else ()}


def defs_of(folder: Path, lenses: dict[str, object]) -> dg.Definitions:
    write_label_lens(folder / "lenses")
    return build_defs(laptop(write_project(folder, lenses=lenses)))


def partitions(defs: dg.Definitions, asset: str) -> set[str]:
    definition = defs.resolve_asset_graph().get(dg.AssetKey(asset)).partitions_def
    if isinstance(definition, dg.MultiPartitionsDefinition):
        definition = definition.get_partitions_def_for_dimension("lens")
    return set(definition.get_partition_keys())


@pytest.fixture
def labelled(world: World) -> World:
    """Two shards of twelve documents, six of each labelled."""
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses=LENSES)
    world.land_shards(2, documents=12)
    world.run("parse_and_embed_shards")
    world.judge = parity
    world.run("label_documents", "topics")
    return world


def test_a_sample_of_each_shard_is_labelled_once(labelled: World) -> None:
    rows = labelled.read(TOPICS)
    assert rows.height == 2 * 6
    assert rows["score"].null_count() == 12
    found = rows.select("labels").explode("labels").select(pl.col("labels").struct.field("label"))
    assert set(found["label"]) == {"odd", "even", "search"}
    labelled.raters["scripted"].asked.clear()
    labelled.run("label_documents", "topics")
    assert labelled.raters["scripted"].asked == []


def test_a_labelled_cell_says_what_was_found(world: World) -> None:
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses={**LENSES, "topics": {"rater": "scripted", "sample_per_shard": 12}})
    world.land_shards(1, documents=12)
    world.run("parse_and_embed_shards")
    world.judge = lambda text: "refused" if text.startswith("doc5 ") else parity(text)
    facts = metadata_of(world.run("label_documents", "topics"), "document_labels")["topics|crawl-00000"]
    assert (facts["annotations"], facts["failed"], facts["failed_by_reason"]) == (12, 1, {"refused": 1})
    assert facts["by_label"] == {"domains: even": 6, "domains: odd": 5, "uses: search": 4}


def test_the_report_shows_shares_pictures_and_writes_them(labelled: World) -> None:
    result = labelled.run("report_labels", "topics")
    facts = metadata_of(result, "label_report")["topics"]
    assert (facts["judged documents"], facts["failed"]) == (12, 0)
    assert facts["top domains"].startswith("![top domains](data:image/png")
    written = pl.read_csv(labelled.profile.home / "summaries" / "topics" / "labels.csv")
    pooled = written.filter(pl.col("by") == "all", pl.col("set") == "domains")
    shares = dict(pooled.select("label", "share").rows())
    assert shares["neither"] == 0
    assert shares["odd"] + shares["even"] == pytest.approx(1)
    assert "neither" in facts["shares (dataset)"]


def test_raters_of_labels_are_compared_on_what_both_labelled(labelled: World) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 6, "also_rated_by": ["other"]}
    labelled.change_project(lenses={**LENSES, "topics": lens})
    labelled.raters["other"].judge = lambda text: parity(text) | {"uses": ()}
    labelled.run("label_documents", "topics")
    facts = metadata_of(labelled.run("report_labels", "topics"), "label_report")["topics"]
    _, _, domains, uses = facts["raters with each other"].splitlines()
    assert "| domains | 12 | 1.000" in domains
    assert "| uses | 12 | 0." in uses


def test_a_report_before_anything_is_labelled_says_what_to_do(world: World) -> None:
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses=LENSES)
    facts = metadata_of(world.run("report_labels", "topics"), "label_report")["topics"]
    assert "materialize `document_labels` first" in facts["note"]
    assert facts["judged documents"] == 0


@pytest.mark.parametrize(("refused", "passes"), [("7", True), ("1", False)])
def test_many_failed_labellings_fail_the_check(world: World, refused: str, passes: bool) -> None:
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses={**LENSES, "topics": {"rater": "scripted", "sample_per_shard": 12}})
    world.land_shards(1, documents=12)
    world.run("parse_and_embed_shards")
    world.judge = lambda text: "refused" if text.startswith(f"doc{refused}") else parity(text)
    checks = world.run("label_documents", "topics").get_asset_check_evaluations()
    assert {check.check_name: check.passed for check in checks}["few_labellings_failed"] is passes


def test_a_budget_ends_the_labelling_and_the_next_run_goes_on(world: World) -> None:
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses=LENSES)
    world.land_shards(2, documents=12)
    world.run("parse_and_embed_shards")
    world.judge = parity
    stopped = world.run("label_documents", "topics", config={"document_labels": {"max_documents": 8}}, fails=True)
    assert "budget" in failure_of(stopped)
    assert world.read(TOPICS).height == 8
    checks = world.run("label_documents", "topics").get_asset_check_evaluations()
    assert world.read(TOPICS).height == 12
    assert len(world.raters["scripted"].asked) == 12, "nothing was asked twice"
    assert {check.check_name: check.passed for check in checks}["labelling_budgets_sufficed"]


def test_only_score_lenses_go_through_the_later_stages(tmp_path: Path) -> None:
    defs = defs_of(tmp_path, LENSES)
    for asset in ("document_labels", "label_report"):
        assert partitions(defs, asset) == {"topics"}
    for asset in ("annotations", "rating_summary", "classifier", "scores", "filtered_documents", "release"):
        assert partitions(defs, asset) == {"teaching"}


def test_labels_are_no_ratings_to_the_checks_and_sensors_of_score_lenses(labelled: World) -> None:
    """Labels have no score: as ratings they would all be alike."""
    labelled.judge = lambda text: float(len(text) % 3)
    result = labelled.run("rate_documents", "teaching")
    passed = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert passed["judgements_differ"]
    assert passed["few_judgements_failed"]
    assert labelled.stale() == []


def test_labels_of_a_prompted_model_reach_the_table(world: World) -> None:
    """Through the model's JSON, the parser and the run; an answer outside the vocabulary is a failure, not a label."""
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses={**LENSES, "topics": {"rater": "scripted", "sample_per_shard": 12}})
    world.land_shards(1, documents=12)
    world.run("parse_and_embed_shards")

    def answer(question: Question) -> str:
        text = question.messages[-1]["content"]
        return json.dumps({"rationale": "so", "domains": ["wit"] if "doc3 " in text else ["odd"], "uses": []})

    model = ScriptedChatModel(answer)
    world.raters["scripted"] = PromptedRater(model, world.graph.project.raters["scripted"])
    world.run("label_documents", "topics")
    rows = world.read(TOPICS)
    assert rows.filter(pl.col("reason") == "unknown_label")["labels"].to_list() == [[]]
    assert rows.drop_nulls("rationale").height >= 11
    assert rows.filter(pl.col("reason").is_null())["labels"].to_list() == [[{"set": "domains", "label": "odd"}]] * 11
    facts = metadata_of(world.run("report_labels", "topics"), "label_report")["topics"]
    assert (facts["judged documents"], facts["failed"]) == (11, 1)


def test_the_demo_labels_and_reports_label_lenses(labelled: World) -> None:
    jobs = [step.job for step in steps(labelled.graph, labelled.shards) if step.lens == "topics"]
    assert jobs == ["label_documents", "report_labels"]
    said = summarise(labelled.lake, labelled.graph, LocalExports(labelled.profile.releases))
    assert "topics: 12 by scripted, 0 failed" in said


def test_a_project_without_label_lenses_has_none_of_their_assets(tmp_path: Path) -> None:
    defs = build_defs(laptop(write_project(tmp_path)))
    assets = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert not assets & {"document_labels", "label_report"}
    assert not {"label_documents", "report_labels"} & {job.name for job in defs.get_repository_def().get_all_jobs()}


def test_a_project_of_label_lenses_alone_has_nothing_that_follows_from_scores(tmp_path: Path) -> None:
    defs = defs_of(tmp_path, {"topics": LENSES["topics"]})
    dg.Definitions.validate_loadable(defs)
    assets = {key.to_user_string() for key in defs.resolve_asset_graph().materializable_asset_keys}
    upkeep = {"pauses", "rollout_plan", "compacted_tables", "vacuumed_tables", "cleared_leftovers", "pruned_runs"}
    assert assets == {"documents", "embeddings", "document_labels", "label_report"} | upkeep
    jobs = {job.name for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")}
    assert jobs - {"plan_rollout", "keep_house"} == {"parse_and_embed_shards", "label_documents", "report_labels"}


def test_label_lenses_alone_run(world: World) -> None:
    write_label_lens(world.folder / "lenses")
    world.change_project(lenses={"topics": LENSES["topics"]})
    world.land_shards(1, documents=12)
    assert world.reconcile() == ["parse_and_embed_shards"]
    world.judge = parity
    world.run("label_documents", "topics")
    world.run("report_labels", "topics")
    assert world.read(TOPICS).height == 6
