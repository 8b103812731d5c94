"""New crawl files and new classifiers lead to filtered documents by themselves, through the daemon of `dagster dev`.

Nobody starts a run here but for what costs money or judgement: rating, training, promoting and rolling back.
"""

import json
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from datashop_assets.automation.pauses import EVERYTHING, record_pauses
from datashop_assets.automation.reconcile import FREE_JOBS
from datashop_assets.automation.requests import LENS_TAG
from datashop_assets.automation.sensors import RECONCILE
from datashop_assets.classifier.registry import promoted
from datashop_assets.filtering.state import current_cutoff, wanted_filtered
from datashop_assets.graph import load_graph
from datashop_assets.rating.imports import Origin, import_ratings
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, FILTERED, PROMOTIONS, SCORES, Cell, TableSpec
from datashop_assets_tests.slow.dagster_dev import Served, dagster_dev
from datashop_assets_tests.slow.small_project import (
    BAD,
    DATASET,
    GOOD,
    LENS,
    SmallProject,
    drop_crawl,
    drop_crawl_file,
    open_project,
    promote,
    texts,
    walk,
    write_project,
)
from resources.lake import DeltaLake
from resources.profiles import project_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SHARDS, DOCUMENTS_A_SHARD, RATED = 3, 26, 24
# A lens with ratings that were made elsewhere costs no rater's time.
IMPORTED = "rated_elsewhere"
# More shards than two commits hold (16 each), so that a kill after the first finds work left.
MANY_SHARDS, FEW_DOCUMENTS, CELLS_A_COMMIT = 36, 4, 16
# A sensor looks every 5 s, a run starts in some 10 s; the rest is for a busy machine.
WITHIN_S = 300


class Watcher:
    """Looks at a project's tables and runs while the daemon works."""

    def __init__(
        self, project: SmallProject, served: Served, instance: dg.DagsterInstance, may_fail: Collection[str] = ()
    ) -> None:
        self.lake = DeltaLake(project.profile.lake)
        self.asked = project_of(project.profile)
        self.served = served
        self.instance = instance
        self.may_fail = may_fail

    def wait(self, what: str, there: Callable[[], bool], every_s: float = 1) -> None:
        """Wait until it is there; fail at once where a run failed, and with the daemon's log after WITHIN_S."""
        deadline = time.monotonic() + WITHIN_S
        while not there():
            ended = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
            failed = [run for run in ended if run.run_id not in self.may_fail]
            assert not failed, f"waiting for {what}: {failed[0].job_name} failed\n{self.served.tail()}"
            assert time.monotonic() < deadline, f"no {what} within {WITHIN_S} s\n{self.served.tail()}"
            time.sleep(every_s)

    def ticks(self, since: float) -> list[InstigatorTick]:
        """The looks of the reconcile sensor since then, the last first."""
        (sensor,) = (each for each in self.instance.all_instigator_state() if each.instigator_name == RECONCILE)
        ticks = self.instance.get_ticks(sensor.instigator_origin_id, sensor.selector_id, limit=1000)
        return [tick for tick in ticks if tick.timestamp > since]

    def see_a_tick(self) -> None:
        """Wait until the reconcile sensor has looked, from now on, and found nothing to ask for."""
        since = time.time()
        self.wait(
            "a tick that asks for nothing",
            lambda: any(tick.status == TickStatus.SKIPPED for tick in self.ticks(since)),
        )

    def asked_at_once(self, job: str, since: float) -> list[set[str]]:
        """For each look since then that asked for runs of the job, their lenses."""
        asked = [
            {
                run.tags[LENS_TAG]
                for run in self.instance.get_runs(dg.RunsFilter(run_ids=list(tick.run_ids), job_name=job))
            }
            for tick in self.ticks(since)
            if tick.run_ids
        ]
        return [lenses for lenses in asked if lenses]

    def shards(self, table: TableSpec) -> set[str]:
        return set(self.lake.cells(table)["shard"])

    def embedded(self) -> set[str]:
        """Shards with embeddings, whatever the encoder."""
        folder = Path(self.lake.uri) / EMBEDDINGS.name
        encoders = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        return {shard for encoder in encoders for shard in self.shards(EMBEDDINGS.of(encoder))}

    def filtered_by(self, classifier: str, lens: str = LENS) -> set[str]:
        """Shards whose filtered documents stand at the cut-off that was made for the classifier."""
        cutoff = current_cutoff(self.lake, lens)
        if cutoff is None or cutoff.classifier != classifier:
            return set()
        cells = [Cell(shard, lens) for shard in self.shards(SCORES.of(lens)) & self.shards(FILTERED.of(lens))]
        have = dict(self.lake.cells(FILTERED.of(lens)).select("shard", "version").iter_rows())
        return {
            cell.shard
            for cell, version in wanted_filtered(self.lake, cutoff, self.asked, cells).items()
            if have[cell.shard] == version
        }

    def each_document_once(self, classifier: str, lens: str) -> bool:
        """Whether every document has one score of the classifier, and one verdict: nothing is lost or doubled."""
        key = ["shard", "id"]
        documents = self.lake.read(DOCUMENTS).select(key).sort(key)
        made = (self.lake.read(SCORES.of(lens), {"classifier": [classifier]}), self.lake.read(FILTERED.of(lens)))
        return all(rows.select(key).sort(key).equals(documents) for rows in made)

    def finished(self) -> bool:
        """Whether no run is queued or under way."""
        return all(run.is_finished for run in self.instance.get_runs())


