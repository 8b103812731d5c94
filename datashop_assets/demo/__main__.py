"""`python -m datashop_assets.demo`: the main job on real documents, headless, in one process.

What belongs here: the order of the steps and what is printed. What does not: anything that a step does; each one is a
job of the project, so everything that runs here can be run, looked at and repeated in the UI.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import dagster as dg
from filelock import FileLock, Timeout
from sqlalchemy.exc import OperationalError

from datashop_assets.attribute_settings import made_of
from datashop_assets.automation.jobs import deduplication_steps
from datashop_assets.automation.sensors import register_and_add_partitions
from datashop_assets.corpus.registry import active_shards
from datashop_assets.definitions import build_defs
from datashop_assets.demo.harvest import HarvestError, harvest
from datashop_assets.demo.interrupt import DRIVEN_HERE, close_abandoned_runs, interruptible
from datashop_assets.demo.progress import terminal_logger
from datashop_assets.demo.summary import summarise
from datashop_assets.graph import Graph, load_graph
from datashop_assets.partitions import SHARDS, range_tags
from datashop_assets.project import Landing, Project
from resources.lake import DeltaLake
from resources.landing import FsspecLandingArea
from resources.profiles import Profile, dagster_home, exports_of, profile_from_environment, project_of

DEMO = "demo"  # begins the names of the projects whose landings the demo may fill
# Per score lens, and per label lens, in order; a grid step covers all shards of the lens in one run.
LENS_STEPS = (
    ("rate_documents", "grid"),
    ("curate_annotations", "lens"),
    ("train_and_promote_classifier", "lens"),
    ("score_documents", "grid"),
    ("set_cutoff", "lens"),
    ("filter_documents", "grid"),
    ("cut_release", "lens"),
    ("report_on_raters", "lens"),
    ("summarise_ratings", "lens"),
    ("select_subset", "lens"),
    ("compare_selections", "lens"),
)
LABEL_STEPS = (("label_documents", "grid"), ("report_labels", "lens"))


def say(text: str) -> None:
    """Print a line for the person who waits."""
    print(text, flush=True)  # noqa: T201


@dataclass(frozen=True)
class Step:
    """One run of a job, of a lens or an attribute (None: of all), over partitions: a range (`tags`) or one.

    It is left out where a step of its lens failed, or one of those that it comes `after`.
    """

    job: str
    lens: str | None
    tags: Mapping[str, str] = field(default_factory=dict)
    partition_key: str | None = None
    after: Collection[str] = ()

    def __str__(self) -> str:
        return f"{self.job} ({self.lens})" if self.lens else self.job


def steps(graph: Graph, shards: list[str]) -> Iterator[Step]:
    """Every run of the main job, in order."""
    yield Step("parse_and_embed_shards", None, range_tags(None, shards[0], shards[-1]))
    for job in deduplication_steps(graph):
        yield Step(job, None, range_tags(None, shards[0], shards[-1]))
    for attribute in graph.measured_attributes:
        yield Step("measure_attributes", attribute, range_tags(attribute, shards[0], shards[-1]))
    for lens in graph.lenses:
        for job, kind in LENS_STEPS if lens in graph.score_lenses else LABEL_STEPS:
            if kind == "grid":
                yield Step(job, lens, range_tags(lens, shards[0], shards[-1]))
            else:
                yield Step(job, lens, partition_key=lens)
    for attribute in graph.derived_attributes:
        after = sorted(made_of(graph.project.attributes, attribute))
        yield Step("derive_attributes", attribute, range_tags(attribute, shards[0], shards[-1]), after=after)
    if graph.project.attributes:
        yield Step("report_attributes", None)
    yield Step("keep_house", None)
    if graph.annealed:
        yield Step("anneal_control", None)
        for lens in graph.annealed:
            yield Step("anneal_and_evaluate_candidate", lens, partition_key=lens)
    yield Step("plan_rollout", None)


def failure_message(result: dg.ExecuteInProcessResult) -> str:
    """What failed and why, from the innermost error."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            return f"{event.step_key}: {error.message.strip() if error else 'no error recorded'}"
        if event.event_type_value == "ASSET_CHECK_EVALUATION" and not event.asset_check_evaluation_data.passed:
            return f"check {event.asset_check_evaluation_data.check_name} failed"
    return "the run failed without saying why; see it in the UI"


