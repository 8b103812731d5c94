"""The gate: worse beyond chance never passes, too few rows say so, and the comparison is with the one in force now."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.classifier.comparison import Comparison, not_compared
from datashop_assets.classifier.gate import Requires, compare_held_out, stand, standing
from datashop_assets.classifier.produce import HELD_OUT_FILE
from datashop_assets.classifier.registry import find_classifier
from datashop_assets.classifier.report import Report
from datashop_assets.estimate import Estimate
from datashop_assets.records import CLASSIFIERS, PROMOTIONS
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.worlds import World, failure_of, metadata_of, promote_for_four_shards
from resources.model_store import LocalModelStore

JOB, CHECK = "train_and_promote_classifier", "not_worse_than_the_promoted"
LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}


def gains(mae: tuple[float, float], spearman: tuple[float, float]) -> Comparison:
    both = (("mae", mae), ("spearman", spearman))
    made: dict[str, Estimate | None] = {name: Estimate(sum(at) / 2, *at, 50) for name, at in both}
    return Comparison("in-force", 50, made)


FEW = not_compared("only 4 rows were held out by both; 10 are needed", "in-force")


@pytest.mark.parametrize(
    ("comparison", "requires", "allowed", "word"),
    [
        pytest.param(gains((0.1, 0.3), (-0.1, 0.1)), "not_worse", True, "better than", id="better in one"),
        pytest.param(
            gains((0.1, 0.3), (-0.1, 0.1)), "better", True, "better than", id="better in one, and proof asked"
        ),
        pytest.param(gains((0.1, 0.3), (-0.3, -0.1)), "better", False, "worse than", id="better in one, worse in one"),
        pytest.param(gains((-0.3, -0.1), (-0.1, 0.1)), "not_worse", False, "worse than", id="worse"),
        pytest.param(gains((-0.1, 0.1), (-0.1, 0.1)), "not_worse", True, "not shown to be worse", id="alike"),
        pytest.param(
            gains((-0.1, 0.1), (-0.1, 0.1)), "better", False, "not shown to be better", id="alike, proof asked"
        ),
        pytest.param(FEW, "not_worse", True, "cannot be told: .*only 4 rows", id="too few rows"),
        pytest.param(FEW, "better", False, "asks for proof", id="too few rows, and proof asked"),
    ],
)
def test_what_a_comparison_allows(comparison: Comparison, requires: Requires, allowed: bool, word: str) -> None:
    found = stand(comparison, requires, contested=True)
    assert found.allowed is allowed
    assert pl.Series([found.words]).str.contains(word).item()


def test_the_first_classifier_of_a_lens_has_nothing_to_prove() -> None:
    assert stand(not_compared("none is in force yet"), "better", contested=False).allowed


def predictions(ids: range, error: float) -> pl.DataFrame:
    labels = [float(number % 6) for number in ids]
    return pl.DataFrame(
        {
            "shard": ["s"] * len(ids),
            "id": [str(number) for number in ids],
            "label": labels,
            "prediction": [label + error * (-1) ** number for label, number in zip(labels, ids, strict=True)],
        }
    )


def test_recorded_predictions_are_compared_on_the_rows_of_both_alone() -> None:
    mine, theirs = predictions(range(40), 1.5), predictions(range(20, 90), 0.1)
    compared = compare_held_out("in-force", mine, theirs, lens())
    assert compared.n == 20
    assert compared.is_worse
    assert compared.gains["mae"] is not None
    assert compared.gains["mae"].value == pytest.approx(-1.4)
    assert compare_held_out("in-force", mine, predictions(range(36, 90), 0.1), lens()).is_worse is None


@pytest.fixture
def promoted(world: World) -> World:
    """A classifier of four shards is in force."""
    return world.once(promote_for_four_shards)


def models_of(world: World) -> LocalModelStore:
    return LocalModelStore(Path(world.profile.models))


def train_weaker(world: World) -> None:
    """A recipe that still beats the mean, and is far from the one in force."""
    weaker = LENS | {"recipe": {"model": {"kind": "linear", "l2": [300.0]}}}
    world.change_project(lenses={"teaching": weaker, "clarity": LENS})


def test_one_that_is_worse_is_stopped_by_the_check_and_triggers_nothing(promoted: World) -> None:
    promoted.run("score_documents", "teaching")
    promoted.run("set_cutoff", "teaching")
    promoted.run("filter_documents", "teaching")
    first = promoted.read(PROMOTIONS)["classifier"].item()
    train_weaker(promoted)
    result = promoted.run(JOB, "teaching", fails=True)
    verdicts = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert verdicts["beats_the_mean_predictor"].passed
    refused = verdicts[CHECK]
    assert not refused.passed
    assert refused.blocking
    shown: dict[str, Any] = {name: value.value for name, value in refused.metadata.items()}
    assert shown["in force"] == first
    assert shown["held-out rows of both"] >= 10
    assert "| mae better by | -" in shown["paired differences"]
    assert "neither learnt from them" in shown["which rows"]
    assert str(refused.description).startswith(f"worse than the one in force: against {first}")
    assert promoted.read(PROMOTIONS).height == 1
    assert promoted.stale() == []


def test_promotion_alone_refuses_it_too_and_a_person_can_override(promoted: World) -> None:
    train_weaker(promoted)
    promoted.run(JOB, "teaching", fails=True)
    message = failure_of(promoted.promote("teaching"))
    assert "worse than the one in force" in message
    worse = promoted.read(CLASSIFIERS).sort("trained_at")["classifier"].to_list()[-1]
    assert "worse than" in failure_of(promoted.promote("teaching", classifier=worse, by="ada", note="by mistake"))
    assert promoted.promote("teaching", classifier=worse, override=True, by="ada", note="a drill").success
    last = promoted.read(PROMOTIONS).sort("promoted_at").to_dicts()[-1]
    assert (last["classifier"], last["by"], last["note"], last["override"]) == (worse, "ada", "a drill", True)


def test_one_that_was_taken_back_does_not_return_by_itself(promoted: World) -> None:
    """A retraining without new ratings finds the same classifier; only its name brings it back."""
    first = promoted.read(PROMOTIONS)["classifier"].item()
    lens = LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.5]}}}
    promoted.change_project(lenses={"teaching": lens, "clarity": LENS})
    promoted.run(JOB, "teaching")
    second = promoted.read(PROMOTIONS).sort("promoted_at")["classifier"].to_list()[-1]
    assert second != first
    assert promoted.promote("teaching", classifier=first, by="ada", note="menus came back").success
    said = metadata_of(promoted.run(JOB, "teaching"), "promotion")["teaching"]
    assert said["classifier"] == first
    assert f"ada put {first} in its place" in said["outcome"]
    assert promoted.read(PROMOTIONS).height == 3
    said = metadata_of(promoted.promote("teaching", classifier=second), "promotion")["teaching"]
    assert said["classifier"] == second


def test_known_versions_are_listed_where_one_is_chosen(promoted: World) -> None:
    promoted.run("score_documents", "teaching")
    first = promoted.read(PROMOTIONS)["classifier"].item()
    train_weaker(promoted)
    promoted.run(JOB, "teaching", fails=True)
    said = metadata_of(promoted.promote("teaching", classifier=first), "promotion")["teaching"]
    header, _, newest, older = said["known versions"].splitlines()
    assert "shards scored" in header
    assert "| never |" in newest
    assert first in older
    assert "| in force |" in older
    assert older.endswith("| 4 |")
    assert "(n=" in older


def test_where_another_came_into_force_since_the_recorded_predictions_are_compared(promoted: World) -> None:
    """Trained while the first was in force; then a second came, and the comparison at training says nothing of it."""
    train_weaker(promoted)
    promoted.run(JOB, "teaching", fails=True)
    weak = promoted.read(CLASSIFIERS).sort("trained_at")["classifier"].to_list()[-1]
    lens = LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.5]}}}
    promoted.change_project(lenses={"teaching": lens, "clarity": LENS})
    promoted.run(JOB, "teaching")
    second = promoted.read(PROMOTIONS).sort("promoted_at")["classifier"].to_list()[-1]
    message = failure_of(promoted.promote("teaching", classifier=weak))
    assert f"against {second}" in message
    assert "worse" in message


def test_one_that_is_worse_is_refused_also_where_training_could_not_ask_the_one_in_force(promoted: World) -> None:
    """As where the encoder was changed, and the vectors of the one in force are not there for each row."""
    train_weaker(promoted)
    promoted.run(JOB, "teaching", fails=True)
    weak = find_classifier(promoted.lake, "teaching")
    report = Report.from_json(weak.metrics)
    assert report.quality is not None
    first = report.quality.comparison.promoted
    unasked = not_compared(f"{first} cannot be asked: no vectors of shard s", first)
    unsure = replace(weak, metrics=replace(report, quality=replace(report.quality, comparison=unasked)).to_json())
    found = standing(promoted.lake, models_of(promoted).fetch, unsure, promoted.graph.lenses["teaching"], "not_worse")
    assert not found.allowed
    assert found.words.startswith(f"worse than the one in force: against {first}, on ")
    assert any("cannot be asked" in note for note in found.comparison.notes)


def test_an_earlier_one_that_is_trained_again_needs_its_name_to_replace_a_better_one(world: World) -> None:
    """A recipe put back by mistake: the first one is the newest again, and no roll-back that anyone asked for."""
    train_weaker(world)
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run(JOB, "teaching")
    weak = world.read(PROMOTIONS)["classifier"].item()
    world.change_project(lenses={"teaching": LENS, "clarity": LENS})
    world.run(JOB, "teaching")
    train_weaker(world)
    world.run(JOB, "teaching", fails=True)
    assert find_classifier(world.lake, "teaching").classifier == weak
    assert "worse than the one in force" in failure_of(world.promote("teaching"))
    assert world.promote("teaching", classifier=weak).success
    last = world.read(PROMOTIONS).sort("promoted_at").to_dicts()[-1]
    assert (last["classifier"], last["override"]) == (weak, False)


def test_a_roll_back_stands_although_what_it_took_back_is_trained_again_after_it(promoted: World) -> None:
    """The recipe goes back with the roll-back, and then forth again: both classifiers are recorded as the newest."""
    first = promoted.read(PROMOTIONS)["classifier"].item()
    changed = LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.5]}}}
    promoted.change_project(lenses={"teaching": changed, "clarity": LENS})
    promoted.run(JOB, "teaching")
    second = find_classifier(promoted.lake, "teaching").classifier
    assert promoted.promote("teaching", classifier=first, by="ada", note="menus came back").success
    for settings in (LENS, changed):
        promoted.change_project(lenses={"teaching": settings, "clarity": LENS})
        said = metadata_of(promoted.run(JOB, "teaching"), "promotion")["teaching"]
        assert said["classifier"] == first
    assert find_classifier(promoted.lake, "teaching").classifier == second
    assert f"{second} is the newest, but ada put {first} in its place" in said["outcome"]


def test_too_few_rows_in_common_do_not_stop_it_unless_proof_is_asked_for(promoted: World) -> None:
    """The one in force does not say which rows it held out, nor what it predicted there, as in an early record."""
    row = promoted.read(CLASSIFIERS).to_dicts()[0]
    report = json.loads(row["metrics"]) | {"held_out_share": None}
    rows = pl.DataFrame([row | {"metrics": json.dumps(report)}], schema=CLASSIFIERS.schema)
    stored = promoted.lake.open(CLASSIFIERS)
    assert stored is not None
    stored.delete()
    promoted.lake.commit(CLASSIFIERS, rows, None, {})
    (models_of(promoted).fetch(row["uri"]) / HELD_OUT_FILE).unlink()
    proof = LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.5]}}, "promotion": {"requires": "better"}}
    promoted.change_project(lenses={"teaching": proof, "clarity": LENS})
    message = failure_of(promoted.run(JOB, "teaching", fails=True))
    assert CHECK in message
    lenient = proof | {"promotion": {"requires": "not_worse"}}
    promoted.change_project(lenses={"teaching": lenient, "clarity": LENS})
    checks = promoted.run(JOB, "teaching").get_asset_check_evaluations()
    (check,) = [each for each in checks if each.check_name == CHECK]
    assert check.passed
    assert "cannot be told" in str(check.description)
