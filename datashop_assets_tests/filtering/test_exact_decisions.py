"""Filtering with an encoder of a reduced precision: the verdicts of float32, and what they cost."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from datashop_assets.classifier.registry import find_classifier, require_promoted
from datashop_assets.embedding.embed import pack, unpack
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering import exact_bounds
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.drift import record_look
from datashop_assets.filtering.exact_decisions import near_bounds
from datashop_assets.filtering.rule import Rule
from datashop_assets.filtering.state import require_cutoff
from datashop_assets.records import FILTERED, SCORES
from datashop_assets.scoring.exact_scores import Exactness, exact_scorer
from datashop_assets.scoring.tables import EXACT_SCORES, PRECISION_SAMPLES
from datashop_assets.seams import Encoder
from datashop_assets_tests.filtering.rankings import candidates
from datashop_assets_tests.filtering.reduced_worlds import Coarse, Watched, exact_scores, filter_all
from datashop_assets_tests.worlds import ExportableEncoder, World, metadata_of, worth
from resources.encoders import ScriptedEncoder, TransformerEncoder
from resources.lake import DeltaLake
from resources.model_store import open_model_store
from resources.staging import FolderProgress

KEPT, SCORED, EXACT = FILTERED.of("teaching"), SCORES.of("teaching"), EXACT_SCORES.of("teaching")


@pytest.fixture
def exact() -> Watched:
    return Watched()


@pytest.fixture
def filtered(world: World, exact: Watched) -> World:
    world.encoder = Coarse()
    world.overrides["exact_encoder"] = exact
    world.change_project(encoder={"precision": "int8"})
    return world.once(filter_four_shards)


def filter_four_shards(world: World) -> None:
    world.land_shards(4)
    filter_all(world)


def cut_at(world: World, policy: dict[str, Any]) -> dict[str | None, dict[str, Any]]:
    """Another cut-off, and what filtering by it says of each cell."""
    lens = {"rater": "scripted", "sample_per_shard": 40}
    world.change_project(lenses={"teaching": lens | {"cutoff": policy}, "clarity": lens})
    world.run("set_cutoff", "teaching")
    return metadata_of(world.run("filter_documents", "teaching"), "filtered_documents")


def test_every_document_is_decided_as_its_float32_score_says(filtered: World) -> None:
    lower = require_cutoff(filtered.lake, "teaching").lower
    rows = filtered.read(KEPT).join(exact_scores(filtered), on="id").join(filtered.read(SCORED), on="id")
    assert (rows["kept"] == (rows["exact"] >= lower)).all()
    coarse = rows["score"] >= lower
    assert (coarse != rows["kept"]).any(), "the reduced scores alone decide as well: this shows nothing"


@pytest.mark.models
def test_a_real_encoder_in_int8_decides_as_in_float32(world: World) -> None:
    settings = EncoderSettings(max_tokens=32, precision="int8")
    exact, world.encoder = TransformerEncoder(settings.exact, threads=1), TransformerEncoder(settings, threads=1)  # type: ignore[assignment]
    world.overrides["exact_encoder"] = exact
    world.change_project(encoder={"precision": "int8", "max_tokens": 32})
    world.land_shards(4)
    filter_all(world)
    rows = world.read(KEPT).join(exact_scores(world, exact), on="id")
    fortieth = rows["exact"].sort(descending=True)[39]  # a quarter of 160
    assert require_cutoff(world.lake, "teaching").lower == fortieth
    assert (rows["kept"] == (rows["exact"] >= fortieth)).all()
    assert 0 < world.read(EXACT).height < rows.height


@pytest.mark.models
def test_a_real_encoder_in_int8_decides_conditions_on_several_lenses_as_in_float32(world: World) -> None:
    settings = EncoderSettings(max_tokens=32, precision="int8")
    exact, world.encoder = TransformerEncoder(settings.exact, threads=1), TransformerEncoder(settings, threads=1)  # type: ignore[assignment]
    world.overrides["exact_encoder"] = exact
    world.change_project(encoder={"precision": "int8", "max_tokens": 32})
    world.land_shards(4)
    filter_all(world)
    assert_conditions_are_those_of_float32(world, exact)


def test_conditions_on_several_lenses_are_those_of_float32(filtered: World, exact: Watched) -> None:
    assert_conditions_are_those_of_float32(filtered, ScriptedEncoder())
    exact.read.clear()
    facts = cut_at(filtered, {"condition": "clarity.int >= 2 and teaching > 2"})
    assert 0 < len(exact.read) < 160
    assert {"error bound", "error bound of clarity"} <= set(next(iter(facts.values())))


def assert_conditions_are_those_of_float32(world: World, encoder: Encoder) -> None:
    world.judge = lambda text: 4 - worth(text) / 2
    for job in ("rate_documents", "train_and_promote_classifier", "score_documents"):
        world.run(job, "clarity")
    exact = {lens: exact_scores(world, encoder, lens).rename({"exact": lens}) for lens in ("teaching", "clarity")}
    scores = exact["teaching"].join(exact["clarity"], on="id")
    reduced = world.read(SCORES.of("clarity")).select("id", reduced="score")
    moved = (
        scores.join(reduced, on="id")
        .filter(clarity=pl.col("clarity").clip(2))
        .with_columns(by=(pl.col("clarity") - pl.col("reduced")).abs())
    )
    most = moved.sort("by").row(-1, named=True)
    bound = (most["clarity"] + most["reduced"]) / 2  # its reduced score is on the wrong side
    condition = f"clarity >= {bound!r} or clarity.int == 1 and teaching + clarity >= 3"
    cut_at(world, {"keep_fraction": 0.5, "condition": condition})
    clarity, both = pl.col("clarity"), pl.col("teaching") + pl.col("clarity")
    true = scores.filter((clarity >= bound) | (clarity.round().clip(0, 5) == 1) & (both >= 3))
    best = true.sort("teaching", descending=True).head(round(0.5 * true.height))
    assert 1 < true.height < 160
    assert (most["id"] in true["id"]) != (most["reduced"] >= bound)
    kept = world.read(KEPT)
    assert set(kept.filter(pl.col("reason") != "condition")["id"]) == set(true["id"])
    assert set(kept.filter("kept")["id"]) == set(best["id"])


def test_what_was_scored_again_is_counted_and_kept(filtered: World) -> None:
    facts = cut_at(filtered, {"lower": 2.5}).values()
    again = filtered.read(EXACT)
    assert sum(f["near a bound"] for f in facts) > 0
    assert sum(f["scored again in float32"] for f in facts) <= again.height
    assert max(f["largest error of those"] for f in facts) <= next(iter(facts))["error bound"]
    there = again.join(exact_scores(filtered), on="id").join(filtered.read(SCORED), on="id")
    assert there["score"].to_list() == pytest.approx(there["exact"].to_list(), abs=1e-6)
    assert there["reduced"].to_list() == there["score_right"].to_list()


def test_only_documents_near_a_bound_are_read_and_none_of_them_twice(filtered: World, exact: Watched) -> None:
    assert filtered.read(PRECISION_SAMPLES).height == 160
    exact.read.clear()
    cut_at(filtered, {"lower": 2.5})
    first = list(exact.read)
    assert len(set(first)) == len(first) < 160
    filtered.run("filter_documents", "teaching")
    cut_at(filtered, {"lower": 2.6})
    cut_at(filtered, {"lower": 2.5})
    assert len(set(exact.read)) == len(exact.read)
    assert set(exact.read) > set(first)


def test_nothing_is_opened_for_cells_that_have_nothing_near_a_bound(
    filtered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    scan = DeltaLake.scan
    monkeypatch.setattr(
        DeltaLake, "scan", lambda lake, table, *a, **k: opened.append(table.name) or scan(lake, table, *a, **k)
    )
    facts = cut_at(filtered, {"lower": 99.0}).values()
    assert [fact["near a bound"] for fact in facts] == [0] * 4
    assert EXACT.name not in opened
    assert opened.count(SCORED.name) < 4, "the cells are read together"


def test_errors_above_the_bound_are_told(filtered: World) -> None:
    """A shard may be unlike those that the bound was measured on."""
    rows = filtered.read(PRECISION_SAMPLES)
    near = rows.with_columns(
        version=pl.lit("other"), exact=pl.Series(pack(0.7 * unpack(rows["reduced"]) + 0.3 * unpack(rows["exact"])))
    )
    filtered.lake.commit(PRECISION_SAMPLES, near, [{"encoder": filtered.encoder.id, "version": "other"}], {})
    both = exact_scores(filtered).join(filtered.read(SCORED), on="id")
    moved_most = both.sort((pl.col("exact") - pl.col("score")).abs())["score"][-1]
    facts = cut_at(filtered, {"lower": moved_most}).values()
    assert sum(fact["errors above the bound"] for fact in facts) > 0


def test_automation_asks_for_nothing_more_once_it_is_filtered(filtered: World) -> None:
    assert [work.job for work in filtered.stale() if work.stretch.lens == "teaching"] == []
    assert "filter_documents" in {work.job for work in changed_sample(filtered).stale()}


def test_many_documents_near_a_share_are_scored_by_runs_over_shards_and_it_is_decided_again(
    filtered: World, exact: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 40}
    filtered.change_project(lenses={"teaching": lens | {"cutoff": {"keep_fraction": 0.4}}, "clarity": lens})
    monkeypatch.setattr(exact_bounds, "MOST_HERE", 0)
    exact.read.clear()
    filtered.run("set_cutoff", "teaching")
    assert exact.read == []
    assert [work.job for work in filtered.stale() if work.stretch.lens == "teaching"] == ["filter_documents"]
    filtered.run("filter_documents", "teaching")
    filtered.run("cut_release", "teaching", fails=True)
    ran = filtered.reconcile()
    assert ran[0] == "set_cutoff"
    filtered.run("cut_release", "teaching")
    assert len(set(exact.read)) == len(exact.read) < 160
    best = exact_scores(filtered).sort("exact", descending=True)["exact"][63]
    assert require_cutoff(filtered.lake, "teaching").lower == best
    kept = filtered.read(KEPT).join(exact_scores(filtered), on="id")
    assert (kept["kept"] == (kept["exact"] >= best)).all()


def test_exact_scores_that_were_lost_after_filtering_are_made_by_the_cutoff(
    filtered: World, exact: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_bounds, "MOST_HERE", 0)
    cut_at(filtered, {"keep_fraction": 0.4})
    lost = filtered.read(EXACT).filter(pl.col("shard") != "crawl-00001")
    assert lost.height < filtered.read(EXACT).height
    cells = filtered.lake.cells(EXACT).filter(shard="crawl-00001").select((*EXACT.partition_by, "version")).to_dicts()
    filtered.lake.commit(EXACT, EXACT.empty(), cells, {})
    filtered.reconcile()
    best = exact_scores(filtered).sort("exact", descending=True)["exact"][63]
    assert require_cutoff(filtered.lake, "teaching").lower == best
    assert filtered.stale() == []


def test_two_runs_that_score_documents_of_one_cell_again_keep_what_the_other_made(filtered: World) -> None:
    classifier = find_classifier(filtered.lake, "teaching", require_promoted(filtered.lake, "teaching").classifier)
    models = open_model_store(filtered.profile.models, filtered.profile.cache, filtered.profile.storage_options)
    means = Exactness(
        filtered.encoder,
        ScriptedEncoder(),
        models,
        lambda *parts: FolderProgress(filtered.profile.staging.joinpath(*parts)),
        print,
        {},
    )
    first, second = (exact_scorer(filtered.lake, classifier, means, {}) for _ in range(2))
    rows = filtered.read(SCORED).filter(shard="crawl-00000").select("id", reduced="score")
    rows = rows.join(filtered.read(EXACT), on="id", how="anti")
    second.known_of_shard("crawl-00000", rows)
    first.of_shard("crawl-00000", rows[:2])
    second.of_shard("crawl-00000", rows[2:4])
    assert set(rows["id"][:4]) <= set(filtered.read(EXACT)["id"])


def test_a_cutoff_that_lacks_scores_which_nothing_makes_is_not_decided_for_ever(filtered: World) -> None:
    record = require_cutoff(filtered.lake, "teaching")
    shards = [f"crawl-{number:05d}" for number in range(4)]
    record_look(filtered.lake, record, shards, {}, filtered.lake.version(EXACT))
    assert [work.job for work in filtered.stale() if work.stretch.lens == "teaching"] == []
    record_look(filtered.lake, record, shards, {}, 0)
    assert [work.job for work in filtered.stale() if work.stretch.lens == "teaching"] == ["set_cutoff"]


def changed_sample(world: World) -> World:
    """Another sample may find another bound: what was filtered by the old one is stale."""
    rows = world.read(PRECISION_SAMPLES).with_columns(version=pl.lit("other"))
    world.lake.commit(PRECISION_SAMPLES, rows, [{"encoder": world.encoder.id, "version": "other"}], {})
    return world


def test_a_float32_project_scores_nothing_again(world: World, exact: Watched) -> None:
    world.overrides["exact_encoder"] = exact
    world.reload()
    world.land_shards(2)
    filter_all(world)
    assert exact.read == []
    assert "near a bound" not in next(iter(cut_at(world, {"lower": 2.5}).values()))


@pytest.fixture
def switched(world: World, exact: Watched) -> World:
    """A project that was filtered in float32, and is in int8 since; its shards have the new encoder's vectors."""
    world.once(filter_four_shards)
    to_int8(world, exact)
    world.run("parse_and_embed_shards")
    return world


