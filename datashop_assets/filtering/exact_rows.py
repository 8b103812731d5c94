"""A shard's rows as a filter reads them, in which exact scores take the place of those of a reduced precision.

What belongs here: putting them there, where a condition is in doubt without them, what they changed. What does not:
which rows need them (`exact_decisions.py`), making them (`scoring/exact_scores.py`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.head import int_scores
from datashop_assets.condition_ranges import in_doubt
from datashop_assets.conditions import Condition, Operand
from datashop_assets.filtering.candidates import ID
from datashop_assets.scoring.exact_scores import ExactScorer

Rows = NDArray[np.int64]


class ExactRows:
    """A shard's rows as they were read, in which exact scores take the place of others. With `make` those that are
    asked for and not kept yet are made; without, `lacking` says how many that are, and the rows stay as they are."""

    def __init__(
        self, shard: str, frame: pl.DataFrame, scorers: Mapping[str, ExactScorer], *, make: bool = True
    ) -> None:
        self.shard, self.frame, self.scorers, self.make = shard, frame, scorers, make
        self._lacks = {name: np.zeros(frame.height, bool) for name in scorers}
        self.exact = {name: np.zeros(frame.height, bool) for name in scorers}
        self.moved = {name: pl.Series([], dtype=pl.Float64) for name in scorers}
        self.made = 0

    @property
    def lacking(self) -> int:
        """Scores that were asked for and are not kept yet."""
        return sum(int(lacks.sum()) for lacks in self._lacks.values())

    def doubt(self, condition: Condition, names: list[str]) -> NDArray[np.bool_]:
        """The rows for which the condition may be true and may be false, where of `names` those scores that are not
        exact yet may be off by their bound."""
        ends: dict[str, pl.Series] = {}
        for name in names:
            scorer, score = self.scorers[name], self.frame[name].cast(pl.Float64).to_numpy()
            error = np.where(self.exact[name], 0.0, scorer.bound.error)
            for side, end in (("low", score - error), ("high", score + error)):
                # No score lies between an end and the float32 nearest to it.
                single = end.astype(np.float32)
                rounded = int_scores(np.nan_to_num(single), scorer.means.lenses[name])
                ends[f"{Operand(name).column} {side}"] = pl.Series(single)
                ends[f"{Operand(name, rounded=True).column} {side}"] = pl.Series(rounded, dtype=pl.Float32)

        def range_of(operand: Operand) -> tuple[pl.Expr, pl.Expr]:
            if operand.name not in names:
                return pl.col(operand.column), pl.col(operand.column)
            return pl.col(f"{operand.column} low"), pl.col(f"{operand.column} high")

        rows = self.frame.with_columns(**ends).select(doubt=in_doubt(condition, range_of))
        return rows["doubt"].fill_null(False).to_numpy()

    def replace(self, name: str, rows: Rows) -> int:
        """Put the exact scores of a name into these rows; how many rows that were."""
        rows = rows[~self.exact[name][rows]]
        if not len(rows):
            return 0
        asked = self.frame[rows].select(id=ID, reduced=name)
        if self.make:
            found, made = self.scorers[name].of_shard(self.shard, asked)
        else:
            found, made = self.scorers[name].known_of_shard(self.shard, asked), 0
            known = found["score"].is_not_null()
            self._lacks[name][rows[~known.to_numpy()]] = True
            rows, found, asked = rows[known.to_numpy()], found.filter(known), asked.filter(known)
        lens = self.scorers[name].means.lenses[name]
        exact = found["score"].to_numpy()
        columns = {Operand(name): exact, Operand(name, rounded=True): int_scores(exact, lens).astype(np.float32)}
        for operand, values in columns.items():
            whole = self.frame[operand.column].to_numpy().copy()
            whole[rows] = values
            self.frame = self.frame.with_columns(pl.Series(operand.column, whole, pl.Float32))
        self.exact[name][rows] = True
        self.moved[name] = pl.concat([self.moved[name], found["score"].cast(pl.Float64) - asked["reduced"]])
        self.made += made
        return len(rows)

    def facts(self, lens: str) -> dict[str, Any]:
        """Counts over all names; errors of the lens's own scores, and of others by their name."""
        doubtful = np.any(np.stack(list(self.exact.values())), axis=0)
        told: dict[str, Any] = {"near a bound": int(doubtful.sum()), "scored again in float32": self.made}
        for name, scorer in self.scorers.items():
            errors, bound, of = self.moved[name].abs(), scorer.bound.error, "" if name == lens else f" of {name}"
            beyond, largest = int((errors > bound).sum()), float(errors.max() or 0.0)  # type: ignore[arg-type]
            told |= {f"largest error of those{of}": largest, f"error bound{of}": bound}
            told |= {f"errors above the bound{of}": beyond}
            if beyond:
                scorer.means.log(
                    f"WARNING: {self.shard}: float32 moved {beyond} of {len(errors)} scores of {name} by up to "
                    f"{largest:.3g}, more than the bound of {bound:.3g} that was measured on a sample: this shard is "
                    "unlike it, and documents beyond the bound may be decided by their reduced score. Set "
                    "`encoder.precision` to float32 if that matters."
                )
        return told
