"""The filtered cells of a lens: brought to the version that the cut-off in force asks for.

What belongs here: that loop. What does not: what each document's verdict is (`filter.py`), reading candidates
(`candidates.py`), versions (`state.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datashop_assets.cellwork import Outcome, Produced, Target, have, refresh
from datashop_assets.corpus.registry import shards_by_key
from datashop_assets.filtering.candidates import Candidates
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.exact_decisions import exact_decisions
from datashop_assets.filtering.filter import apply, reason_counts
from datashop_assets.filtering.state import filtered_versions
from datashop_assets.lineage import stale_cells
from datashop_assets.one_look import OneLook
from datashop_assets.project import Project
from datashop_assets.records import FILTERED, Cell
from datashop_assets.scoring.exact_scores import Exactness
from datashop_assets.scoring.score import ScoringError
from datashop_assets.scoring.state import scores_target
from datashop_assets.seams import Lake


def filter_cells(
    lake: Lake,
    cutoff: CutoffRecord,
    project: Project,
    cells: Sequence[Cell],
    lineage: Mapping[str, Any],
    exactness: Exactness | None = None,
) -> Iterator[Outcome]:
    """Filter the cells that are not at their wanted version. Raises CellsFailedError as `cellwork.refresh` does, naming
    the cells where something that the filter reads is missing.

    With `exactness`, scores of a reduced precision that leave a verdict in doubt are made again in float32; ValueError
    where the project needs it and it is not given.
    """
    exact = exact_decisions(lake, cutoff.ranking, project, exactness, lineage)
    look = OneLook(lake)
    shards, target = shards_by_key(look), Target(FILTERED.of(cutoff.lens))
    wanted, missing = filtered_versions(look, cutoff, project, cells)
    there = {cell: version for cell, (version, _) in have(look, target, list(wanted)).items()}
    scored = have(look, scores_target(cutoff.lens, cutoff.classifier), list(wanted))
    stale = {cell.shard: scored[cell][1] for cell in stale_cells(wanted, there)}
    seen = Candidates(lake, cutoff.ranking, project, stale)

    def produce(cell: Cell) -> Produced:
        pool_only = shards[cell.shard].pool_only
        facts: dict[str, Any] = {}
        if exact is None or pool_only:
            rows = seen.of(cell.shard)
        else:
            rows, facts = exact.filtered(cell.shard, seen.read(cell.shard), cutoff)
        rows = apply(rows, cutoff, pool_only)
        reasons = {reason: count for reason, count in reason_counts(rows).items() if count}
        return Produced(rows, {"kept": int(rows["kept"].sum()), **reasons, **facts})

    return refresh(lake, target, wanted, produce, lineage, tolerate=(ScoringError,), missing=missing)
