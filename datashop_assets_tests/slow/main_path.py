"""`python -m datashop_assets_tests.slow.main_path [LAST_STEP]`: the main path once, as the demo walks it.

Prints the name of each step when it begins, and fails with the first step that fails. A process of its own, for a test
to kill, or to keep model libraries out of the test's process. A step of lenses is walked for each of them.
"""

import logging
import sys
import warnings

import dagster as dg

from datashop_assets.automation.sensors import register_and_add_partitions
from datashop_assets.definitions import build_defs
from datashop_assets.demo.__main__ import steps
from datashop_assets.graph import load_graph
from datashop_assets.partitions import SHARDS
from resources.lake import DeltaLake
from resources.landing import FsspecLandingArea
from resources.profiles import Profile, profile_from_environment, project_of

REGISTER, RATING, DONE = "register", "rate_documents", "done"


def walk(profile: Profile, last: str | None) -> None:
    """Register the crawl's shards, then every step of the demo that concerns the project, up to the last one asked. A
    lens whose ratings are imported is not rated."""
    graph = load_graph(project_of(profile))
    defs = build_defs(profile)
    lake = DeltaLake(profile.lake)
    with dg.DagsterInstance.get() as instance:
        print(REGISTER, flush=True)  # noqa: T201
        _, keys = register_and_add_partitions(instance, lake, graph, FsspecLandingArea(), {"asset": "landing_files"})
        instance.add_dynamic_partitions(str(SHARDS.name), keys)
        ended: set[str | None] = set()
        for step in steps(graph, list(instance.get_dynamic_partitions(str(SHARDS.name)))):
            if step.lens in ended or (step.job == RATING and not graph.asked_raters(str(step.lens))):
                continue
            print(step.job, flush=True)  # noqa: T201
            defs.resolve_job_def(step.job).execute_in_process(
                instance=instance, tags=dict(step.tags), partition_key=step.partition_key
            )
            if step.job == last:
                ended.add(step.lens)
                if step.lens is None or ended >= set(graph.lenses):
                    break
    print(DONE, flush=True)  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    walk(profile_from_environment(), sys.argv[1] if len(sys.argv) > 1 else None)
