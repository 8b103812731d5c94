"""What rating uses: documents, requests, tokens, money and time, and the budget that bounds a run.

What belongs here: counting, the bounds, the line that people read while a rater works. What does not: rating
(`annotate.py`), the settings of prices and budgets (`project.py`).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from datashop_assets.project import Price, RatingBudget
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.seams import PermanentError

PER_MILLION = 1e6


class BudgetReachedError(PermanentError):
    """A run that stopped asking at a bound of its budget; what was rated is kept, and the message says how to go on."""


@dataclass(frozen=True)
class Usage:
    """What judgements took.

    `cached` of the documents were answered without asking the model anything; `skipped` had nothing to ask about, and
    `failed` were asked about in vain. `requests` are all that were sent: one for each part that was asked about,
    `reasked` ones because an answer could not be read, and `retries` because a request had failed on its way. `cost` is
    in the currency of the price.
    """

    documents: int = 0
    failed: int = 0
    skipped: int = 0
    cached: int = 0
    requests: int = 0
    retries: int = 0
    reasked: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, judgement: Judgement, price: Price) -> "Usage":
        """What one judgement took. Its tokens are those that the model was sent and wrote, none for cached answers."""
        asked_about = max(0, judgement.chunks - judgement.cached)
        return cls(
            documents=1,
            failed=int(judgement.failed),
            skipped=int(judgement.skipped),
            cached=int(judgement.cached > 0 and asked_about == 0 and judgement.requests == 0),
            requests=judgement.requests,
            retries=judgement.retries,
            reasked=max(0, judgement.requests - judgement.retries - asked_about),
            input_tokens=judgement.input_tokens,
            output_tokens=judgement.output_tokens,
            cost=cost_of(judgement.input_tokens, judgement.output_tokens, price),
        )

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def asked(self) -> int:
        """Documents about which the model was asked."""
        return self.documents - self.cached - self.skipped

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def facts(self, seconds: float) -> dict[str, Any]:
        """The numbers by name, for people to read and Dagster to plot; `seconds` is the time that it all took."""
        facts: dict[str, Any] = {
            "rated_now": self.documents,
            "requests": self.requests,
            "retries": self.retries,
            "reasked": self.reasked,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": round(self.cost, 6),
            "seconds": round(seconds, 1),
        }
        if self.documents:
            facts["cached_share"] = round(self.cached / self.documents, 4)
            facts["documents_per_s"] = round(self.documents / max(seconds, 1e-3), 3)
        return facts


def cost_of(input_tokens: int, output_tokens: int, price: Price) -> float:
    return (input_tokens * price.input + output_tokens * price.output) / PER_MILLION


class Spending:
    """What one run spends on one rater, in all cells together, and whether its budget allows to go on.

    `documents` bounds those about which the model is asked, and no attempt exceeds it. `tokens` and `cost` are known
    only when an answer is there: what is in flight at the bound is finished, so both can end above it by as much. A
    rater that asks ahead says so of its Ration, and has as many documents in flight as it asks about at once.

    `before` is what earlier attempts at the same run spent; `remember` is given what was spent in all whenever
    judgements are kept.
    """

    def __init__(
        self,
        rater: str,
        budget: RatingBudget | None = None,
        price: Price | None = None,
        before: Usage | None = None,
        remember: Callable[[Usage], None] = lambda _: None,
    ) -> None:
        self.rater = rater
        self.budget = budget or RatingBudget()
        self.price = price or Price()
        self.used = before or Usage()
        self.bounds: dict[str, float | None] = self.budget.model_dump()
        self._remember = remember
        self._handed = self.used.documents
        # Of answers that came, of judgements that are still to be booked too.
        self._seen = [self.used.input_tokens, self.used.output_tokens]
        self._counting = threading.Lock()

    @property
    def in_flight(self) -> int:
        """Documents that were handed on and are not judged yet."""
        return self._handed - self.used.documents

    @property
    def spent(self) -> Usage:
        """What was used, with the tokens of the answers that came already and whose judgements did not."""
        given, written = max(self._seen[0], self.used.input_tokens), max(self._seen[1], self.used.output_tokens)
        cost = max(self.used.cost, cost_of(given, written, self.price))
        return replace(self.used, input_tokens=given, output_tokens=written, cost=cost)

    @property
    def reached(self) -> str | None:
        """The bound at which asking stops: `documents`, `tokens` or `cost`; None where there is something left."""
        asked = self._handed - self.used.cached - self.used.skipped
        return "documents" if self._is_up("documents", asked) else self.paid_up

    @property
    def paid_up(self) -> str | None:
        """The bound of these, `tokens` or `cost`, that the answers have reached; None where there is something left."""
        if self.bounds["tokens"] is None and self.bounds["cost"] is None:
            return None
        spent = self.spent
        values = {"tokens": spent.tokens, "cost": spent.cost}
        return next((name for name, value in values.items() if self._is_up(name, value)), None)

    def _is_up(self, name: str, value: float) -> bool:
        bound = self.bounds[name]
        return bound is not None and value >= bound

    def within(self, documents: Iterable[Document]) -> "Ration":
        """The documents for as long as the budget lasts; none is read that is not handed on."""
        return Ration(self, documents)

    def hand_on(self) -> None:
        """Count a document that a rater is given."""
        self._handed += 1

    def take_back(self) -> None:
        """Count the documents in flight as never handed on: they will not be asked about."""
        self._handed = self.used.documents

    def see(self, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens of an answer as soon as it is there; called by several threads."""
        with self._counting:
            self._seen[0] += input_tokens
            self._seen[1] += output_tokens

    def book(self, judgement: Judgement) -> Usage:
        """Count a judgement of a document that `within` handed on; returns what it took."""
        took = Usage.of(judgement, self.price)
        self.used += took
        return took

    def keep(self) -> None:
        """Have it remembered what was spent, for another attempt at the same run."""
        self._remember(self.spent)

    def __str__(self) -> str:
        """What is spent of every bound, and of what has none."""
        shown = [
            f"{value:,.10g} {name}" if bound is None else f"{value:,.10g} of {bound:,.10g} {name}"
            for name, value, bound in self._by_bound()
            if bound is not None or value
        ]
        return ", ".join(shown) or "nothing"

    def left(self) -> dict[str, float]:
        """What every bound leaves, by its name; never below zero."""
        return {f"{name}_left": max(0, bound - value) for name, value, bound in self._by_bound() if bound is not None}

    def _by_bound(self) -> list[tuple[str, float, float | None]]:
        spent = self.spent
        values = {"documents": spent.asked, "tokens": spent.tokens, "cost": spent.cost}
        return [(name, value, self.bounds[name]) for name, value in values.items()]


