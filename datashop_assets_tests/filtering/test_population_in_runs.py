"""A population over whole runs: what is rated, in which order the sensor works, and what a change costs."""

import polars as pl
import pytest

from datashop_assets.classifier.report import Report
from datashop_assets.project import ProjectError
from datashop_assets.records import ANNOTATIONS, CLASSIFIERS, DOCUMENTS, FILTERED
from datashop_assets_tests.worlds import World, failure_of

BROAD = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.6}}
DEAR = {"rater": "scripted", "sample_per_shard": 20, "population": "clarity", "cutoff": {"keep_fraction": 0.5}}


def texts_of(world: World, rows: pl.DataFrame) -> set[str]:
    return set(world.read(DOCUMENTS).join(rows, on=["shard", "id"], how="semi")["text"])


@pytest.mark.timeout(300)
def test_a_dear_lens_rates_the_survivors_of_a_broad_one_and_pays_nothing_twice(world: World) -> None:
    world.change_project(lenses={"clarity": BROAD, "teaching": DEAR})
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    message = failure_of(world.run("rate_documents", "teaching", fails=True))
    assert "materialize `filtered_documents` of `clarity` first" in message

    world.run("rate_documents", "clarity")
    world.run("train_and_promote_classifier", "clarity")
    assert world.reconcile() == ["score_documents", "set_cutoff", "filter_documents"]
    survivors = world.read(FILTERED.of("clarity")).filter("kept")
    assert survivors.height == 96
    rater = world.raters["scripted"]
    rater.asked.clear()
    world.run("rate_documents", "teaching")
    asked = list(rater.asked)
    assert len(asked) == 80
    assert set(asked) <= texts_of(world, survivors)

    world.run("train_and_promote_classifier", "teaching")
    assert world.reconcile() == ["score_documents", "set_cutoff", "filter_documents"]
    verdicts = world.read(FILTERED.of("teaching"))
    counts = dict(verdicts["reason"].value_counts().iter_rows())
    assert counts["not_in_population"] == 64
    assert counts["kept"] == 48
    assert verdicts.filter("kept").join(survivors, on=["shard", "id"], how="anti").is_empty()

    # A smaller population: the broad lens is worked on first, the dear one follows; what was rated stays.
    world.change_project(lenses={"clarity": BROAD | {"cutoff": {"keep_fraction": 0.5}}, "teaching": DEAR})
    assert [(work.job, work.stretch.lens) for work in world.stale()] == [("set_cutoff", "clarity")]
    assert world.reconcile() == ["set_cutoff", "filter_documents", "set_cutoff", "filter_documents"]
    assert world.read(FILTERED.of("teaching"))["kept"].sum() == 40
    before = world.read(ANNOTATIONS.of("teaching"))
    rater.asked.clear()
    world.run("rate_documents", "teaching")
    assert not set(rater.asked) & set(asked), "only what came into the sample anew is asked"
    after = world.read(ANNOTATIONS.of("teaching"))
    assert set(before["id"]) <= set(after["id"])

    # What left the population stays rated and is not trained on.
    outside = after.join(world.read(FILTERED.of("clarity")).filter(~pl.col("kept")), on=["shard", "id"], how="semi")
    assert outside.height > 0
    # Few are left and they are alike, so that the new classifier does not pass its checks; what it learnt is recorded.
    for _ in range(2):
        world.run("train_and_promote_classifier", "teaching", fails=True)
        trained = world.read(CLASSIFIERS).filter(lens="teaching").sort("trained_at")
        assert trained.height == 2, "the same ratings are not trained on again"
    report = Report.from_json(trained["metrics"][-1])
    assert report.counts.given == after.height - outside.height
    assert f"{outside.height} ratings of documents that clarity no longer keeps are not used" in report.notes


def test_a_label_lens_is_no_population(world: World) -> None:
    lenses = {"latam_domains": {"rater": "scripted"}, "teaching": DEAR | {"population": "latam_domains"}}
    with pytest.raises(ProjectError, match=r"'teaching' asks for \['latam_domains'\], which give labels"):
        world.change_project(lenses=lenses)
