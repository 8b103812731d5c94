"""Steps of the product on a cluster, each through the API, with its time."""

import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from datashop_assets.partitions import PARTITION_TAG, range_tags
from datashop_assets_tests.cluster.dagster_api import Dagster, Run
from datashop_assets_tests.cluster.place import facts, kubectl, say
from datashop_assets_tests.slow.small_project import LENS, texts
from resources.object_store import s3_client

DOCUMENTS = 48  # of a crawl file
RATED = 24  # of a shard
TRAIN, CHECK = "train_and_promote_classifier", "beats_the_mean_predictor"
# A person's word against the blocking check, which the ratings of so small a model seldom pass.
OVERRIDE = {
    "ops": {
        "promotion": {
            "config": {"override": True, "by": "the cluster test", "note": "the way is tested, not the classifier"}
        }
    }
}


class StepError(RuntimeError):
    """A step did not end as it had to; the message has what its log says."""


def crawl_file(number: int) -> bytes:
    """The parquet file of that number: as many explanations as program texts, others in each."""
    rows = texts(DOCUMENTS // 2, skip=number * DOCUMENTS // 2)
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def documents_of(files: Iterable[int]) -> int:
    """How many documents these files make: a text that comes twice in a shard is one."""
    return sum(pl.read_parquet(io.BytesIO(crawl_file(number)))["text"].n_unique() for number in files)


def land(dagster: Dagster, files: Iterable[int]) -> list[str]:
    """Put crawl files into the landing on S3 and wait until the landing sensor made shards of them; all shards."""
    started, reached = time.monotonic(), facts()
    client, before = s3_client(reached), dagster.shards()
    numbers = list(files)
    for number in numbers:
        client.put_object(Bucket=reached["bucket"], Key=f"landing/part-{number:02d}.parquet", Body=crawl_file(number))
    while len(shards := dagster.shards()) < len(before) + len(numbers):
        if time.monotonic() > started + 300:
            raise StepError(f"the landing sensor made {shards} of {len(numbers)} new files")
        time.sleep(1)
    say(f"registered {len(numbers)} new shards in {time.monotonic() - started:.0f} s: {shards}")
    return shards


def over_shards(lens: str | None, shards: Sequence[str]) -> dict[str, str]:
    """Tags of a run over a stretch of shards."""
    return range_tags(LENS if lens else None, shards[0], shards[-1])


def lens_step() -> dict[str, str]:
    return {PARTITION_TAG: LENS}


def step(dagster: Dagster, job: str, runs: Sequence[Mapping[str, str]], seconds: float = 900) -> list[Run]:
    """Launch a run for each set of tags, wait, and say how long all took. Raises StepError with the first failure."""
    started = time.monotonic()
    done = dagster.wait([dagster.launch(job, tags) for tags in runs], seconds)
    for each in done:
        if each.status != "SUCCESS":
            raise StepError(f"{job}: {each.status}: " + "\n".join(dagster.reasons(each.id)))
    say(f"{job}: {len(done)} run(s) in {time.monotonic() - started:.0f} s{_at_once(done)}")
    return done


def train(dagster: Dagster) -> None:
    """Train and promote; where the blocking check says no, which it has to say, a person overrides it."""
    started = time.monotonic()
    (run,) = dagster.wait([dagster.launch(TRAIN, lens_step())])
    if run.status == "SUCCESS":
        say(f"{TRAIN}: 1 run(s) in {time.monotonic() - started:.0f} s")
        return
    reasons = dagster.reasons(run.id)
    if not any(CHECK in reason for reason in reasons):
        raise StepError(f"{TRAIN}: {run.status}: " + "\n".join(reasons))
    override(dagster)


def override(dagster: Dagster) -> None:
    """Promote the newest classifier by a person's word. Raises StepError."""
    (run,) = dagster.wait([dagster.launch(TRAIN, lens_step(), ["promotion"], json.dumps(OVERRIDE))])
    if run.status != "SUCCESS":
        raise StepError(f"the override: {run.status}: " + "\n".join(dagster.reasons(run.id)))
    say("the blocking check said no to the classifier; promoted by a person's override")


def _at_once(runs: Sequence[Run]) -> str:
    """How many of the runs were under way at the same time, where there are several."""
    if len(runs) < 2:
        return ""
    spans = [(each.started or 0, each.ended or 0) for each in runs]
    most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    return f", {most} at the same time"


def await_run(dagster: Dagster, run: str, status: str = "STARTED", seconds: float = 200) -> None:
    """Until the run has the status. Raises StepError where it ended without."""
    deadline = time.monotonic() + seconds
    while (now := dagster.run(run).status) != status:
        if now in ("SUCCESS", "FAILURE", "CANCELED") or time.monotonic() > deadline:
            raise StepError(f"run {run} is {now}, not {status}")
        time.sleep(0.3)


def pod_of(run: str) -> str:
    """The name of a run's pod."""
    names = kubectl("get", "pods", f"--selector=dagster/run-id={run}", "-o", "jsonpath={.items[*].metadata.name}")
    return names.split()[-1]
