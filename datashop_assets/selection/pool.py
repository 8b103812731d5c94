"""What is chosen from, what a choice looks like, and the protocol of those that choose.

What belongs here: the pool, rankings, the codes of what is left out, and what every strategy asks of a pool (its
scores, its draws, its vectors' directions). What does not: any strategy (a module each), cutting a ranking to a budget
(`budget.py`), reading a pool from tables.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.curation.neighbours import has_direction
from datashop_assets.lineage import stable_fraction

if TYPE_CHECKING:
    from datashop_assets.selection.budget import Budget

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Floats = NDArray[np.float64]
Measured = TypeVar("Measured")

COLUMNS = {
    "shard": pl.String,
    "id": pl.String,
    "text_sha": pl.String,
    "source": pl.String,
    "chars": pl.Int64,
    "tokens": pl.Int64,
    "score": pl.Float64,
    "curated_score": pl.Float64,
    "rareness": pl.Float64,
}
MAY_BE_NULL = ("source", "score", "curated_score", "rareness")


class SelectionError(ValueError):
    """A choice that cannot be made; the message says why and what to change."""


class LeftOut(StrEnum):
    """Why a row is not in a ranking. Strategies that read texts add codes of their own.

    UNSCORED: the score that the strategy goes by is null or not a finite number. NO_DIRECTION: its vector is zero or
    not finite. BELOW_THRESHOLD: its score is under the strategy's threshold. TOO_SIMILAR: too near to something that
    is kept. COPY: a twin of it, the same text or nearly, stands for it. OVER_BUDGET: the budget was spent before it.
    """

    UNSCORED = "unscored"
    NO_DIRECTION = "no_direction"
    BELOW_THRESHOLD = "below_threshold"
    TOO_SIMILAR = "too_similar"
    COPY = "copy"
    OVER_BUDGET = "over_budget"


@dataclass(frozen=True, eq=False)
class Pool:
    """The documents to choose from; row i of everything is one document.

    `rows` has the COLUMNS (others are ignored): `score` is the rater's, `curated_score` what it is corrected to,
    `rareness` the mean cosine distance to the nearest texts; these and `source` may be null. `vectors` is of shape
    [rows, dimension]; unit length is not guaranteed, and a line may be zero or not finite. `texts` gives the texts of
    the rows asked for, in that order, and is called only by strategies that read them. `low` and `high` are the ends
    of the lens's scale.

    Raises SelectionError for missing or mistyped columns, nulls where none may be, a document that stands twice (by
    shard and id), and vectors of another number of rows.
    """

    rows: pl.DataFrame
    vectors: Vectors
    texts: Callable[[Sequence[int]], list[str]]
    low: int
    high: int
    _measured: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for column, kind in COLUMNS.items():
            if self.rows.schema.get(column) != kind:
                raise SelectionError(f"the pool's column {column} is {self.rows.schema.get(column)}, not {kind}")
            nulls = self.rows[column].null_count()
            if nulls and column not in MAY_BE_NULL:
                raise SelectionError(f"{nulls} rows of the pool have no {column}; every document needs one")
        twice = self.rows.filter(self.rows.select("shard", "id").is_duplicated())
        if len(twice):
            raise SelectionError(f"the pool holds documents twice, e.g. {twice.row(0)[:2]}; give each (shard, id) once")
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.rows):
            raise SelectionError(f"vectors of shape {self.vectors.shape} for {len(self.rows)} rows; one line a row")

    def __len__(self) -> int:
        return len(self.rows)

    def once(self, key: Hashable, measure: Callable[[], Measured]) -> Measured:
        """What `measure` gives, which is called once for a key: ranking the same pool for other seeds and budgets pays
        for a search or a model's reading once. The key names what is measured and every setting that it depends on
        (a strategy, being frozen, can stand for its own); whoever asks must not change what it gets.
        """
        if key not in self._measured:
            self._measured[key] = measure()
        found: Measured = self._measured[key]
        return found

    def draws(self, seed: int) -> Floats:
        """For each row a uniform number in [0, 1), which depends on the seed and the document alone.

        Where rows are drawn, or ties broken, it is by this number, so that the order of the rows decides nothing.
        """
        return self.once(("draws", seed), lambda: self._draws(seed))

    def _draws(self, seed: int) -> Floats:
        keys = self.rows.select(pl.concat_str("text_sha", "shard", "id", separator=":")).to_series()
        return np.array([stable_fraction(f"selection:{seed}:{key}") for key in keys], np.float64)

    def quality(self, *, curated: bool) -> Floats:
        """The curated score of each row, or the rater's; nan where it is null or not a finite number.

        Raises SelectionError where rows stand in the pool and none has this score.
        """
        column = "curated_score" if curated else "score"
        values = self.rows[column].cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        if len(values) and np.isnan(values).all():
            raise SelectionError(
                f"none of the pool's {len(values)} documents has a {column}; "
                + ("curate the ratings, or select by the rater's score" if curated else "rate documents first")
            )
        return values

    def directed(self) -> Rows:
        """The rows whose vectors have a direction, in an order that depends on the documents alone.

        Sums of floating-point numbers depend on their order in the last digit: with this order the same documents
        have the same neighbours and clusters however the pool's rows stand.
        """
        return self.once("directed", self._directed)

    def _directed(self) -> Rows:
        ordered = self.rows.select("text_sha", "shard", "id").with_row_index("row")
        order = ordered.sort("text_sha", "shard", "id")["row"].to_numpy().astype(np.int64)
        return np.asarray(order[has_direction(self.vectors)[order]])

    def with_direction(self) -> Rows:
        """The rows of `directed`, for strategies that cannot do without vectors.

        Raises SelectionError where rows stand in the pool and none has a vector with a direction.
        """
        if len(self) and not len(self.directed()):
            raise SelectionError(f"none of the pool's {len(self)} documents has a usable vector; make embeddings first")
        return self.directed()


@dataclass(frozen=True, eq=False)
class Ranking:
    """Row numbers, best first, each at most once, and for each why it stands there.

    `reasons` are short codes and `values` what the row was ranked by, nan where the strategy has none. Rows that the
    strategy never takes are not in `order` but counted by reason in `left_out`: the two together are the pool. `notes`
    are sentences for the person who asked. `whole`: this is the whole pool by intent, and no budget cuts it.
    """

    order: Rows
    reasons: list[str]
    values: Floats
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()
    whole: bool = False

    def __post_init__(self) -> None:
        if not len(self.order) == len(self.reasons) == len(self.values):
            sizes = f"{len(self.order)} rows, {len(self.reasons)} reasons, {len(self.values)} values"
            raise SelectionError(f"a ranking needs a reason and a value for each row, not {sizes}")
        if len(np.unique(self.order)) != len(self.order):
            raise SelectionError("a ranking names a row twice")

    def __len__(self) -> int:
        return len(self.order)


class Strategy(Protocol):
    """Orders a pool's rows by one idea of what is worth training on.

    Deterministic for a seed, and independent of the order of the pool's rows. The budget is there for those that look
    no further than it reaches; whoever asks cuts the ranking to it (`budget.cut`).
    """

    @property
    def name(self) -> str: ...

    def rank(self, pool: Pool, seed: int, budget: "Budget") -> Ranking: ...


def best_first(rows: Rows, *keys: Floats) -> Rows:
    """These rows by the keys' values at them, the first key first, greatest first."""
    return rows[np.lexsort([-key[rows] for key in reversed(keys)])]


def counted(left_out: Mapping[LeftOut, int]) -> dict[str, int]:
    """What was left out, by reason, without the reasons that count nothing."""
    return {reason.value: int(count) for reason, count in left_out.items() if count}
