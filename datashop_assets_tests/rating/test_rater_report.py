"""What is known of raters: how they follow the exemplars, asked once, and each other, on what both judged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from datashop_assets.graph import SHIPPED_LENSES
from datashop_assets.rating.lens import Exemplar, Lens
from datashop_assets.rating.lens_folder import load_lenses
from datashop_assets.rating.rater_report import against_exemplars, pairs, rate_exemplars
from datashop_assets.records import ANNOTATIONS, EXEMPLAR_RATINGS
from datashop_assets_tests.rating.asking import rater
from datashop_assets_tests.rating.lens_for_tests import small_lens
from datashop_assets_tests.worlds import World, document, metadata_of, worth
from resources.lake import DeltaLake
from resources.raters.scripted import ScriptedRater
from resources.staging import FolderProgress

Ask = Callable[..., list[str]]

CHECKS = tuple(Exemplar(f"check {n}", float(n % 6), "check") for n in range(12))
LENS = small_lens((*CHECKS, Exemplar("a contrast", 5.0, "contrast")))


def known(text: str) -> float:
    return float(int(text.split()[1]) % 6)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(str(tmp_path / "lake"))


@pytest.fixture
def ask(lake: DeltaLake, tmp_path: Path) -> Ask:
    """Has a rater rate the exemplars of a lens; returns what it was asked."""

    def ask(rater: Any, lens: Lens = LENS) -> list[str]:
        asked = rater.asked if isinstance(rater, ScriptedRater) else []
        asked.clear()
        rate_exemplars(lake, lens, rater, lambda *parts: FolderProgress(tmp_path.joinpath(*parts)), {}, lambda _: None)
        return asked

    return ask


def test_a_rater_is_asked_about_the_check_exemplars_alone_and_once(ask: Ask) -> None:
    rater = ScriptedRater(known)
    assert ask(rater) == [exemplar.text for exemplar in CHECKS]
    assert ask(rater) == []
    changed = small_lens(CHECKS, high=6)
    assert changed.version != LENS.version
    assert len(ask(rater, changed)) == 12


def test_what_failed_is_asked_again_and_the_rest_stays(lake: DeltaLake, ask: Ask) -> None:
    ask(ScriptedRater(lambda text: "refused" if text == "check 3" else known(text)))
    (before,) = against_exemplars(lake, LENS, {"scripted": "served"})
    assert (before.failed, len(before.given)) == (1, 11)
    assert ask(ScriptedRater(known)) == ["check 3"]
    (after,) = against_exemplars(lake, LENS, {"scripted": "served"})
    assert (after.failed, len(after.given)) == (0, 12)


@pytest.mark.parametrize("name", ["instruction_following", "sft_quality", "educational_value"])
def test_exemplars_are_shown_to_a_rater_as_its_documents_are(lake: DeltaLake, ask: Ask, name: str) -> None:
    lens = load_lenses([SHIPPED_LENSES]).lenses[name]
    scores = {each.name: each.low + 1 for each in lens.criteria} or {"score": lens.low + 1}
    answer = json.dumps({"rationale": "as it is"} | scores)
    judge = rater(lambda _: answer)
    ask(judge, lens)
    (found,) = against_exemplars(lake, lens, {judge.id: "scripted"})
    assert (len(found.given), found.failed) == (len(lens.used_for("check")), 0)
    shown = [question.messages[-1]["content"] for question in judge.model.asked]
    for exemplar in lens.used_for("check"):
        for line in filter(None, exemplar.text.splitlines()):
            assert any(line in message for message in shown)


def test_raters_are_measured_by_the_known_scores_and_shown_by_name(lake: DeltaLake, ask: Ask) -> None:
    ask(ScriptedRater(known, "a"))
    ask(ScriptedRater(lambda text: 5 - known(text), "b"))
    follows, opposes = against_exemplars(lake, LENS, {"a": "good", "b": "bad", "c": "never asked"})
    assert (follows.rater, opposes.rater) == ("good", "bad")
    assert follows.figures["exact"].value == 1.0
    assert opposes.figures["pearson"].value == pytest.approx(-1.0)


def put(lake: DeltaLake, rater: str, scores: dict[str, float | None], lens: Lens = LENS, shard: str = "s") -> None:
    table = ANNOTATIONS.of(LENS.name)
    rows = [
        dict.fromkeys(table.schema)
        | {"shard": shard, "rater": rater, "id": id_, "text_sha": id_, "score": score, "lens_version": lens.version}
        | {"reason": None if score is not None else "refused", "version": "v"}
        for id_, score in scores.items()
    ]
    lake.commit(table, pl.DataFrame(rows, schema=table.schema), [{"shard": shard, "rater": rater, "version": "v"}], {})


def test_raters_are_compared_on_documents_that_both_judged_through_the_same_lens(lake: DeltaLake) -> None:
    put(lake, "a", {"d1": 1.0, "d2": 2.0, "d3": 5.0, "d4": None, "only a": 0.0})
    put(lake, "b", {"d1": 1.0, "d2": 3.0, "d3": 5.0, "d4": 4.0})
    put(lake, "c", {"d1": 0.0}, small_lens(CHECKS[:6]))
    put(lake, "d", {"d1": 0.0}, shard="another")
    names = {"a": "A", "b": "B", "c": "C", "d": "D"}
    (pair,) = pairs(lake, LENS, names)
    assert (pair.first, pair.second, pair.both) == ("A", "B", 3)
    assert pair.figures["exact"].value == pytest.approx(2 / 3)
    assert [int(pair.counts[at]) for at in [(1, 1), (2, 3), (5, 5)]] == [1, 1, 1]


@pytest.fixture
def rated(world: World) -> World:
    """Twenty documents through one lens with exemplars, by two raters that differ by one on some."""
    exemplars = [{"text": document(1000 + n), "score": worth(document(1000 + n)), "use": "check"} for n in range(12)]
    (world.folder / "lenses" / "teaching" / "exemplars.yaml").write_text(yaml.safe_dump(exemplars))
    world.land_shards(1, documents=20)
    lens = {"rater": "scripted", "sample_per_shard": 20, "also_rated_by": ["other"]}
    world.change_project(lenses={"teaching": lens})
    world.raters["other"].judge = lambda text: worth(text) - (text.split()[0][-1] == "5")
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    return world


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "raters_follow_the_exemplars"]
    return check


def test_the_report_shows_exemplars_and_pairs_in_tables_pictures_and_numbers(rated: World) -> None:
    result = rated.run("report_on_raters", "teaching")
    facts = metadata_of(result, "rater_report")["teaching"]
    assert facts["scripted, exemplars: exact"] == 1.0
    assert facts["scripted and other: within_one"] == 1.0
    assert 0 < facts["scripted and other: exact"] < 1
    assert facts["scripted and other"].startswith("![")
    assert len(facts["raters with each other"].splitlines()) == 3
    assert len(facts["against the exemplars"].splitlines()) == 4
    assert check_of(result).passed
    asked = len(rated.raters["scripted"].asked)
    rated.run("report_on_raters", "teaching")
    assert len(rated.raters["scripted"].asked) == asked
    assert rated.read(EXEMPLAR_RATINGS.of("teaching")).height == 24


def test_a_rater_that_runs_against_the_exemplars_is_warned_of(rated: World) -> None:
    rated.raters["other"].judge = lambda text: 5 - worth(text)
    check = check_of(rated.run("report_on_raters", "teaching"))
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_lens_without_exemplars_is_reported_as_such(world: World) -> None:
    world.land_shards(1, documents=3)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    result = world.run("report_on_raters", "teaching")
    facts = metadata_of(result, "rater_report")["teaching"]
    assert facts["against the exemplars"] == "*no rows*"
    assert not check_of(result).passed
