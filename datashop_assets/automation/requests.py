"""Work becomes run requests: the partitions, the run key, and the tags by which people and `runs.py` find the runs.

What belongs here: the names of the tags and what is in them. What does not: what work there is (`reconcile.py`), how
much of it is asked for (`runs.py`), who asks (`sensors.py`, `schedules.py`).
"""

from collections.abc import Callable
from functools import cache

import dagster as dg

from datashop_assets.automation.work import Work
from datashop_assets.classifier.registry import promoted
from datashop_assets.filtering.rule import Rule
from datashop_assets.filtering.state import current_cutoff
from datashop_assets.graph import Graph
from datashop_assets.lineage import content_id
from datashop_assets.partitions import range_tags
from datashop_assets.seams import Lake

# Every run that is asked for without a person has these; in the list of runs, `datashop/lens=NAME` finds a lens's.
WORK_TAG = "datashop/work"
JOB_TAG = "datashop/job"
LENS_TAG = "datashop/lens"
ASKED_BY_TAG = "datashop/asked_by"
# Of a lens's scores its classifier; of its cut-off what the project file asks of that, too; of its filtered documents
# the cut-off.
PURPOSE_TAG = "datashop/for"
# Cells that were stale when the run was asked for: what a budget of cells counts.
STALE_TAG = "datashop/stale_cells"
PRIORITY_TAG = "dagster/priority"


def run_request(work: Work, asked_by: str, bucket: str, *, purpose: str = "", priority: int = 0) -> dg.RunRequest:
    """The run that does the work; the same work within a bucket of time has the same run key.

    Dagster compares the keys of one sensor or schedule alone: that two of them do not ask for the same is their own
    affair (`schedules.py`). A run that comes second finds its cells up to date and skips them.
    """
    stretch = work.stretch
    lens = stretch.lens or work.partition_key
    tags = {} if work.partition_key else range_tags(stretch.lens, stretch.first, stretch.last)
    tags |= {WORK_TAG: work.target, JOB_TAG: work.job, ASKED_BY_TAG: asked_by, STALE_TAG: str(work.cells)}
    tags |= {LENS_TAG: lens} if lens else {}
    tags |= {PURPOSE_TAG: purpose} if purpose else {}
    tags |= {PRIORITY_TAG: str(priority)} if priority else {}
    return dg.RunRequest(run_key=f"{work.key}:{bucket}", job_name=work.job, partition_key=work.partition_key, tags=tags)


def purposes(lake: Lake, graph: Graph) -> Callable[[str, str | None], str]:
    """What runs of a job are for, by job and lens, as it is now: a run that failed for another classifier or cut-off
    says nothing of this one, so that a promotion, a changed policy or a new cut-off is followed at once."""

    @cache
    def of_lens(lens: str) -> tuple[str, str]:
        promotion, cutoff = promoted(lake, lens), current_cutoff(lake, lens)
        return promotion.classifier if promotion else "", cutoff.cutoff if cutoff else ""

    def purpose(job: str, lens: str | None) -> str:
        if lens not in graph.score_lenses or job not in ("score_documents", "set_cutoff", "filter_documents"):
            return ""
        classifier, cutoff = of_lens(lens)
        if job == "set_cutoff":
            return f"{classifier}/{content_id(Rule.of(graph.settings(lens)).text)}"
        return f"{classifier}/{cutoff}" if job == "filter_documents" else classifier

    return purpose
