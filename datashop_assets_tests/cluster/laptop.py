"""`python -m datashop_assets_tests.cluster.laptop`: the cluster's steps on the laptop profile, in one process.

The project and its home come from the environment, as everywhere.
"""

import logging
import warnings

import dagster as dg

from datashop_assets.automation.sensors import register_and_add_partitions
from datashop_assets.definitions import build_defs
from datashop_assets.graph import load_graph
from datashop_assets.partitions import SHARDS, range_tags
from datashop_assets_tests.cluster.steps import OVERRIDE
from datashop_assets_tests.slow.small_project import LENS
from resources.lake import DeltaLake
from resources.landing import FsspecLandingArea
from resources.profiles import profile_from_environment, project_of


def walk() -> None:
    """Every step to the release. Raises what a step raises, but for the check that a person overrides."""
    profile = profile_from_environment()
    defs, lake = build_defs(profile), DeltaLake(profile.lake)
    with dg.DagsterInstance.get() as instance:
        graph = load_graph(project_of(profile))
        _, keys = register_and_add_partitions(instance, lake, graph, FsspecLandingArea(), {"asset": "landing_files"})
        instance.add_dynamic_partitions(str(SHARDS.name), keys)
        corpus = {"tags": range_tags(None, keys[0], keys[-1])}
        grid = {"tags": range_tags(LENS, keys[0], keys[-1])}
        lens = {"partition_key": LENS}
        promotion = {**lens, "asset_selection": [dg.AssetKey("promotion")], "run_config": OVERRIDE}
        steps = [
            ("parse_and_embed_shards", corpus),
            ("rate_documents", grid),
            ("train_and_promote_classifier", {**lens, "raise_on_error": False}),
            ("train_and_promote_classifier", promotion),
            ("score_documents", grid),
            ("set_cutoff", lens),
            ("filter_documents", grid),
            ("cut_release", lens),
        ]
        for job, arguments in steps:
            print(job, flush=True)  # noqa: T201
            defs.resolve_job_def(job).execute_in_process(instance=instance, **arguments)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("dagster").setLevel(logging.WARNING)
    walk()
