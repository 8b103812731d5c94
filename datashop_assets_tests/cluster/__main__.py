"""`python -m datashop_assets_tests.cluster`: the product driven through its API on a cluster where it is installed.

First a crawl goes through all steps. Then a second one does, and each step of it meets a fault. At the end the release
is compared with the one that the laptop profile makes from the same annotations.
"""

import subprocess
import sys
from collections.abc import Sequence

from datashop_assets_tests.cluster.compare import compare
from datashop_assets_tests.cluster.dagster_api import Dagster
from datashop_assets_tests.cluster.faults import with_faults
from datashop_assets_tests.cluster.place import address, say
from datashop_assets_tests.cluster.steps import land, lens_step, over_shards, step, train
from resources.profiles import REPOSITORY


def whole(dagster: Dagster) -> None:
    """Three shards, all steps, nothing disturbed; scores by a run for each shard, at the same time."""
    shards = land(dagster, files=range(3))
    step(dagster, "parse_and_embed_shards", [over_shards(None, shards)])
    step(dagster, "rate_documents", [over_shards("lens", shards)])
    train(dagster)
    step(dagster, "score_documents", [over_shards("lens", [shard]) for shard in shards])
    step(dagster, "set_cutoff", [lens_step()])
    step(dagster, "filter_documents", [over_shards("lens", shards)])
    step(dagster, "cut_release", [lens_step()])


def main(wanted: Sequence[str]) -> int:
    dagster = Dagster(address("dagster-webserver", 3000))
    commit = subprocess.run(("git", "rev-parse", "--short", "HEAD"), cwd=REPOSITORY, capture_output=True, text=True)
    say(f"commit {commit.stdout.strip()}")
    if "whole" in wanted:
        whole(dagster)
    failed = [] if "faults" not in wanted else with_faults(dagster)
    if "compare" in wanted:
        compare(len(dagster.shards()))
    for name in failed:
        say(f"NOT as it should be: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["whole", "faults", "compare"]))
