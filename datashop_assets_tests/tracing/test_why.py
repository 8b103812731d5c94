"""Why was a document kept? Every table's part in it, now and as of a release; and documents that are nowhere."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from datashop_assets.records import DOCUMENTS, FILTERED, QUARANTINE, SCORES
from datashop_assets.scoring.tables import EXACT_SCORES
from datashop_assets.tracing.views import TraceError, at_release, at_time, current
from datashop_assets.tracing.why import why, why_row
from datashop_assets_tests.tracing.traced_worlds import LENS, Traced
from datashop_assets_tests.worlds import World, document


@pytest.fixture
def traced(world: World) -> Traced:
    return Traced(world.once(release_with_quarantine))


def release_with_quarantine(world: World) -> None:
    world.land("part-000", range(40), lines=[json.dumps({"text": document(3)}), "{not json"])
    world.land("part-001", range(40, 80))
    world.register()
    world.run_all(LENS)


def test_a_kept_document_has_its_way_through_every_table(traced: Traced) -> None:
    kept = traced.documents(kept=True)[0]
    trace = traced.trace(kept)
    row = traced.world.read(DOCUMENTS).row(by_predicate=pl.col("id") == kept, named=True)
    score = traced.world.read(SCORES.of(LENS)).row(by_predicate=pl.col("id") == kept, named=True)
    assert trace.kept is True
    assert trace.shard == row["shard"]
    assert f"{score['score']:.4g}" in trace.verdict
    assert (trace.step("document").facts["file"], trace.step("document").facts["row"]) == (row["file"], row["row"])
    assert trace.step("rating").facts["rater"] == "scripted"
    assert trace.step("classifier").facts["classifier"] == score["classifier"]
    assert trace.step("filter").facts["reason"] == "kept"
    assert len(trace.step("releases").facts["inside"]) == 1


def test_every_step_names_the_version_of_its_table(traced: Traced) -> None:
    named = {
        step.table: step.table_version for step in traced.trace(traced.documents(kept=True)[0]).steps if step.table
    }
    versions = {name: version for name, version in traced.world.table_versions().items() if name in named}
    assert {name: version for name, version in named.items() if version is not None} == versions
    assert {"documents", f"scores/{LENS}", f"filtered_documents/{LENS}", "cutoffs", "promotions"} <= set(versions)


def test_nothing_of_a_finished_project_is_called_stale(traced: Traced) -> None:
    for identity in (traced.documents(kept=True)[0], traced.documents(kept=False)[0]):
        words = traced.trace(identity).text()
        assert "earlier" not in words


def test_a_document_decided_by_its_score_in_float32_is_told_by_that_score(traced: Traced) -> None:
    kept = traced.documents(kept=True)[0]
    score = traced.world.read(SCORES.of(LENS)).row(by_predicate=pl.col("id") == kept, named=True)
    row = {name: score[name] for name in ("classifier", "shard", "id")} | {"score": 77.5, "reduced": score["score"]}
    made = pl.DataFrame([row | {"version": "v"}], schema=EXACT_SCORES.schema)
    cell = {"classifier": score["classifier"], "shard": score["shard"], "version": "v"}
    traced.world.lake.commit(EXACT_SCORES.of(LENS), made, [cell], {})
    trace = traced.trace(kept)
    assert "its score is 77.5" in trace.verdict
    assert f"{score['score']:.4g} (rounded" in trace.step("score").words
    assert "77.5 in float32" in trace.step("score").words


def test_a_dropped_document_has_its_reason(traced: Traced) -> None:
    trace = traced.trace(traced.documents(kept=False)[0])
    assert trace.kept is False
    assert "below_lower" in trace.verdict
    assert trace.step("releases").facts["inside"] == []


def test_a_changed_cutoff_is_told_until_the_filter_has_followed(traced: Traced) -> None:
    kept = traced.documents(kept=True)[0]
    traced.ask(cutoff={"keep_fraction": 0.1})
    traced.world.run("set_cutoff", LENS)
    assert "by an earlier cut-off" in traced.trace(kept).step("filter").words
    traced.world.run("filter_documents", LENS)
    assert "by an earlier cut-off" not in traced.trace(kept).step("filter").words


def test_as_of_a_release_the_tables_are_those_that_its_manifest_names(traced: Traced) -> None:
    kept = traced.documents(kept=True)
    release = traced.release()
    traced.ask(cutoff={"keep_fraction": 0.05})
    traced.release()
    dropped = next(identity for identity in kept if identity in traced.documents(kept=False))
    assert traced.trace(dropped).kept is False
    then = traced.trace(dropped, at_release(traced.history, release))
    assert then.kept is True
    assert then.step("cut-off").facts["kept_share"] == 0.25
    assert then.step("releases").facts["inside"] == [release]


def test_as_of_an_earlier_time_what_came_later_is_not_there(traced: Traced) -> None:
    with pytest.raises(TraceError, match="no document has the id"):
        traced.trace(traced.documents(kept=True)[0], at_time(traced.history, datetime(2020, 1, 1, tzinfo=UTC)))


def test_a_repeat_that_went_to_quarantine_is_told_beside_its_document(traced: Traced) -> None:
    repeated = traced.world.read(DOCUMENTS).row(by_predicate=pl.col("text") == document(3), named=True)
    assert "1 repeats of it are in quarantine" in traced.trace(repeated["id"]).step("quarantine").words


def test_a_row_in_quarantine_says_why(traced: Traced) -> None:
    row = traced.world.read(QUARANTINE).row(by_predicate=pl.col("reason") == "invalid_json", named=True)
    (trace,) = why_row(current(traced.history), traced.world.lake, traced.world.graph, LENS, row["file"], row["row"])
    assert trace.kept is False
    assert "invalid_json" in trace.verdict
    assert trace.step("quarantine").facts["detail"] == row["detail"]


def test_a_row_of_a_crawl_file_leads_to_its_document(traced: Traced) -> None:
    (trace,) = why_row(current(traced.history), traced.world.lake, traced.world.graph, LENS, "part-001.jsonl", 7)
    assert trace.step("document").facts["start"] == document(47)


def test_of_equal_texts_in_two_shards_each_is_traced(traced: Traced) -> None:
    traced.world.land("part-002", [47])
    traced.world.register()
    traced.world.run("parse_and_embed_shards")
    identity = traced.world.read(DOCUMENTS).filter(pl.col("text") == document(47))["id"][0]
    view = current(traced.history)
    found = why(view, traced.world.lake, traced.world.graph, LENS, identity)
    assert [trace.shard for trace in found] == traced.world.shards[1:]
    assert [trace.kept is None for trace in found] == [False, True]
    assert "not filtered yet" in found[1].verdict
    (alone,) = why(view, traced.world.lake, traced.world.graph, LENS, identity, traced.world.shards[2])
    assert alone.shard == traced.world.shards[2]


@pytest.mark.parametrize(
    ("lens", "identity", "shard", "words"),
    [
        pytest.param("taste", "x", None, "not enabled", id="unknown lens"),
        pytest.param(LENS, "x", None, "no document has the id 'x' in any of 2 shards", id="unknown id"),
        pytest.param(LENS, "x", "crawl-99999", "no shard 'crawl-99999'", id="unknown shard"),
    ],
)
def test_what_is_nowhere_is_said_to_be(traced: Traced, lens: str, identity: str, shard: str | None, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        why(current(traced.history), traced.world.lake, traced.world.graph, lens, identity, shard)


def test_a_vacuumed_version_is_told_in_a_sentence(traced: Traced) -> None:
    kept, release = traced.documents(kept=True)[0], traced.release()
    traced.ask(cutoff={"keep_fraction": 0.05})
    traced.release()
    stored = traced.world.lake.open(FILTERED.of(LENS))
    assert stored is not None
    stored.vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(TraceError, match="not there any more"):
        traced.trace(kept, at_release(traced.history, release))
    assert release in traced.trace(kept).step("releases").facts["unknown"]


def test_json_says_what_the_text_says(traced: Traced) -> None:
    trace = traced.trace(traced.documents(kept=True)[0])
    told = json.loads(trace.to_json())
    assert told["verdict"] == trace.verdict
    assert [step["stage"] for step in told["steps"]] == [step.stage for step in trace.steps]
