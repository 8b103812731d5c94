"""Recipes beside the linear one, from the project file to the table of scores."""

from datashop_assets.classifier.report import Report
from datashop_assets.records import CLASSIFIERS, SCORES
from datashop_assets_tests.worlds import World, failure_of, metadata_of

JOB = "train_and_promote_classifier"
LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
QUICK = {"hidden": 8, "epochs": 30, "learning_rate": 1e-2, "batch_size": 16}
NO_CURVES = {"learning_curve_points": 0, "calibration_folds": 0}


def test_a_lens_learns_from_the_ratings_of_another_and_is_scored_on_its_own(world: World) -> None:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    model = {"kind": "multi_lens", "lenses": ["clarity"], **QUICK}
    learns = LENS | {"recipe": {"model": model, "seeds": 2, "balance": "weights", "report": NO_CURVES}}
    world.change_project(lenses={"teaching": learns, "clarity": LENS})
    early = failure_of(world.run(JOB, "teaching", fails=True))
    assert "materialize `annotations` for lens 'clarity' first" in early

    world.run("rate_documents", "clarity")
    made = metadata_of(world.run(JOB, "teaching"), "classifier")["teaching"]
    assert metadata_of(world.run(JOB, "teaching"), "classifier")["teaching"]["skipped"] is True
    report = Report.from_json(world.read(CLASSIFIERS)["metrics"][-1])
    assert report.model == "multi_lens"
    assert report.over_seeds["mae"].seeds == 2
    assert any("balanced they have" in note for note in report.notes)
    world.run("score_documents", "teaching")
    scores = world.read(SCORES.of("teaching"))
    assert scores.height == 160
    assert scores["classifier"].unique().to_list() == [made["classifier"]]


def test_ratings_of_the_other_lens_that_left_its_population_are_not_learnt_from(world: World) -> None:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    learns = LENS | {"recipe": {"model": {"kind": "multi_lens", "lenses": ["clarity"], **QUICK}, "report": NO_CURVES}}
    world.change_project(lenses={"teaching": learns, "clarity": LENS})
    for job, lens in (("rate_documents", "teaching"), ("rate_documents", "clarity"), (JOB, "teaching")):
        world.run(job, lens)
    for job in ("score_documents", "set_cutoff", "filter_documents"):
        world.run(job, "teaching")
    world.change_project(lenses={"teaching": learns, "clarity": LENS | {"population": "teaching"}})
    for _ in range(2):
        world.run(JOB, "teaching")
        assert world.read(CLASSIFIERS).height == 2, "another classifier, and the same ratings are not trained on again"
    first, second = (Report.from_json(one).notes for one in world.read(CLASSIFIERS).sort("trained_at")["metrics"])
    told = "120 ratings through clarity of documents that teaching no longer keeps are not used"  # all but a quarter
    assert (told in first, told in second) == (False, True)
