"""Rating the cells of one lens: sample, judge what was not judged before, commit cell by cell.

What belongs here: the order of the steps, and how a run ends at its budget. What does not: each step (`sampling.py`,
`reading.py`, `annotate.py`), the asset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, Target, have, refresh
from datashop_assets.embedding.inputs import ready_cells, versions
from datashop_assets.lineage import annotations_version, base_version, content_id, stale_cells, supplemented
from datashop_assets.rating.annotate import Annotated, annotate, paid_for
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.population import Population
from datashop_assets.rating.quality import PARTIAL, annotations_target, failed_shards
from datashop_assets.rating.reading import identities, read_documents
from datashop_assets.rating.sampling import sample
from datashop_assets.rating.usage import BudgetReachedError, Spending
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.seams import Lake, Progress, Rater

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Assignment:
    """Who rates how much: a rater, a lens, and a sample of `size` documents a shard.

    With `retry_failed_before`, also what failed before that moment in cells that are done is rated again. With
    `population`, the sample is one of the documents that this other lens's filter keeps.
    """

    lens: Lens
    rater: Rater
    size: int
    seed: int
    retry_failed_before: datetime | None = None
    population: str | None = None


def rate_cells(
    lake: Lake,
    assignment: Assignment,
    cells: Sequence[Cell],
    staging: Callable[..., Progress],
    describe: Callable[[pl.DataFrame], Mapping[str, Any]],
    log: Callable[[str], Any],
    lineage: Mapping[str, Any],
    spending: Spending | None = None,
) -> Iterator[Outcome]:
    """Rate the cells that are not at their wanted version, one commit each. `describe` makes a cell's facts of its
    rows; what the rating used is added to them.

    `staging(*names)` gives the progress of a cell; it is cleared once the cell is committed. Where the budget of
    `spending` is reached, the cell under way is committed with what was rated, at a version that keeps it stale, the
    later ones are left, and BudgetReachedError ends the iteration. Cells without documents do not hold up the others:
    CellsFailedError names them at the end. Raises what the rater raises where it can judge nothing at all.
    """
    lens, rater = assignment.lens, assignment.rater
    spending = spending or Spending(rater.id)
    target = annotations_target(lens.name, rater.id)
    ready, missing = ready_cells(lake, Target(DOCUMENTS), cells, "documents")
    population = Population(lake, assignment.population)
    ready, outside = population.ready(ready)
    missing |= outside
    documents = versions(lake, Target(DOCUMENTS), ready, "documents")
    inside = population.versions(ready)
    snapshot = lake.version(DOCUMENTS)
    wanted = {
        cell: annotations_version(version, lens.version, rater.id, assignment.size, assignment.seed, inside.get(cell))
        for cell, version in documents.items()
    }

    staged_of: dict[Cell, Progress] = {}

    def versions_now() -> dict[Cell, str | None]:
        return {cell: version for cell, (version, _) in have(lake, target, list(cells)).items()}

    before = assignment.retry_failed_before
    stood_at = versions_now() if before else {}
    failures = failed_shards(lake, lens, rater.id, before) if before else {}
    again = {cell for cell in wanted if cell.shard in failures and base_version(stood_at.get(cell)) == wanted[cell]}
    # Where a budget ends such a run, the next one begins with what was tried least lately.
    wanted = dict(sorted(wanted.items(), key=lambda item: failures[item[0].shard] if item[0] in again else NEVER))

    def stopped() -> BudgetReachedError:
        return BudgetReachedError(_stopped(lens, spending, len(stale_cells(wanted, versions_now()))))

    def produce(cell: Cell) -> Produced:
        every = identities(lake, cell.shard, snapshot)
        sampled = sample(population.of(cell, every), assignment.size, assignment.seed)

        def existing() -> pl.LazyFrame:
            return lake.scan(target.table, {"shard": [cell.shard], "rater": [rater.id]})

        def read(rows: pl.DataFrame) -> Iterator[Document]:
            return read_documents(lake, cell.shard, snapshot, rows)

        had = _judged(existing(), lens) if cell in again else None
        staged = staged_of[cell] = staging("annotations", lens.name, lens.version, rater.id, cell.shard)
        done = annotate(sampled, read, lens, rater, existing, staged, spending, log)
        if done.left and staged.scan() is None:
            raise stopped()  # nothing is new here
        rows = pl.concat([done.rows, _kept(paid_for(existing, staged), done.rows, every)])
        version = None
        if had is not None:  # was whole before and is whole now, whatever the budget left untried
            version = _supplemented_version(stood_at[cell] or wanted[cell], had, _judged(done.rows.lazy(), lens))
        elif done.left:
            version = _partial_version(wanted[cell], done.rows)
        return Produced(rows, {**describe(done.rows), **_usage_facts(done, spending)}, version)

    for outcome in refresh(lake, target, wanted, produce, lineage, batch_cells=1, missing=missing, again=again):
        if not outcome.skipped:
            staged_of.pop(outcome.cell).clear()  # the same object: it forgets what it has seen, and nothing else
        yield outcome
        if outcome.facts.get("left_to_rate"):
            raise stopped()


def is_partial(version: str | None) -> bool:
    """Whether a cell of the annotations table was committed before all of its sample was rated."""
    return version is not None and version.startswith(PARTIAL)


def _partial_version(wanted: str, rows: pl.DataFrame) -> str:
    """Another one for other rows, because it is also the identity of these labels for whoever trains on them."""
    return PARTIAL + content_id("partial", wanted, rows.height, str(rows["rated_at"].max()))


def _judged(rows: pl.LazyFrame, lens: Lens) -> pl.DataFrame:
    """The documents with a judgement through the lens as it is now, and when each was judged."""
    judged = rows.filter(pl.col("lens_version") == lens.version, pl.col("reason").is_null())
    return judged.select("id", "rated_at").collect()


def _supplemented_version(stood_at: str, had: pl.DataFrame, has: pl.DataFrame) -> str:
    """Another one where failures became judgements, because whoever trains has more labels then; else as it was.

    Compared with what the table had, for an attempt that broke off may have made them.
    """
    new = has.join(had, on="id", how="anti")
    return stood_at if new.is_empty() else supplemented(stood_at, has.height, str(new["rated_at"].max()))


def _usage_facts(done: Annotated, spending: Spending) -> dict[str, Any]:
    facts = {**done.used.facts(done.seconds), **spending.left(), "left_to_rate": done.left}
    if done.left:
        facts["stopped_by_budget"] = str(spending.reached)
        if done.used.documents:
            facts["seconds_left"] = round(done.left * done.seconds / done.used.documents, 1)
    return facts


def _stopped(lens: Lens, spending: Spending, stale: int) -> str:
    return (
        f"{lens.name}: the run's budget for rater {spending.rater} is used up at its bound on {spending.reached} "
        f"({spending}). What was rated is committed and can be trained on; {stale} of the run's cells are not wholly "
        "rated. To go on, run the same partitions again, which has the budget anew and asks nothing twice (with "
        "`retry_failed` it begins with the failures that were tried least lately), or give "
        f"more: max_{spending.reached} in the run's config, or `budget` of the rater in the project file."
    )


def _kept(paid: pl.LazyFrame, rows: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """Judgements that were paid for and are not in today's sample: of a larger one, or through an earlier lens version.

    They stay while the document's text does, so that going back to that sample or lens costs nothing. Training looks at
    the present lens version only.
    """
    return (
        paid.filter(pl.col("reason").is_null())
        .join(rows.lazy().select("id", "lens_version"), on=["id", "lens_version"], how="anti")
        .join(documents.lazy().select("id", "text_sha"), on=["id", "text_sha"], how="semi")
        .unique(["id", "lens_version"], keep="any")
        .collect()
    )
