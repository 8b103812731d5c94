"""One run's rating: several raters, each with one budget for all of the run's cells.

What belongs here: who has rated what in this run, what was spent on it in all of its attempts, and what is left when a
budget ends. What does not: rating the cells of one rater (`produce.py`), the asset.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from datashop_assets.cellwork import CellsFailedError, Outcome
from datashop_assets.project import Price, RatingBudget
from datashop_assets.rating.annotate import Log
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.produce import Assignment, is_partial, rate_cells
from datashop_assets.rating.usage import BudgetReachedError, Spending, Usage
from datashop_assets.records import Cell
from datashop_assets.seams import Lake, Progress


class RatingRun:
    """What one run has done so far: `outcomes` by cell and by the name of the rater, `reached` budgets.

    `lineage` names the run (`run_id`) and the asset. What they spent on a rater is kept in staging under these names,
    so that a second attempt, in another process, begins with what the first one left of the budget.
    """

    def __init__(self, lake: Lake, staging: Callable[..., Progress], lineage: Mapping[str, Any], log: Log) -> None:
        self.lake = lake
        self.staging = staging
        self.lineage = lineage
        self.log = log
        self.outcomes: dict[Cell, dict[str, Outcome]] = {}
        self.spendings: dict[str, Spending] = {}
        self.reached: list[BudgetReachedError] = []
        self.failed: dict[Cell, Exception] = {}
        self._awaited: dict[Cell, set[str]] = {}
        self._kept: dict[str, Progress] = {}

    def rate(
        self,
        assignment: Assignment,
        cells: Sequence[Cell],
        spending: Spending,
        describe: Callable[[pl.DataFrame, Lens], Mapping[str, Any]],
    ) -> None:
        """Rate the cells by one rater, as far as the budget goes; a budget's end is kept in `reached`, not raised, and
        cells that could not be tried in `failed`. Raises what `rate_cells` raises."""
        name = spending.rater

        def facts(rows: pl.DataFrame) -> Mapping[str, Any]:
            return describe(rows, assignment.lens)

        for cell in cells:
            self._awaited.setdefault(cell, set()).add(name)
        try:
            for outcome in rate_cells(
                self.lake, assignment, cells, self.staging, facts, self.log, self.lineage, spending
            ):
                self.outcomes.setdefault(outcome.cell, {})[name] = outcome
        except BudgetReachedError as error:
            self.log(str(error))
            self.reached.append(error)
        except CellsFailedError as error:
            self.failed |= error.failures

    def spending(self, name: str, budget: RatingBudget, price: Price) -> Spending:
        """The rater's one spending in this run, of all its cells and attempts; the first budget and price count."""
        if name not in self.spendings:
            kept = self.staging("spent", f"{self.lineage['run_id']}-{self.lineage['asset']}-{name}")
            spent = kept.scan()
            before = Usage(**spent.collect().row(-1, named=True)) if spent is not None else None

            def remember(used: Usage) -> None:
                if any(bound is not None for bound in budget.model_dump().values()):
                    kept.replace(pl.DataFrame([asdict(used)]))

            self._kept[name] = kept
            self.spendings[name] = Spending(name, budget, price, before, remember)
        return self.spendings[name]

    def forget_spendings(self) -> None:
        """Once no other attempt follows."""
        for kept in self._kept.values():
            kept.clear()

    def is_whole(self, cell: Cell) -> bool:
        """Whether every rater that was asked has rated the cell's whole sample."""
        outcomes = self.outcomes.get(cell, {})
        return all(name in outcomes and not is_partial(outcomes[name].version) for name in self._awaited[cell])

    def raise_what_was_held_back(self) -> None:
        """Raises BudgetReachedError with the words of all that were reached, or CellsFailedError naming what failed."""
        failed = [CellsFailedError(self.failed)] if self.failed else []
        if self.reached:
            raise BudgetReachedError("\n".join(map(str, (*self.reached, *failed))))
        if failed:
            raise failed[0]

    def spent(self) -> dict[str, str | int]:
        """What the run spent on each rater, and how many of its cells are not wholly rated, for people to read."""
        spent = {f"{name}: spent": str(spending) for name, spending in self.spendings.items()}
        return {**spent, "cells not wholly rated": len(self.not_whole())}

    def not_whole(self) -> list[Cell]:
        """The cells that some rater has not rated, or not wholly."""
        return [cell for cell in self._awaited if not self.is_whole(cell)]