def to_int8(world: World, exact: Watched) -> None:
    world.encoder = Coarse()
    world.overrides["exact_encoder"] = exact
    world.change_project(encoder={"precision": "int8"})


def test_what_a_float32_classifier_kept_stands_after_a_switch_to_int8(switched: World, exact: Watched) -> None:
    assert [work.job for work in switched.stale() if work.stretch.lens == "teaching"] == []
    facts = metadata_of(switched.run("filter_documents", "teaching"), "filtered_documents")
    assert all(fact["skipped"] for fact in facts.values())
    switched.run("cut_release", "teaching")
    cut_at(switched, {"lower": 2.5})
    assert exact.read == [], "scores of float32 vectors are exact"


def test_what_was_decided_in_float32_stands_after_a_switch_back(filtered: World) -> None:
    filtered.encoder = ExportableEncoder()
    filtered.change_project(encoder={"precision": "float32"})
    kept = filtered.read(KEPT)
    filtered.run("filter_documents", "teaching")
    assert filtered.read(KEPT).equals(kept)
    filtered.run("cut_release", "teaching")


def test_a_roll_back_to_a_classifier_of_another_encoder_filters_by_the_scores_that_are_there(switched: World) -> None:
    first, kept = require_promoted(switched.lake, "teaching").classifier, set(switched.read(KEPT).filter("kept")["id"])
    switched.run("train_and_promote_classifier", "teaching")
    assert switched.reconcile() == ["score_documents", "set_cutoff", "filter_documents"]
    assert require_promoted(switched.lake, "teaching").classifier != first
    assert switched.promote("teaching", classifier=first).success
    assert switched.reconcile() == ["set_cutoff", "filter_documents"]
    assert set(switched.read(KEPT).filter("kept")["id"]) == kept
    switched.run("cut_release", "teaching")


ROWS = pl.DataFrame({"score": [1.0, 1.95, 2.05, None, 3.0, float("nan")], "source": ["a", "a", "b", "b", "b", "a"]})


@pytest.mark.parametrize(
    ("bounds", "near"),
    [
        pytest.param({"lower": 2.0}, [1, 2], id="what has no score has no doubt"),
        pytest.param({"lower": 1.0, "upper": 3.05}, [0, 4], id="either bound of a range"),
        pytest.param({"lower": 2.0, "upper": 3.0, "reverse": True}, [1, 2, 4], id="either bound of a reversed range"),
        pytest.param({"lower_by_source": {"a": 2.0, "b": float("inf")}}, [1], id="of quotas the source's own bound"),
    ],
)
def test_near_a_bound(bounds: dict[str, Any], near: list[int]) -> None:
    told = {"lower": None, "upper": None, "reverse": False} | bounds
    record = CutoffRecord(
        *("teaching", "cutoff", "classifier", Rule(Threshold(lower=1.0)).text),
        **told,
        kept_share=0.5,
        documents=6,
        shards=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert near_bounds(candidates(ROWS), record, 0.1).tolist() == near