def add_imported_lens(file: Path, *, alone: bool = False) -> None:
    """A lens of the project, the same but in its name, whose ratings were made elsewhere."""
    project = yaml.safe_load(file.read_text())
    shutil.copytree(file.parent / "lenses" / LENS, file.parent / "lenses" / IMPORTED)
    settings = project["lenses"][LENS] | {"rater": "elsewhere"}
    project["lenses"] = ({} if alone else project["lenses"]) | {IMPORTED: settings}
    project["raters"]["elsewhere"] = {"backend": "imported", "model": "elsewhere"}
    file.write_text(yaml.safe_dump(project))


def import_ratings_of_all(project: SmallProject, lake: DeltaLake) -> None:
    """Every document is rated: what explains something has 4 or 5, program text 0 or 1."""
    rows = lake.read(DOCUMENTS).sort("shard", "row")
    ratings = [
        {"id": row["id"], "shard": row["shard"], "score": (4 if row["source"] == GOOD else 0) + number // 2 % 2}
        for number, row in enumerate(rows.to_dicts())
    ]
    file = project.home / "ratings.jsonl"
    file.write_text("".join(json.dumps(rating) + "\n" for rating in ratings))
    lens = load_graph(project_of(project.profile)).lenses[IMPORTED]
    import_ratings(lake, lens, [file], Origin(rater="elsewhere"), {"asset": "annotations", "run_id": "import"})


def hold(lake: DeltaLake, pause: Collection[str] = (), resume: Collection[str] = ()) -> None:
    """What the asset `pauses` does."""
    record_pauses(lake, [LENS, IMPORTED], pause, resume, "somebody", None, {"asset": "pauses"})


def promoted_classifier(lake: DeltaLake, lens: str = LENS) -> str:
    promotion = promoted(lake, lens)
    assert promotion is not None
    return promotion.classifier


def train_worse(project: SmallProject) -> None:
    """A training that learns next to nothing, which its checks stop."""
    asked = project.file.read_text()
    settings = yaml.safe_load(asked)
    settings["lenses"][LENS]["recipe"]["model"] = {"kind": "linear", "l2": [1e9]}
    project.file.write_text(yaml.safe_dump(settings))
    try:
        with pytest.raises(AssertionError, match="blocking asset check"):
            walk(project, "train_and_promote_classifier")
    finally:
        project.file.write_text(asked)


def test_what_lands_and_what_is_promoted_reaches_the_filtered_documents_by_itself(tmp_path: Path) -> None:
    file = write_project(tmp_path, RATED)
    add_imported_lens(file)
    project = open_project(file, tmp_path / "home")
    drop_crawl(project.landing, SHARDS, DOCUMENTS_A_SHARD)
    first = {f"{DATASET}-{number:05d}" for number in range(SHARDS)}
    new = f"{DATASET}-{SHARDS:05d}"
    with (
        dagster_dev(project.environment, tmp_path / "dagster-dev.log") as served,
        dg.DagsterInstance.from_config(str(project.dagster_home)) as instance,
    ):
        daemon = Watcher(project, served, instance)
        daemon.wait("embeddings of the first crawl", lambda: daemon.embedded() == first)
        daemon.wait("end of the runs on the first crawl", daemon.finished)
        assert set(instance.get_dynamic_partitions("shard")) == first
        assert daemon.shards(DOCUMENTS) == first

        import_ratings_of_all(project, daemon.lake)
        walk(project, "train_and_promote_classifier")
        classifier, others = promoted_classifier(daemon.lake), promoted_classifier(daemon.lake, IMPORTED)
        daemon.wait("filtered documents of the first crawl", lambda: daemon.filtered_by(classifier) == first)
        daemon.wait("those of the other lens", lambda: daemon.filtered_by(others, IMPORTED) == first)

        drop_crawl_file(project.landing, "part-99.jsonl.zst", texts(10, skip=SHARDS * DOCUMENTS_A_SHARD // 2))
        daemon.wait("documents of the new crawl file", lambda: new in daemon.shards(DOCUMENTS))
        daemon.wait("embeddings of the new crawl file", lambda: new in daemon.embedded())
        daemon.wait("filtered documents of the new file", lambda: daemon.filtered_by(classifier) == {*first, new})
        scored = daemon.lake.read(SCORES.of(LENS), {"shard": [new]})
        filtered = daemon.lake.read(FILTERED.of(LENS), {"shard": [new]})
        documents = daemon.lake.read(DOCUMENTS, {"shard": [new]})
        assert documents.height == 20
        assert set(scored["id"]) == set(filtered["id"]) == set(documents["id"])
        kept = documents.filter(pl.col("id").is_in(filtered.filter("kept")["id"].to_list()))["source"].to_list()
        assert kept.count(GOOD) > kept.count(BAD)

        # Better classifiers of two lenses, which the sensor finds at the same look: all shards of both are made anew.
        import_ratings_of_all(project, daemon.lake)
        hold(daemon.lake, pause=[EVERYTHING])
        walk(project, "train_and_promote_classifier")  # on the new file's ratings too
        better, others_better = promoted_classifier(daemon.lake), promoted_classifier(daemon.lake, IMPORTED)
        assert (better != classifier, others_better != others) == (True, True)
        since = time.time()
        hold(daemon.lake, resume=[EVERYTHING])
        daemon.wait("filtered documents by the new classifier", lambda: daemon.filtered_by(better) == {*first, new})
        daemon.wait("the other's", lambda: daemon.filtered_by(others_better, IMPORTED) == {*first, new})
        daemon.wait("end of the runs by the new classifiers", daemon.finished)
        assert daemon.asked_at_once("score_documents", since) == [{LENS, IMPORTED}]
        assert daemon.each_document_once(better, LENS)
        assert daemon.each_document_once(others_better, IMPORTED)

        # A worse one changes nothing; and what is promoted right after a tick is followed by the next.
        stood = {table.name: daemon.lake.version(table) for table in (PROMOTIONS, SCORES.of(LENS), FILTERED.of(LENS))}
        train_worse(project)
        failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert [run.job_name for run in failed] == ["train_and_promote_classifier"]
        daemon.may_fail = {run.run_id for run in failed}
        daemon.see_a_tick()
        assert stood == {
            table.name: daemon.lake.version(table) for table in (PROMOTIONS, SCORES.of(LENS), FILTERED.of(LENS))
        }
        assert promoted_classifier(daemon.lake) == better

        scored_by_both = daemon.lake.version(SCORES.of(LENS))
        promote(project, classifier)
        daemon.wait("filtered documents after the roll-back", lambda: daemon.filtered_by(classifier) == {*first, new})
        daemon.wait("end of the last run", daemon.finished)
        assert daemon.lake.version(SCORES.of(LENS)) == scored_by_both, "the earlier classifier's scores are still there"

        runs = [run for run in instance.get_runs() if run.tags.get("dagster/sensor_name") == "reconcile_sensor"]
        assert {run.job_name for run in runs} == set(FREE_JOBS)
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}


def test_a_daemon_and_its_run_that_are_killed_in_a_roll_out_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """SIGKILL to everything once the run has committed its first scores: the next daemon does the others."""
    file = write_project(tmp_path, RATED)
    add_imported_lens(file, alone=True)
    file.write_text(
        yaml.safe_dump(yaml.safe_load(file.read_text()) | {"automation": {"cool_down_s": 10, "look_every_s": 5}})
    )
    project = open_project(file, tmp_path / "home")
    drop_crawl(project.landing, MANY_SHARDS, FEW_DOCUMENTS)
    walk(project, "parse_and_embed_shards")
    lake = DeltaLake(project.profile.lake)
    import_ratings_of_all(project, lake)
    walk(project, "train_and_promote_classifier")
    classifier, scores = promoted_classifier(lake, IMPORTED), SCORES.of(IMPORTED)
    with dg.DagsterInstance.from_config(str(project.dagster_home)) as instance:
        with dagster_dev(project.environment, tmp_path / "killed.log") as served:
            daemon = Watcher(project, served, instance)
            daemon.wait("the first scores", lambda: bool(daemon.shards(scores)), every_s=0.05)
            served.kill()
        committed, done = lake.version(scores) or 0, daemon.shards(scores)
        (cut,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        assert cut.job_name == "score_documents"
        with dagster_dev(project.environment, tmp_path / "again.log") as served:
            daemon = Watcher(project, served, instance, may_fail={cut.run_id})
            daemon.wait(
                "filtered documents of all", lambda: len(daemon.filtered_by(classifier, IMPORTED)) == MANY_SHARDS
            )
            daemon.wait("end of the runs", daemon.finished)
        assert daemon.each_document_once(classifier, IMPORTED)
        again = (lake.version(scores) or 0) - committed
        assert again <= -(-(MANY_SHARDS - len(done)) // CELLS_A_COMMIT), "what was committed is not made again"
        assert {run.run_id: run.status for run in instance.get_runs()}.pop(cut.run_id) == dg.DagsterRunStatus.FAILURE
