"""A roll-back by itself: an older classifier is promoted, and the reconcile sensor does the rest."""

from collections.abc import Iterator

import dagster as dg
import polars as pl
import pytest

from datashop_assets.records import CLASSIFIERS, CUTOFFS, FILTERED, PROMOTIONS, SCORES
from datashop_assets_tests.worlds import World, metadata_of

LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
KEPT, SCORED = FILTERED.of("teaching"), SCORES.of("teaching")


class Daemon:
    """Ticks the reconcile sensor and runs what it asks for. As Dagster's does, it starts one run for a run key."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.started: set[str] = set()
        self.runs: list[dg.ExecuteInProcessResult] = []

    def requests(self) -> Iterator[dg.RunRequest]:
        """What is asked for and not started yet, tick by tick, until nothing is."""
        while True:
            with dg.build_sensor_context(self.world.instance, resources=self.world.defs.resources) as context:
                asked = self.world.defs.get_sensor_def("reconcile_sensor")(context)
            new = [request for request in getattr(asked, "run_requests", []) if request.run_key not in self.started]
            if not new:
                return
            yield from new

    def work(self) -> list[str]:
        """Run until nothing more is started; returns the jobs, in order."""
        done = []
        for request in self.requests():
            self.started.add(str(request.run_key))
            job = self.world.defs.resolve_job_def(request.job_name)
            self.runs.append(
                job.execute_in_process(
                    instance=self.world.instance, tags=request.tags, partition_key=request.partition_key
                )
            )
            done.append(str(request.job_name))
        return done


def kept(world: World) -> set[str]:
    return set(world.read(KEPT).filter("kept")["id"])


def newest(world: World) -> str:
    return str(world.read(PROMOTIONS).sort("promoted_at")["classifier"].to_list()[-1])


@pytest.fixture
def daemon(world: World) -> Daemon:
    """Three shards, filtered by a first classifier."""
    world.land_shards(3)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "teaching")
    daemon = Daemon(world)
    assert daemon.work() == ["score_documents", "set_cutoff", "filter_documents"]
    return daemon


def promote_another(world: World) -> None:
    """A classifier of the contrary judgement."""
    world.judge = lambda text: 5.0 - sum(word in text for word in ("because", "explains", "example"))
    world.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    world.change_project(lenses={"teaching": LENS | {"rater": "other"}, "clarity": LENS})
    world.run("train_and_promote_classifier", "teaching")


def test_the_earlier_scores_are_used_again_and_only_cutoff_and_filter_follow(daemon: Daemon) -> None:
    world = daemon.world
    first, best = newest(world), kept(world)
    promote_another(world)
    assert daemon.work() == ["score_documents", "set_cutoff", "filter_documents"]
    assert kept(world) != best
    scored = world.lake.version(SCORED)

    assert world.promote("teaching", classifier=first, note="the new one keeps menus").success
    assert daemon.work() == ["set_cutoff", "filter_documents"]
    assert world.lake.version(SCORED) == scored, "the first one's scores are still there"
    assert world.read(CUTOFFS).sort("created_at")["classifier"].to_list()[-1] == first
    assert kept(world) == best
    assert world.stale() == []


def test_there_and_back_again_within_the_hour_is_never_taken_for_work_that_was_done(daemon: Daemon) -> None:
    """The same cut-off and the same verdicts are wanted for the second and the third time."""
    world = daemon.world
    promote_another(world)
    daemon.work()
    first, second = world.read(CLASSIFIERS).filter(lens="teaching").sort("trained_at")["classifier"]
    for classifier in (first, second, first, second):
        assert world.promote("teaching", classifier=classifier).success
        assert daemon.work() == ["set_cutoff", "filter_documents"]
        assert world.stale() == []


def test_shards_that_landed_after_its_time_are_scored_by_the_earlier_classifier_and_no_others(
    daemon: Daemon,
) -> None:
    world = daemon.world
    first = newest(world)
    promote_another(world)
    daemon.work()
    world.land_shards(1, start=3)
    assert daemon.work() == ["parse_and_embed_shards", "score_documents", "set_cutoff", "filter_documents"]

    assert world.promote("teaching", classifier=first).success
    daemon.runs.clear()
    assert daemon.work() == ["score_documents", "set_cutoff", "filter_documents"]
    facts = {key: value["skipped"] for run in daemon.runs for key, value in metadata_of(run, "scores").items()}
    assert facts == {"teaching|crawl-00003": False}
    by_first = world.read(SCORED).filter(pl.col("classifier") == first)
    assert by_first["shard"].unique().sort().to_list() == world.shards
    assert world.read(KEPT).height == 160
    assert world.stale() == []
