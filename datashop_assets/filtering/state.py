"""The cut-off in force, and the versions that rankings and the cells of `filtered_documents` should have.

What belongs here: reading and appending `cutoffs`, wanted versions. What does not: deciding a cut-off (`decide.py`),
applying it (`filter.py`).

A filtered cell's version is made of that of its scores and of all else that its filter reads: the scores of the names
in its condition, the population's filtered cell, what deduplication says of the shard. The population has to be up to
date where it is read, so that nothing is ever kept by a mixture of the population's cut-offs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import Target, have
from datashop_assets.corpus.registry import active_shards, shards_by_key
from datashop_assets.deduplication.inputs import answered, judging_tables
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.estimates import cut_among_estimates
from datashop_assets.filtering.exact_decisions import exactly_filtered
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.lineage import content_id, filtered_version
from datashop_assets.project import Project
from datashop_assets.records import CUTOFFS, FILTERED, Cell
from datashop_assets.scoring.sources import score_source
from datashop_assets.scoring.state import scores_target
from datashop_assets.seams import Lake

Versions = dict[Cell, str]
Missing = dict[Cell, Exception]


def current_cutoff(lake: Lake, lens: str) -> CutoffRecord | None:
    """The lens's newest cut-off record."""
    rows = lake.scan(CUTOFFS).filter(pl.col("lens") == lens).sort("created_at").tail(1).collect()
    return CutoffRecord.from_row(rows.row(0, named=True)) if rows.height else None


def require_cutoff(lake: Lake, lens: str) -> CutoffRecord:
    """Raises LookupError saying which asset makes one."""
    cutoff = current_cutoff(lake, lens)
    if cutoff is None:
        raise LookupError(f"lens {lens!r} has no cut-off yet; materialize `cutoff` for it first")
    return cutoff


def record_cutoff(lake: Lake, cutoff: CutoffRecord, lineage: Mapping[str, Any]) -> None:
    lake.commit(CUTOFFS, pl.DataFrame([cutoff.to_row()], schema=CUTOFFS.schema), None, lineage)


def releasable_shards(lake: Lake, project: Project) -> list[str]:
    """The shards whose documents can be released: active ones that do not serve annotation alone."""
    return [shard.shard for shard in active_shards(lake, project) if not shard.pool_only]


def ranking_versions(lake: Lake, ranking: Ranking, project: Project, cells: Sequence[Cell]) -> tuple[Versions, Missing]:
    """The version of what each cell's documents are ranked by, as it is now; and for the cells where something of it
    is not there, the error that says what to materialize."""
    missing: Missing = {}
    parts: dict[Cell, dict[str, str]] = {cell: {} for cell in cells}
    for part, made, why in _parts(lake, ranking, project, cells):
        for cell in cells:
            if cell in made:
                parts[cell][part] = made[cell]
            else:
                missing.setdefault(cell, MissingUpstreamError(why))
    ready = {cell: parts[cell] for cell in cells if cell not in missing}
    # A filter that reads nothing but its own scores has their version, as it had before there were other filters.
    return {
        cell: found["scores"] if len(found) == 1 else content_id("ranking", found) for cell, found in ready.items()
    }, missing


def _parts(
    lake: Lake, ranking: Ranking, project: Project, cells: Sequence[Cell]
) -> Iterator[tuple[str, Versions, str]]:
    """Each thing that the filter reads: its name, its version in the cells that have it, and what makes it."""

    def stored(target: Target) -> Versions:
        return {cell: version for cell, (version, _) in have(lake, target, cells).items() if version is not None}

    yield "scores", stored(scores_target(ranking.lens, ranking.classifier)), "materialize `scores` first"
    for name in ranking.rule.condition.names if ranking.rule.condition else ():
        if name != ranking.lens:
            part = f"condition on {name}"
            try:
                target = score_source(lake, project, name).target
            except LookupError as error:  # nothing is in force under the name: no cell has it
                yield part, {}, str(error)
            else:
                yield part, stored(target), f"materialize the scores of {name!r} first"
    if population := ranking.rule.population:
        why = f"materialize `cutoff`, then `filtered_documents` of lens {population!r} first, the population"
        yield "population", population_versions(lake, population, project, cells), why
    if judging_tables(project.deduplication):
        answers, lacking = answered(lake, project.deduplication, [cell.shard for cell in cells])
        made = {cell: answers[cell.shard] for cell in cells if cell.shard in answers}
        yield "rejections", made, f"materialize {', '.join(f'`{table}`' for table in sorted(lacking))} first"


def population_versions(lake: Lake, population: str, project: Project, cells: Sequence[Cell]) -> Versions:
    """The population's filtered version of each cell that is filtered by its cut-off in force, which has to be one of
    the rule that the project asks for today: so that following populations ends, as the project's do."""
    cutoff = current_cutoff(lake, population)
    asked = project.lenses.get(population)
    if cutoff is None or asked is None or cutoff.policy != Rule.of(asked).text:
        return {}
    theirs = {Cell(cell.shard, population): cell for cell in cells}
    wanted, _ = filtered_versions(lake, cutoff, project, list(theirs))
    known = have(lake, Target(FILTERED.of(population)), list(theirs))
    return {theirs[cell]: version for cell, version in wanted.items() if known.get(cell, (None, 0))[0] == version}


def filtered_versions(
    lake: Lake, cutoff: CutoffRecord, project: Project, cells: Sequence[Cell]
) -> tuple[Versions, Missing]:
    """The filtered version of each cell, from its inputs as they are now; errors as of `ranking_versions`, and for the
    cells whose scores are estimates that this cut-off reaches among."""
    shards = shards_by_key(lake)
    made, missing = ranking_versions(lake, cutoff.ranking, project, cells)
    among = cut_among_estimates(lake, cutoff, list(made))
    made, missing = {cell: version for cell, version in made.items() if cell not in among}, missing | among
    wanted = {
        cell: filtered_version(version, cutoff.cutoff, shards[cell.shard].pool_only) for cell, version in made.items()
    }
    return exactly_filtered(lake, cutoff, project, wanted) if wanted else wanted, missing


def wanted_filtered(lake: Lake, cutoff: CutoffRecord, project: Project, cells: Sequence[Cell]) -> Versions:
    """The filtered version of every cell. Raises MissingUpstreamError saying what to materialize."""
    made, missing = filtered_versions(lake, cutoff, project, cells)
    if missing:
        raise MissingUpstreamError(why_waiting(missing))
    return made


def why_waiting(missing: Mapping[Cell, Exception]) -> str:
    """What to materialize, for which shards."""
    shards = sorted(cell.shard for cell in missing)
    shown = ", ".join(shards[:5]) + (f" and {len(shards) - 5} more" if len(shards) > 5 else "")
    return "; ".join(sorted({str(error) for error in missing.values()})) + f": it has nothing for {shown}"