def run_steps(instance: dg.DagsterInstance, defs: dg.Definitions, todo: list[Step]) -> list[Step]:
    """Run the steps; returns those that failed. What a failed step's lens would have gone through is left out, and what
    comes after it."""
    failed: dict[str | None, Step] = {}
    for number, step in enumerate(todo, 1):
        at = time.monotonic()
        if stopped := next((failed[name] for name in (None, step.lens, *step.after) if name in failed), None):
            say(f"[{number}/{len(todo)}] {step}: left out, {stopped.job} failed")
            continue
        say(f"[{number}/{len(todo)}] {step}")
        result = defs.resolve_job_def(step.job).execute_in_process(
            instance=instance,
            tags={**step.tags, **DRIVEN_HERE},
            partition_key=step.partition_key,
            run_config={"loggers": {"console": {}}},
            raise_on_error=False,
        )
        if result.success:
            say(f"      done in {time.monotonic() - at:.0f} s")
        else:
            say(f"      FAILED after {time.monotonic() - at:.0f} s: {failure_message(result)}")
            failed[step.lens] = step
    return list(failed.values())


def demo_folder(project: Project, landing: Landing) -> Path:
    """The landing's folder. Raises HarvestError where it is not the demo's own: a user's corpus is never written to."""
    if not project.name.startswith(DEMO):
        raise HarvestError(
            f"the project {project.name!r} is not the demo's, and its landings are yours; unset DATASHOP_PROJECT for "
            "the demo, or work on your project in the UI (make ui)"
        )
    if "://" in landing.url:
        raise HarvestError(f"landing {landing.dataset!r} is at {landing.url}; the demo writes to a local folder only")
    return Path(landing.url)


def put_crawl(project: Project, crawl: Literal["first", "later"], documents: int | None) -> None:
    """Write what is missing of a crawl into the demo's landings."""
    for landing in project.landings:
        say(f"harvest: {harvest(demo_folder(project, landing), crawl=crawl, documents=documents)}")


def run_demo(profile: Profile, documents: int | None) -> int:
    """Everything that is missing, step by step; returns the exit status."""
    project = project_of(profile)
    graph = load_graph(project)
    started = time.monotonic()
    say(f"datashop demo: project {project.name}, everything below {profile.home}")
    put_crawl(project, "first", documents)
    defs = build_defs(profile, loggers={"console": terminal_logger})
    lake = DeltaLake(profile.lake, profile.storage_options)
    with dg.DagsterInstance.get() as instance:
        close_abandoned_runs(instance)
        lineage = {"asset": "landing_files", "run_id": "demo"}
        facts, keys = register_and_add_partitions(instance, lake, graph, FsspecLandingArea(), lineage)
        instance.add_dynamic_partitions(str(SHARDS.name), keys)
        shards = [shard.shard for shard in active_shards(lake, project)]
        say(f"shards: {len(shards)} registered, {facts['new shards']} of them new")
        for fault in facts["landings that cannot be listed"]:
            say(f"shards: a landing cannot be listed: {fault}")
        failed = run_steps(instance, defs, list(steps(graph, shards)))
    say(f"\n{summarise(lake, graph, exports_of(profile, 'releases'))}\n")
    minutes = (time.monotonic() - started) / 60
    for step in failed:
        say(f"NOT everything worked: {step} failed, see above")
    say(f"The demo took {minutes:.1f} minutes. Look at it: make ui, then http://127.0.0.1:3000")
    return 1 if failed else 0


def main() -> int:
    """Parse the arguments and run, one demo at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, help="a smaller corpus, for a quick look (default: 1600)")
    parser.add_argument(
        "--new-crawl", action="store_true", help="only put a later crawl into the landing, for the sensors to find"
    )
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    profile = profile_from_environment()
    os.environ.setdefault("DAGSTER_HOME", str(dagster_home(profile)))
    try:
        if arguments.new_crawl:
            put_crawl(project_of(profile), "later", arguments.documents)
            return 0
        with FileLock(profile.home / "demo.lock", timeout=0):
            return interruptible(lambda: run_demo(profile, arguments.documents))
    except Timeout:
        say(f"another demo is at work in {profile.home}; wait for it, or set DATASHOP_HOME to another folder")
    except HarvestError as error:
        say(f"the demo's texts cannot be harvested: {error}")
    except OperationalError as error:
        say(
            f"Dagster cannot use its storage in {os.environ['DAGSTER_HOME']} ({error.orig}): is the disk full, or is "
            "another process at work there? Mend that and run this again; what was committed stays"
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
