"""What rating uses: documents, requests, tokens, money and time, and the budget that bounds a run.

What belongs here: counting, the bounds, the line that people read while a rater works. What does not: rating
(`annotate.py`), the settings of prices and budgets (`project.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from datashop_assets.project import Price, RatingBudget
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.seams import PermanentError

PER_MILLION = 1e6


class BudgetReachedError(PermanentError):
    """A run that stopped asking at a bound of its budget; what was rated is kept, and the message says how to go on."""


@dataclass(frozen=True)
class Usage:
    """What judgements took. `cached` of the documents were answered without asking the model anything; `retries` are
    the requests beyond one for each part that was asked about. `cost` is in the currency of the price."""

    documents: int = 0
    failed: int = 0
    cached: int = 0
    requests: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, judgement: Judgement, price: Price) -> "Usage":
        """What one judgement took. Its tokens are those that the model was sent and wrote, none for cached answers."""
        asked_about = max(0, judgement.chunks - judgement.cached)
        return cls(
            documents=1,
            failed=int(judgement.reason is not None),
            cached=int(judgement.cached > 0 and asked_about == 0 and judgement.requests == 0),
            requests=judgement.requests,
            retries=max(0, judgement.requests - asked_about),
            input_tokens=judgement.input_tokens,
            output_tokens=judgement.output_tokens,
            cost=(judgement.input_tokens * price.input + judgement.output_tokens * price.output) / PER_MILLION,
        )

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.documents + other.documents,
            self.failed + other.failed,
            self.cached + other.cached,
            self.requests + other.requests,
            self.retries + other.retries,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
        )

    @property
    def asked(self) -> int:
        """Documents about which the model was asked."""
        return self.documents - self.cached

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def facts(self, seconds: float) -> dict[str, Any]:
        """The numbers by name, for people to read and Dagster to plot; `seconds` is the time that it all took."""
        facts: dict[str, Any] = {
            "rated_now": self.documents,
            "requests": self.requests,
            "retries": self.retries,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": round(self.cost, 6),
            "seconds": round(seconds, 1),
        }
        if self.documents:
            facts["cached_share"] = round(self.cached / self.documents, 4)
            facts["documents_per_s"] = round(self.documents / max(seconds, 1e-3), 3)
        return facts


class Spending:
    """What one run spends on one rater, in all cells together, and whether its budget allows to go on.

    `documents` bounds those about which the model is asked, and is never exceeded. `tokens` and `cost` are known only
    when an answer is there: documents in flight at the bound are finished, so both can end above it by as much.
    """

    def __init__(self, rater: str, budget: RatingBudget | None = None, price: Price | None = None) -> None:
        self.rater = rater
        self.budget = budget or RatingBudget()
        self.price = price or Price()
        self.used = Usage()
        self._handed = 0

    @property
    def in_flight(self) -> int:
        """Documents that were handed on and are not judged yet."""
        return self._handed - self.used.documents

    @property
    def reached(self) -> str | None:
        """The bound at which asking stops: `documents`, `tokens` or `cost`; None where there is something left."""
        spent = {"documents": self._handed - self.used.cached, "tokens": self.used.tokens, "cost": self.used.cost}
        bounds = self.budget.model_dump()
        return next((name for name, value in spent.items() if bounds[name] is not None and value >= bounds[name]), None)

    def within(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents for as long as the budget lasts; none is read that is not handed on."""
        if self.reached:
            return
        for document in documents:
            self._handed += 1
            yield document
            if self.reached:
                return

    def book(self, judgement: Judgement) -> Usage:
        """Count a judgement of a document that `within` handed on; returns what it took."""
        took = Usage.of(judgement, self.price)
        self.used += took
        return took

    def __str__(self) -> str:
        """What is spent of every bound, and of what has none."""
        spent = (("documents", self.used.asked), ("tokens", self.used.tokens), ("cost", self.used.cost))
        bounds = self.budget.model_dump()
        shown = [
            f"{value:,.10g} of {bounds[name]:,.10g} {name}" if bounds[name] is not None else f"{value:,.10g} {name}"
            for name, value in spent
            if bounds[name] is not None or value
        ]
        return ", ".join(shown) or "nothing"

    def left(self) -> dict[str, float]:
        """What every bound leaves, by its name; never below zero."""
        spent = {"documents": self.used.asked, "tokens": self.used.tokens, "cost": self.used.cost}
        bounds = self.budget.model_dump()
        return {f"{name}_left": max(0, bounds[name] - spent[name]) for name in spent if bounds[name] is not None}


def progress_line(used: Usage, todo: int, seconds: float, spending: Spending) -> str:
    """How far the rating of a cell is: `used` of this cell for its `todo` documents, `seconds` since it began."""
    pace = used.documents / seconds if seconds > 0 else 0.0
    parts = [f"{used.documents:,} of {todo:,} rated", f"{pace:.2f} documents/s", f"{used.tokens:,} tokens"]
    if used.cached:
        parts.append(f"{used.cached / used.documents:.0%} from the cache")
    if used.retries:
        parts.append(f"{used.retries} retries")
    if used.failed:
        parts.append(f"{used.failed} failed")
    parts.append(f"run so far: {spending}")
    if pace and used.documents < todo:
        parts.append(f"{duration((todo - used.documents) / pace)} left")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """In two units at most: `40 s`, `3 min 20 s`, `5 h 12 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
