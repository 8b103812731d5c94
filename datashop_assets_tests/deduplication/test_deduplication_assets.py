"""The deduplication assets: what a project asks for is made, once, and a later shard changes no earlier verdict."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from datashop_assets.deduplication.inputs import rejected_documents, rejection_versions, removed_spans
from datashop_assets.deduplication.tables import CONTAMINATION, DUPLICATES, MINHASHES, REPEATED_PARAGRAPHS
from datashop_assets.deduplication_settings import NearDuplicateSettings
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.mmlu import mmlu_questions
from datashop_assets.records import DOCUMENTS
from datashop_assets_tests.deduplication.copied_texts import (
    EDITED,
    EVERYTHING,
    JOBS,
    OTHER,
    TEXT,
    land,
    line,
    run_all,
    world,
)
from datashop_assets_tests.worlds import failure_of, metadata_of

QUESTION = {question.id: question for question in mmlu_questions(None)}["anatomy/0"]


def test_each_kind_of_rejection_has_its_reason(tmp_path: Path) -> None:
    project = world(tmp_path, EVERYTHING)
    land(project, "a", TEXT, OTHER)
    twice = f"{OTHER[:130]}\n\n{OTHER[:130]}\n\n{OTHER[:130]}\n\n{OTHER[:130]}"
    land(project, "b", EDITED, OTHER, twice, f"A quiz.\n{QUESTION.question}\nAnswers below.")
    run_all(project)
    first, second = project.shards
    settings = project.graph.project.deduplication
    assert rejected_documents(project.lake, settings, first).is_empty()
    rejected = rejected_documents(project.lake, settings, second)["reason"].to_list()
    assert sorted(rejected) == ["contaminated", "exact_duplicate", "mostly_repeated", "near_duplicate"]
    pair = project.read(DUPLICATES).filter(pl.col("reason") == "near_duplicate").row(0, named=True)
    earlier = project.lake.scan(DOCUMENTS).filter(pl.col("text") == TEXT).collect().row(0, named=True)
    assert (pair["of_shard"], pair["of_id"]) == (first, earlier["id"])
    assert 0.75 <= pair["similarity"] < 1
    assert project.read(CONTAMINATION)["item"].drop_nulls().to_list() == ["mmlu/anatomy/0"]
    assert not removed_spans(project.lake, settings, second).is_empty()
    assert removed_spans(project.lake, settings, first).is_empty()


def test_people_see_counts_and_pairs_side_by_side(tmp_path: Path) -> None:
    project = world(tmp_path, EVERYTHING)
    land(project, "a", TEXT, OTHER)
    second = land(project, "b", EDITED, "Something else that stands nowhere, at some length, for the sake of it.")[1]
    project.run("sign_documents")
    facts = metadata_of(project.run("deduplicate"), "duplicates")[second]
    assert (facts["near_duplicate"], facts["rejected"], facts["rejected share"]) == (1, 1, 0.5)
    assert facts["least similar pairs"].count("The harbour was built") == 2


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    project = world(tmp_path, EVERYTHING)
    land(project, "a", TEXT, OTHER)
    run_all(project)
    before = project.table_versions()
    run_all(project)
    assert project.table_versions() == before


def test_a_later_shard_changes_no_earlier_verdict_and_makes_nothing_again(tmp_path: Path) -> None:
    project = world(tmp_path, EVERYTHING)
    land(project, "b", TEXT, OTHER)
    run_all(project)
    before = {table.name: project.read(table) for table in (MINHASHES, DUPLICATES, REPEATED_PARAGRAPHS, CONTAMINATION)}
    # "a" sorts before "b", as a file and in the crawl; it is registered later all the same
    land(project, "a", TEXT, EDITED)
    run_all(project)
    first = project.shards[0]
    for table in (MINHASHES, DUPLICATES, REPEATED_PARAGRAPHS, CONTAMINATION):
        assert project.read(table).filter(pl.col("shard") == first).equals(before[table.name])
    assert sorted(project.read(DUPLICATES)["reason"].drop_nulls()) == ["exact_duplicate", "near_duplicate"]


def test_shards_may_be_judged_in_any_order(tmp_path: Path) -> None:
    answers = []
    for name, order in (("forwards", (0, 1, 2)), ("backwards", (2, 1, 0)), ("at_once", None)):
        (tmp_path / name).mkdir()
        project = world(tmp_path / name, EVERYTHING)
        project.land("a", lines=[line(TEXT), line(OTHER)])
        project.land("b", lines=[line(EDITED)])
        shards = land(project, "c", EDITED, OTHER.replace("summer", "winter"))
        project.run("sign_documents")
        if order is None:
            project.run("deduplicate")
        else:
            for place in order:
                project.run("deduplicate", shards=[shards[place]])
        answers.append(project.read(DUPLICATES).drop("version").sort("shard", "id"))
    assert answers[0]["reason"].drop_nulls().len() == 3
    assert answers[0].equals(answers[1])
    assert answers[0].equals(answers[2])


def test_another_threshold_needs_no_new_signatures(tmp_path: Path) -> None:
    project = world(tmp_path, {"near": {}})
    land(project, "a", TEXT, EDITED)
    run_all(project)
    signed = project.lake.version(MINHASHES)
    project.change_project(deduplication={"near": {"threshold": 0.99}})
    run_all(project)
    assert project.lake.version(MINHASHES) == signed
    assert project.read(DUPLICATES)["reason"].null_count() == 2


def test_documents_are_not_compared_with_shards_without_signatures(tmp_path: Path) -> None:
    project = world(tmp_path, {"near": {}})
    land(project, "a", TEXT)
    shards = land(project, "b", EDITED)
    project.run("sign_documents", shards=[shards[1]])
    failed = project.run("deduplicate", shards=[shards[1]], fails=True)
    assert f"materialize `minhashes` first: documents are compared with those of {shards[0]}" in failure_of(failed)


def test_a_shard_that_is_never_released_rejects_nothing(tmp_path: Path) -> None:
    landings = [
        {"dataset": name, "url": name, "shard_bytes": 1, "settle_s": 0, "pool_only": name == "pool"}
        for name in ("pool", "web")
    ]
    project = world(tmp_path, EVERYTHING, landings=landings)
    for name in ("pool", "web"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jsonl").write_text(line(TEXT) + "\n")
        project.register()
    project.run("parse_and_embed_shards")
    run_all(project)
    assert project.read(DUPLICATES)["reason"].null_count() == 2


def test_a_readers_answer_is_about_the_documents_and_settings_of_now(tmp_path: Path) -> None:
    project = world(tmp_path, {"near": {}})
    shards = land(project, "a", TEXT, EDITED)
    settings = project.graph.project.deduplication
    with pytest.raises(MissingUpstreamError, match="materialize `duplicates` first"):
        rejection_versions(project.lake, settings, shards)
    run_all(project)
    there = rejection_versions(project.lake, settings, shards)
    assert set(there) == set(shards)
    strict = settings.model_copy(update={"near": NearDuplicateSettings(threshold=0.9)})
    with pytest.raises(MissingUpstreamError, match=f"documents as they are now for {shards[0]}"):
        rejection_versions(project.lake, strict, shards)


def test_where_all_is_off_nothing_is_asked_of_any_table(tmp_path: Path) -> None:
    project = world(tmp_path, {})
    shards = land(project, "a", TEXT, EDITED)
    settings = project.graph.project.deduplication
    assert rejection_versions(project.lake, settings, shards) == {shards[0]: ""}
    assert rejected_documents(project.lake, settings, shards[0]).is_empty()
    assert removed_spans(project.lake, settings, shards[0]).is_empty()
    groups = {node.group_name for node in project.defs.resolve_asset_graph().asset_nodes}
    assert "deduplication" not in groups


@pytest.mark.parametrize(
    ("settings", "assets"),
    [
        pytest.param({"exact": True}, {"duplicates"}, id="exact duplicates need no signatures"),
        pytest.param({"near": {}}, {"minhashes", "duplicates"}, id="near duplicates"),
        pytest.param({"paragraphs": {}}, {"repeated_paragraphs"}, id="paragraphs"),
        pytest.param({"contamination": {}}, {"contamination"}, id="contamination"),
        pytest.param(
            EVERYTHING, {"minhashes", "duplicates", "repeated_paragraphs", "contamination"}, id="all that there is"
        ),
    ],
)
def test_a_project_has_the_assets_and_jobs_that_it_asks_for(
    tmp_path: Path, settings: dict[str, Any], assets: set[str]
) -> None:
    project = world(tmp_path, settings)
    graph = project.defs.resolve_asset_graph()
    made = {node.key.to_user_string() for node in graph.asset_nodes if node.group_name == "deduplication"}
    assert made == assets
    jobs = {job.name: job for job in project.defs.get_repository_def().get_all_jobs() if job.name in JOBS}
    inside = {key.to_user_string() for job in jobs.values() for key in job.asset_layer.selected_asset_keys}
    assert inside == assets
    dg.Definitions.validate_loadable(project.defs)


def test_files_of_evaluation_sets_lie_beside_the_project_file_and_a_changed_one_is_seen(tmp_path: Path) -> None:
    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text(json.dumps({"text": TEXT}) + "\n")
    sets = [{"name": "quiz", "files": ["quiz.jsonl"]}]
    project = world(tmp_path, {"contamination": {"mmlu": False, "sets": sets}})
    land(project, "a", TEXT, OTHER)
    project.run("deduplicate")
    assert project.read(CONTAMINATION)["item"].drop_nulls().to_list() == ["quiz/quiz.jsonl/0"]
    quiz.write_text("\n".join(json.dumps({"text": text}) for text in (TEXT, OTHER)))
    project.run("deduplicate")
    assert sorted(project.read(CONTAMINATION)["item"]) == ["quiz/quiz.jsonl/0", "quiz/quiz.jsonl/1"]
