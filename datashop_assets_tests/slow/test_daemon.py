"""New crawl files and new classifiers lead to filtered documents by themselves, through the daemon of `dagster dev`.

Nobody starts a run here but for what costs money or judgement: rating, training, promoting and rolling back.
"""

import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from datashop_assets.automation.reconcile import FREE_JOBS
from datashop_assets.classifier.registry import promoted
from datashop_assets.filtering.state import current_cutoff, wanted_filtered
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, FILTERED, SCORES, Cell, TableSpec
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
# A sensor ticks every 30 s, a run starts in some 10 s; the rest is for a busy machine.
WITHIN_S = 300


class Watcher:
    """Looks at a project's tables and runs while the daemon works."""

    def __init__(self, project: SmallProject, served: Served, instance: dg.DagsterInstance) -> None:
        self.lake = DeltaLake(project.profile.lake)
        self.asked = project_of(project.profile)
        self.served = served
        self.instance = instance

    def wait(self, what: str, there: Callable[[], bool]) -> None:
        """Wait until it is there; fail at once where a run failed, and with the daemon's log after WITHIN_S."""
        deadline = time.monotonic() + WITHIN_S
        while not there():
            failed = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
            assert not failed, f"waiting for {what}: {failed[0].job_name} failed\n{self.served.tail()}"
            assert time.monotonic() < deadline, f"no {what} within {WITHIN_S} s\n{self.served.tail()}"
            time.sleep(1)

    def shards(self, table: TableSpec) -> set[str]:
        return set(self.lake.cells(table)["shard"])

    def embedded(self) -> set[str]:
        """Shards with embeddings, whatever the encoder."""
        folder = Path(self.lake.uri) / EMBEDDINGS.name
        encoders = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        return {shard for encoder in encoders for shard in self.shards(EMBEDDINGS.of(encoder))}

    def filtered_by(self, classifier: str) -> set[str]:
        """Shards whose filtered documents stand at the cut-off that was made for the classifier."""
        cutoff = current_cutoff(self.lake, LENS)
        if cutoff is None or cutoff.classifier != classifier:
            return set()
        cells = [Cell(shard, LENS) for shard in self.shards(SCORES.of(LENS)) & self.shards(FILTERED.of(LENS))]
        have = dict(self.lake.cells(FILTERED.of(LENS)).select("shard", "version").iter_rows())
        return {
            cell.shard
            for cell, version in wanted_filtered(self.lake, cutoff, self.asked, cells).items()
            if have[cell.shard] == version
        }

    def finished(self) -> bool:
        """Whether no run is queued or under way."""
        return all(run.is_finished for run in self.instance.get_runs())


def promoted_classifier(lake: DeltaLake) -> str:
    promotion = promoted(lake, LENS)
    assert promotion is not None
    return promotion.classifier


def test_what_lands_and_what_is_promoted_reaches_the_filtered_documents_by_itself(tmp_path: Path) -> None:
    project = open_project(write_project(tmp_path, RATED), tmp_path / "home")
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

        walk(project, "train_and_promote_classifier")
        classifier = promoted_classifier(daemon.lake)
        daemon.wait("filtered documents of the first crawl", lambda: daemon.filtered_by(classifier) == first)

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

        walk(project, "train_and_promote_classifier")  # on the new file's ratings too
        better = promoted_classifier(daemon.lake)
        assert better != classifier
        daemon.wait("filtered documents by the new classifier", lambda: daemon.filtered_by(better) == {*first, new})
        daemon.wait("end of the runs by the new classifier", daemon.finished)

        scored_by_both = daemon.lake.version(SCORES.of(LENS))
        promote(project, classifier)
        daemon.wait("filtered documents after the roll-back", lambda: daemon.filtered_by(classifier) == {*first, new})
        daemon.wait("end of the last run", daemon.finished)
        assert daemon.lake.version(SCORES.of(LENS)) == scored_by_both, "the earlier classifier's scores are still there"

        runs = [run for run in instance.get_runs() if run.tags.get("dagster/sensor_name") == "reconcile_sensor"]
        assert {run.job_name for run in runs} == set(FREE_JOBS)
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