class Ration(Iterator[Document]):
    """The documents that a rater is given, for as long as a budget lasts.

    A rater that asks about several at once begins a document only when `may_begin`, and says by `see` what each answer
    took: then a bound on tokens or cost ends it with what is in flight, and not with all that it had read ahead. It
    judges what it began and then ends, which leaves the others to another run.
    """

    def __init__(self, spending: Spending, documents: Iterable[Document]) -> None:
        self.spending = spending
        self.see = spending.see
        self.refused = False
        self._documents = iter(documents)
        self._last_begun = -1
        self._beginning = threading.Lock()

    def __next__(self) -> Document:
        if self.spending.reached:
            raise StopIteration
        document = next(self._documents)
        self.spending.hand_on()
        return document

    def may_begin(self, number: int) -> bool:
        """Whether the rater may ask about the document that it was given as its `number`th, from 0; called by several
        threads, before every part of a document. What was begun may be finished, and so may what stands before it."""
        with self._beginning:
            if number > self._last_begun and self.spending.paid_up:
                self.refused = True
                return False
            self._last_begun = max(self._last_begun, number)
            return True


def progress_line(used: Usage, todo: int, seconds: float, spending: Spending) -> str:
    """How far the rating of a cell is: `used` of this cell for its `todo` documents, `seconds` since it began."""
    pace = used.documents / seconds if seconds > 0 else 0.0
    parts = [f"{used.documents:,} of {todo:,} rated", f"{pace:.2f} documents/s", f"{used.tokens:,} tokens"]
    if used.cached:
        parts.append(f"{used.cached / used.documents:.0%} from the cache")
    if used.retries:
        parts.append(f"{used.retries} requests sent again")
    if used.reasked:
        parts.append(f"{used.reasked} answers asked for again")
    if used.skipped:
        parts.append(f"{used.skipped} skipped")
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
