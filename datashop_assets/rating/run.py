"""One run's rating: several raters, each with one budget for all of the run's cells.

What belongs here: who has rated what in this run, and what is left when a budget ends. What does not: rating the cells
of one rater (`produce.py`), the asset.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import CellsFailedError, Outcome
from datashop_assets.rating.annotate import Log, Progress
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.produce import Assignment, is_partial, rate_cells
from datashop_assets.rating.usage import BudgetReachedError, Spending
from datashop_assets.records import Cell
from datashop_assets.seams import Lake


class RatingRun:
    """What one run has done so far: `outcomes` by cell and by the name of the rater, `reached` budgets."""

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

    def rate(
        self,
        assignment: Assignment,
        cells: Sequence[Cell],
        spending: Spending,
        describe: Callable[[pl.DataFrame, Lens], Mapping[str, Any]],
    ) -> None:
        """Rate the cells by one rater, as far as the budget goes; a budget's end is kept in `reached`, not raised, and
        cells that could not be tried in `failed`.

        The first `spending` under a rater's name is the one that counts for the whole run. Raises what `rate_cells`
        raises.
        """
        name = spending.rater

        def facts(rows: pl.DataFrame) -> Mapping[str, Any]:
            return describe(rows, assignment.lens)

        purse = self.spendings.setdefault(name, spending)
        for cell in cells:
            self._awaited.setdefault(cell, set()).add(name)
        try:
            for outcome in rate_cells(self.lake, assignment, cells, self.staging, facts, self.log, self.lineage, purse):
                self.outcomes.setdefault(outcome.cell, {})[name] = outcome
        except BudgetReachedError as error:
            self.log(str(error))
            self.reached.append(error)
        except CellsFailedError as error:
            self.failed |= error.failures

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
